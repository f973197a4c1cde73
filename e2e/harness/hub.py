"""A small client for the hub's XML-RPC path, for checks and for the demonstration.

It is not the stock client: the stories drive Toji with that one, and use this one to look."""

import http.client
import os
import time
import urllib.parse
import xmlrpc.client
import zlib

TASK_STATES = ["FREE", "OPEN", "CLOSED", "CANCELED", "ASSIGNED", "FAILED"]
BUILD_STATES = ["BUILDING", "COMPLETE", "DELETED", "FAILED", "CANCELED"]

Fault = xmlrpc.client.Fault


class TaskFailed(Exception):
    """A task ended in another state than CLOSED."""


class Hub:
    """A session with the hub at `url`; `login` makes it a user's."""

    def __init__(self, url, timeout=120):
        self.url, self.timeout = url, timeout
        parts = urllib.parse.urlsplit(url)
        self.host, self.port, self.path = parts.hostname, parts.port, parts.path
        self.session, self.callnum = None, 0

    def post(self, body, headers=None, query=""):
        """Sends raw bytes and returns status and raw answer."""
        link = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            link.request("POST", self.path + query, body, headers or {"Content-Type": "text/xml"})
            answer = link.getresponse()
            return answer.status, answer.read()
        finally:
            link.close()

    def headers(self, kind):
        """The headers of a request in this session."""
        found = {"Content-Type": kind, "User-Agent": "koji/1"}
        if self.session:
            found["Koji-Session-Id"] = str(self.session["session-id"])
            found["Koji-Session-Key"] = self.session["session-key"]
            found["Koji-Session-Callnum"] = str(self.callnum)
            self.callnum += 1
        return found

    def call(self, method, *args, **named):
        """Calls a method; a fault of the hub is raised as `Fault`."""
        if named:
            args = (*args, {"__starstar": True, **named})
        body = xmlrpc.client.dumps(tuple(args), method, allow_none=True).encode()
        status, answer = self.post(body, self.headers("text/xml"))
        if status != 200:
            raise RuntimeError(f"{method}: HTTP {status}: {answer[:300]!r}")
        (result,), _ = xmlrpc.client.loads(answer, use_builtin_types=True)
        return result

    def login(self, user, password):
        """Makes this the session of `user`."""
        self.session = self.call("login", user, password)
        self.callnum = 0
        return self

    def upload(self, path, directory):
        """Uploads a file to the hub's `work/DIRECTORY` and returns the path to build from."""
        name = os.path.basename(path)
        with open(path, "rb") as file:
            offset = 0
            while True:
                chunk = file.read(1 << 20)
                if not chunk and offset:
                    break
                fields = {"filename": name, "filepath": directory, "fileverify": "adler32", "offset": str(offset)}
                if offset == 0:
                    fields["overwrite"] = "1"
                query = "?" + urllib.parse.urlencode(fields)
                status, answer = self.post(chunk, self.headers("application/octet-stream"), query)
                if status != 200:
                    raise RuntimeError(f"upload of {name}: HTTP {status}: {answer[:300]!r}")
                (result,), _ = xmlrpc.client.loads(answer, use_builtin_types=True)
                if result["hexdigest"] != f"{zlib.adler32(chunk):08x}" or result["size"] != len(chunk):
                    raise RuntimeError(f"upload of {name} arrived damaged: {result}")
                offset += len(chunk)
                if not chunk:
                    break
        return f"{directory}/{name}"

    def wait(self, task, timeout=300, want="CLOSED"):
        """Returns the task's final record; another final state than `want` is an error, `None` takes any."""
        deadline = time.monotonic() + timeout
        while True:
            info = self.call("getTaskInfo", task)
            state = TASK_STATES[info["state"]]
            if state in ("CLOSED", "CANCELED", "FAILED"):
                break
            if time.monotonic() > deadline:
                raise TaskFailed(f"task {task} is still {state} after {timeout} s\n{self.describe(task)}")
            time.sleep(0.1)
        if want and state != want:
            raise TaskFailed(f"task {task} is {state}, not {want}\n{self.describe(task)}")
        return info

    def describe(self, task, depth=0):
        """The task tree as text, with the faults and the ends of the logs of what failed."""
        info = self.call("getTaskInfo", task, request=True)
        pad = "  " * depth
        lines = [f"{pad}task {task} {info['method']} {info['arch']} {TASK_STATES[info['state']]}"]
        if TASK_STATES[info["state"]] == "FAILED":
            try:
                self.call("getTaskResult", task)
            except Fault as fault:
                lines.append(f"{pad}  fault {fault.faultCode}: {fault.faultString}")
            for name in self.call("listTaskOutput", task):
                if name.endswith(".log"):
                    text = self.call("downloadTaskOutput", task, name, 0, -1)
                    text = text if isinstance(text, bytes) else __import__("base64").b64decode(text)
                    tail = text.decode(errors="replace").splitlines()[-15:]
                    lines += [f"{pad}  {name}: {line}" for line in tail]
        for child in self.call("getTaskChildren", task):
            lines.append(self.describe(child["id"], depth + 1))
        return "\n".join(lines)

    def wait_request(self, asked, timeout=120):
        """The repository that a request leads to; nothing if it was given up."""
        deadline = time.monotonic() + timeout
        while not asked["repo"]:
            if not asked["request"]["active"]:
                return None
            if time.monotonic() > deadline:
                raise TimeoutError(f"no repository: {asked}")
            time.sleep(0.02)
            asked = self.call("repo.checkRequest", asked["request"]["id"])
        return asked["repo"]

    def wait_repo(self, tag, builds=(), timeout=120):
        """Returns the tag's newest READY repository once it has the wanted builds' tag events."""
        wanted = self.call("tagLastChangeEvent", tag) if builds else 0
        deadline = time.monotonic() + timeout
        while True:
            repo = self.call("getRepo", tag)
            if repo and repo["create_event"] >= wanted:
                return repo
            if time.monotonic() > deadline:
                raise TaskFailed(f"no repository of {tag} at event {wanted} after {timeout} s: {repo}")
            time.sleep(0.1)
