"""Fronts before a hub: one that lets through no more than a Koji hub has, one that cuts connections."""

import http.client
import http.server
import re
import socket
import socketserver
import threading
import urllib.parse
import xmlrpc.client

METHOD = re.compile(rb"<methodName>\s*([\w.]+)\s*</methodName>")
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Front:
    """A listener that serves in threads of its own."""

    def __init__(self, upstream, server):
        self.upstream, self.server = upstream, server
        server.front = self
        self.address = "127.0.0.1:%d" % server.server_address[1]
        self.url = f"http://{self.address}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop(self):
        """Ends it."""
        self.server.shutdown()
        self.server.server_close()


class Listener(socketserver.ThreadingTCPServer):
    """Threads that nobody waits for."""

    allow_reuse_address = daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        """A connection that breaks is what these fronts are for."""


class KojiFront(Front):
    """Passes on `/kojihub` and `/kojifiles`, and answers calls of builders that Koji does not have as Koji would; `refused` has their names."""

    def __init__(self, upstream, calls):
        self.calls, self.refused, self.uploads = calls, set(), 0
        super().__init__(upstream, Listener(("127.0.0.1", 0), KojiHandler))


class KojiHandler(http.server.BaseHTTPRequestHandler):
    """One connection of a [`KojiFront`]."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        """Says nothing."""

    def body(self):
        """The request's body."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def answer(self, status, headers, body):
        """Sends a whole answer."""
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def pass_on(self):
        """Asks the hub, unless Koji has no such thing."""
        front, body = self.server.front, self.body()
        path = urllib.parse.urlsplit(self.path).path
        if not path.startswith(("/kojihub", "/kojifiles")):
            return self.answer(404, [], b"not found\n")
        method = METHOD.search(body[:4096]) if self.headers.get("Content-Type", "").startswith("text/xml") else None
        name = method[1].decode() if method else ""
        front.uploads += path == "/kojihub" and "filename=" in self.path
        if name.startswith("host.") and name.removeprefix("host.") not in front.calls:
            front.refused.add(name)
            fault = xmlrpc.client.dumps(xmlrpc.client.Fault(1000, f"Invalid method: {name}")).encode()
            return self.answer(200, [("Content-Type", "text/xml")], fault)
        link = http.client.HTTPConnection(front.upstream, timeout=300)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
            link.request(self.command, self.path, body, headers)
            found = link.getresponse()
            self.answer(found.status, found.getheaders(), found.read())
        finally:
            link.close()

    do_GET = do_HEAD = do_POST = do_PUT = pass_on


class CuttingFront(Front):
    """Passes on bytes, and cuts a connection whose client has sent more than so many, a number of times; `cuts` says how often it has."""

    def __init__(self, upstream, after, times):
        self.after, self.left, self.cuts, self.lock = after, times, 0, threading.Lock()
        super().__init__(upstream, Listener(("127.0.0.1", 0), CuttingHandler))

    def cut(self, sent):
        """Whether a connection over which so much was sent is to end."""
        with self.lock:
            if sent < self.after or not self.left:
                return False
            self.left -= 1
            self.cuts += 1
            return True


class CuttingHandler(socketserver.BaseRequestHandler):
    """One connection of a [`CuttingFront`]."""

    def handle(self):
        host, port = self.server.front.upstream.split(":")
        with socket.create_connection((host, int(port))) as hub:
            back = threading.Thread(target=self.answers, args=(hub,), daemon=True)
            back.start()
            sent = 0
            while data := self.take():
                if self.server.front.cut(sent := sent + len(data)):
                    # Half of it still arrives, so that the hub sees a torn part.
                    hub.sendall(data[:len(data) // 2])
                    break
                hub.sendall(data)
            for side in (hub, self.request):
                try:
                    side.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            back.join(10)

    def take(self):
        """The client's next bytes."""
        try:
            return self.request.recv(1 << 16)
        except OSError:
            return b""

    def answers(self, hub):
        """Carries the hub's answers."""
        try:
            while data := hub.recv(1 << 16):
                self.request.sendall(data)
            self.request.shutdown(socket.SHUT_WR)
        except OSError:
            pass
