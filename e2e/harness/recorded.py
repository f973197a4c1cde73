"""Sending recorded calls to a hub, with Python's own XML-RPC library, and keeping the answers as JSON."""

import base64
import http.client
import urllib.parse
import xmlrpc.client
import zlib

# Name in the recordings: user and password of the recorded data.
USERS = {
    "admin": ("kojiadmin", "adminpw"),
    "alice": ("alice", "alicepw"),
    "bob": ("bob", "bobpw"),
    "frank": ("frank", "frankpw"),
    "kojira": ("kojira", "kojirapw"),
    "host": ("builder00.example.com", "hostpw"),
}
# What of a step is its answer; the rest describes the call.
ANSWERS = ("result", "fault", "http", "ref_error")


class Writer(xmlrpc.client.Marshaller):
    """Writes numbers beyond 32 bits as i8, as the stock client does."""

    dispatch = dict(xmlrpc.client.Marshaller.dispatch)

    def number(self, value, write):
        """An int of any size."""
        tag = "int" if -(2**31) <= value < 2**31 else "i8"
        write(f"<value><{tag}>{value}</{tag}></value>\n")

    dispatch[int] = number


class Reader(xmlrpc.client.Unmarshaller):
    """Reads an answer into JSON's types; what JSON lacks becomes an object with one key."""

    dispatch = dict(xmlrpc.client.Unmarshaller.dispatch)

    def moment(self, text):
        """dateTime.iso8601"""
        self.append({"$dt": text})

    def binary(self, text):
        """base64"""
        self.append({"$b64": "".join(text.split())})
        self._value = 0

    dispatch["dateTime.iso8601"] = moment
    dispatch["base64"] = binary


class Caller:
    """One user's connection and session."""

    def __init__(self, url, user=None):
        self.url, self.connection = urllib.parse.urlsplit(url), None
        self.session, self.number = None, 0
        if user:
            answer = self.call("login", list(USERS[user]), {})
            if "result" not in answer:
                raise RuntimeError(f"{user} cannot log in: {answer}")
            self.session = answer["result"]

    def call(self, method, args, keywords):
        """The answer to a call, as a part of a recorded step."""
        args = [*args, {**keywords, "__starstar": True}] if keywords else args
        params = Writer("utf-8", allow_none=True).dumps(tuple(args))
        name = xmlrpc.client.escape(method)
        body = f"<?xml version='1.0'?><methodCall><methodName>{name}</methodName>{params}</methodCall>"
        response, content = self.post(body.encode())
        if response.status != 200 or "xml" not in response.headers.get("content-type", ""):
            return {"http": {"status": response.status, "body": content[:2000].decode(errors="replace")}}
        reader = Reader()
        parser = xmlrpc.client.ExpatParser(reader)
        parser.feed(content)
        parser.close()
        try:
            return {"result": reader.close()[0]}
        except xmlrpc.client.Fault as fault:
            return {"fault": {"faultCode": fault.faultCode, "faultString": fault.faultString}}

    def post(self, body):
        """Sends a request; once more when the hub had closed the connection at rest."""
        headers = {"Content-Type": "text/xml", "User-Agent": "koji/1"}
        if self.session:
            headers["Koji-Session-Id"] = str(self.session["session-id"])
            headers["Koji-Session-Key"] = self.session["session-key"]
            headers["Koji-Session-Callnum"] = str(self.number)
            self.number += 1
        for last in (False, True):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=300)
                self.connection.request("POST", self.url.path, body, headers)
                response = self.connection.getresponse()
                return response, response.read()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.connection = None
                if last:
                    raise

    def upload(self, directory, name, content):
        """Uploads a small file in one part; `content` is base64."""
        data = base64.b64decode(content)
        checksum = ["adler32", f"{zlib.adler32(data):08x}"]
        again = base64.b64encode(data).decode()
        return self.call("uploadFile", [directory, name, len(data), checksum, 0, again], {})


def replay(url, steps):
    """Sends the steps in order; gives each step's answer."""
    callers, saved = {}, {}
    for step in steps:
        user = step.get("as", "anon")
        if user not in callers:
            callers[user] = Caller(url, None if user == "anon" else user)
        try:
            args, keywords = fill(step["args"], saved), fill(step.get("kwargs", {}), saved)
        except (KeyError, IndexError, TypeError) as error:
            yield {"ref_error": repr(error)}
            continue
        if step["method"] == "$upload":
            answer = callers[user].upload(*args)
        else:
            answer = callers[user].call(step["method"], args, keywords)
        if "save" in step and "result" in answer:
            saved[step["save"]] = answer["result"]
        yield answer


def fill(value, saved):
    """Puts parts of earlier answers in the place of `{"$ref": "name.key.0"}`."""
    if isinstance(value, dict):
        if set(value) == {"$ref"}:
            name, *path = value["$ref"].split(".")
            found = saved[name]
            for key in path:
                found = found[int(key)] if isinstance(found, list) else found[key]
            return found
        return {key: fill(v, saved) for key, v in value.items()}
    if isinstance(value, list):
        return [fill(v, saved) for v in value]
    return value
