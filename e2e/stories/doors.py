"""The doors of the hub: XML-RPC, JSON-RPC, HTTP with JSON and gRPC say the same; the reference tells the truth."""

import base64
import hashlib
import http.client
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from harness.command import run
from harness.server import Server
from harness.site import ADMIN, Site
from harness.story import eq, has, story, that

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".x/doors/bin/python"
CLIENT = ROOT / "e2e/harness/doors_client.py"
PROGRAM = ROOT / "e2e/harness/grpc_program.py"
PROTO = ROOT / "crates/proto/proto"


def ask(w, path, document=None, headers=None, method=None):
    """Sends a request; returns status, headers and text."""
    body = None if document is None else document if isinstance(document, bytes) else json.dumps(document).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(w.ready["url"].rstrip("/") + path, body, {**kind, **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


@story(slow=True)
def agree(w):
    """The same calls through all four doors, anonymous and as administrator: the same answers, the same faults."""
    said = run(PYTHON, "-B", CLIENT, w.ready["hub"], w.server.address, ROOT / "crates/proto/proto", w.ready["admin_user"],
               w.ready["admin_password"])
    found = json.loads(said.out)
    if found["different"]:
        shown = "\n".join(json.dumps(one, indent=1) for one in found["different"][:20])
        that(False, f"{len(found['different'])} calls differ between the doors:\n{shown}")
    that(found["answers"] >= 200 and found["faults"] >= 200, f"too few calls: {found['answers']} answers, {found['faults']} faults")
    that(found["typed"] >= 400, f"only {found['typed']} calls by typed methods")
    that({"toji.hub.v1.Hub", "toji.hub.v1.Calls", "toji.builder.v1.Builder"} <= set(found["services"]), f"services: {found['services']}")
    eq(found["health"], 1, "the health")


@story()
def batches(w):
    """JSON-RPC: batches in one transaction, all or nothing, notifications, and what is no call."""
    session = w.hub.session
    headers = {"Koji-Session-Id": str(session["session-id"]), "Koji-Session-Key": session["session-key"]}

    def rpc(document, query="", more=None):
        status, _, text = ask(w, "/api/rpc" + query, document, headers if more is None else more)
        return status, json.loads(text) if text else None

    def call(number, method, *params, **named):
        return {"jsonrpc": "2.0", "id": number, "method": method, "params": named or params}

    first, second = w.name("door"), w.name("gate")
    made = [call(1, "createTag", first), call("two", "createTag", first), call(3, "createTag", second)]
    status, answers = rpc(made, "?strict=true")
    eq((status, [a["error"]["code"] for a in answers]), (200, [1000, 1000, 1000]), "a strict batch with a failure")
    has(answers[0]["error"]["message"], "taken back, because call 2 of 3 failed")
    eq(w.hub.call("getTag", first), None, "the tag of the batch that was taken back")
    status, answers = rpc(made)
    eq([sorted(a) for a in answers], [["id", "jsonrpc", "result"], ["error", "id", "jsonrpc"], ["id", "jsonrpc", "result"]], "answers")
    eq(answers[1]["error"], {"code": 1000, "message": answers[1]["error"]["message"], "data": {"name": "GenericError"}}, "the fault")
    eq([a["id"] for a in answers], [1, "two", 3], "ids")
    eq(rpc(call(None, "getTag", tagInfo=second))[1]["result"]["name"], second, "a call by names")
    # Nobody wants to know, and it is done.
    eq(rpc({"jsonrpc": "2.0", "method": "editTag2", "params": {"tagInfo": second, "arches": "x86_64"}}), (204, None), "a notification")
    eq(w.hub.call("getTag", second)["arches"], "x86_64", "arches after the notification")
    eq(rpc([call(1, "echo", 1), 7, {"jsonrpc": "2.0", "method": "hello"}])[1][1]["error"]["code"], -32600, "no call")
    for text, status, code in ((b"{", 400, -32700), (b"[]", 200, -32600), (b"1", 200, -32600), (b"[" * 100_000, 400, -32700),
                               (b'{"jsonrpc":"1.0","method":"hello","id":1}', 200, -32600)):
        found = rpc(text)
        eq((found[0], found[1]["error"]["code"]), (status, code), f"the answer to {text[:40]!r}")
    link = http.client.HTTPConnection(w.server.address, timeout=60)
    link.putrequest("POST", "/api/rpc")
    for name, value in {"Content-Type": "application/json", "Content-Length": "5000000"}.items():
        link.putheader(name, value)
    link.endheaders()
    eq(link.getresponse().status, 413, "a document that announces to be too long")
    eq(ask(w, "/api/rpc", b"{}", {"Content-Type": "text/plain"})[0], 415, "a document that is no JSON by its words")
    eq(ask(w, "/api/rpc", b"{}", {"Content-Encoding": "gzip"})[0], 415, "a document that is compressed")
    found = rpc(call(1, "getLoggedInUser"), more={**headers, "Koji-Session-Key": "wrong"})[1]
    eq(found["error"]["code"], 1002, "a wrong session")


@story()
def kept(w):
    """Reading calls by GET have entity tags; calls that change something take POST only."""
    tag = w.name("kept")
    w.hub.call("createTag", tag)
    for number, path in enumerate((f"/api/v1/getTag?tagInfo={tag}&strict=true", f"/api/rpc?method=getTag&id=1&params=%5B%22{tag}%22%5D")):
        status, headers, text = ask(w, path)
        eq((status, headers["Cache-Control"]), (200, "public, no-cache"), path)
        has(text, tag)
        known = {"If-None-Match": headers["ETag"]}
        eq(ask(w, path, headers=known)[0], 304, "the same again")
        w.hub.call("editTag2", tag, arches=f"x86_64 i{number + 3}86")
        eq(ask(w, path, headers=known)[0], 200, "after a change")
    status, headers, text = ask(w, "/api/v1/createTag?name=x")
    eq((status, headers["Allow"], json.loads(text)["code"]), (405, "POST", 1019), "a change by GET")
    status, headers, text = ask(w, "/api/v1/nonsense", {})
    eq((status, headers["Content-Type"], json.loads(text)["detail"]), (404, "application/problem+json", "Invalid method: nonsense"), "no such call")
    eq(ask(w, "/api/v1/createTag", {"name": tag})[0], 403, "the status without a login")
    eq(ask(w, "/api/v1/getTag", {"tagInfo": "no such tag", "strict": True})[0], 422, "the status of a fault")
    eq(ask(w, "/api/v1/getTag", {"nonsense": 1})[0], 400, "the status of wrong parameters")
    page = ask(w, "/koji/api")[2]
    has(page, "getTag", "host.openTask")
    has(ask(w, "/koji/api/getTag")[2], "tagInfo", "/api/v1/getTag", "GetTag")


@story(own=True, slow=True)
def described(own):
    """A program that reads the description of the calls and sends what it allows finds every answer described (schemathesis)."""
    server = Server(own.toji, own.dir / "api", extra=["--no-builder"]).start()
    try:
        url = server.ready["url"].rstrip("/")
        checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
        # These answer odd arguments with Koji's fault code 1, which it has for everything unexpected.
        odd = "/(fault|CGImport|getNextRelease)$"
        program = "from schemathesis.cli import schemathesis; schemathesis()"
        said = run(PYTHON, "-c", program, "run", f"{url}/api/openapi.json", "--url", url, "--checks", checks, "--phases",
                   "examples,fuzzing", "--exclude-path-regex", odd, "--max-examples", "2", "--seed", "7", "--workers", "2", "--no-color",
                   "--suppress-health-check", "all", cwd=own.dir, code=None)
        that(said.code == 0, f"schemathesis found something:\n{said.out[-6000:]}")
        has(said.out, "Operations")
    finally:
        eq(server.stop(), 0, "the exit code of the server")


def by_grpc(address, deed, *args):
    """What a Python program with a generated client saw."""
    return json.loads(run(PYTHON, "-B", PROGRAM, deed, address, PROTO, *args).out)


@story(slow=True)
def grpc_program(w):
    """A program with a client that was generated from the files of the repository uploads, submits, watches and reads the result."""
    package = w.name("grpc")
    target = w.target("byg", [package])
    nvr = f"{package}-1.0-1"
    seen = by_grpc(w.server.address, "story", w.ready["admin_user"], w.ready["admin_password"], target, w.srpm(package), nvr)
    eq(seen["states"][-1], "CLOSED", f"the end of the task: {seen}")
    eq((seen["build"], seen["tagged"], seen["rpms"]), (1, [nvr], [f"{package}.noarch", f"{package}.src"]), "the build")
    that(["buildArch", "CLOSED"] in seen["children"] and ["tagBuild", "CLOSED"] in seen["children"], f"tasks below: {seen['children']}")
    that(seen["typed"] >= 10 and seen["after"] == 1002, f"typed calls, and the code without a session: {seen}")
    eq(w.hub.call("getTaskInfo", seen["task"])["state"], 2, "the task by the other door")


@story()
def grpc_batches(w):
    """A stream of calls: batches in transactions of their own, a strict one taken back, one that its client cancels in the middle."""
    tag = w.name("stream")
    seen = by_grpc(w.server.address, "multicall", w.ready["admin_user"], w.ready["admin_password"], tag)
    first, second = seen["two"]
    eq((first["calls"], first["failed"], second["calls"], second["failed"]), (3, 1, 1, 0), "the batches")
    eq([answer[0] for answer in first["answers"] + second["answers"]], [0, 1, 2, 100], "the clients' numbers")
    eq(first["answers"][1][1:3], [1000, "GenericError"], "the fault")
    eq(first["answers"][2][1]["name"], tag, "a call after the failed one")
    eq(w.hub.call("getTag", tag)["arches"], "x86_64", "arches after the second batch")
    strict = seen["strict"][0]
    eq((strict["calls"], strict["failed"], [answer[1] for answer in strict["answers"]]), (3, 3, [1000] * 3), "the strict batch")
    has(strict["answers"][0][3], "taken back, because call 2 of 3 failed")
    eq(seen["many"], [3000, 0, True], "a long batch")
    eq((seen["answered"], seen["cancelled"]), (["answer", "done"], "CANCELLED"), "the stream that is cancelled")
    eq(seen["left"], [False, True, False], "tags of the strict batch, of the one with an end and of the one without")


@story(own=True)
def grpc_deadlines(own):
    """Over TLS a session works as in the clear; calls whose client waits no longer are interrupted, down to PostgreSQL's statement."""
    with Site(own) as site:
        port = site.hub.tls.rsplit(":", 1)[1].split("/")[0]
        seen = by_grpc(f"localhost:{port}", "secure", site.authority.ca, *ADMIN)
        eq((seen["before"], seen["after"], seen["batch"]), (None, ADMIN[0], [[0, [1]]]), "calls over TLS")

        waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'toji' AND state = 'active' AND wait_event_type = 'Lock'"

        def until(count):
            deadline = time.monotonic() + 30
            while int(site.sql(waiting)) != count:
                that(time.monotonic() < deadline, f"statements that wait, not {count}: " + site.sql(
                    "SELECT pid, state, wait_event_type, query FROM pg_stat_activity WHERE application_name = 'toji'"))
                time.sleep(0.05)

        psql = subprocess.Popen(["psql", "-X", "-q", "-h", site.postgres.dir, "-U", "toji", "koji"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                text=True)
        program = None
        try:
            print("BEGIN; LOCK TABLE tag_config; SELECT 'locked';", file=psql.stdin, flush=True)
            while "locked" not in psql.stdout.readline():
                that(psql.poll() is None, "psql has ended")
            program = subprocess.Popen([PYTHON, "-B", PROGRAM, "waits", site.hub.address, PROTO], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       text=True)
            eq(program.stdout.readline(), "waiting\n", "what the program says")
            # The one with a deadline is over, and its statement too.
            until(1)
            print(file=program.stdin, flush=True)
            eq(program.stdout.readline(), "cancelled\n", "what the program says")
            until(0)
            print(file=program.stdin, flush=True)
            seen = json.loads(program.stdout.readline())
            eq(seen["late"], "DEADLINE_EXCEEDED", "the call with a deadline")
            that(0.9 < seen["took"] < 20, f"it took {seen['took']} s")
            # So it is over HTTP, when the connection is cut.
            with socket.create_connection(site.hub.address.rsplit(":", 1)) as link:
                link.sendall(b"GET /api/v1/getTag?tagInfo=anything HTTP/1.1\r\nHost: hub\r\n\r\n")
                until(1)
            until(0)
            print("ROLLBACK;", file=psql.stdin, flush=True)
        finally:
            for process in (program, psql):
                if process:
                    process.stdin.close()
                    process.wait(30)
        eq(site.admin().call("getTag", "anything"), None, "an answer after all")


@story(own=True)
def grpc_hostile(own):
    """Messages over gRPC that are too long, packed, nested, cut or none: refused with a status, and the hub's memory stays as it was."""
    server = Server(own.toji, own.dir / "hostile", extra=["--no-builder"]).start()
    try:
        run(PYTHON, "-B", PROGRAM, "hostile", server.address, PROTO, 10_000)
        before = memory(server.process.pid)
        seen = by_grpc(server.address, "hostile", 4 << 20)
        after = memory(server.process.pid)
        wrong, long = "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"
        eq({name: seen[name] for name in ("long", "bomb", "nested", "many", "noise", "typed noise", "stream of noise")},
           {"long": long, "bomb": long, "nested": wrong, "many": wrong, "noise": wrong, "typed noise": wrong, "stream of noise": wrong}, "statuses")
        that({one for one in seen["cut"] if isinstance(one, str)} == {wrong}, f"messages that are cut: {seen['cut']}")
        that({seen["stream that is long"], seen["stream with a bomb"]} <= {long, "OUT_OF_RANGE"}, f"streams: {seen}")
        that(seen["packed"] > 2 << 20 and seen["sound"] == seen["sound after all"] > 0, f"messages that are sound: {seen}")
        # Two million small values are allowed, and take most of it.
        that(after - before < 200, f"the hub took {before} MB before and {after} MB after")
    finally:
        eq(server.stop(), 0, "the exit code of the server")


def memory(process):
    """The most that a process has had in memory, in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


@story(slow=True)
def curl(w):
    """Nothing but curl: a login, an upload, a build, a look at it until it has ended, and its result."""
    package, base = w.name("curl"), w.ready["url"].rstrip("/") + "/api/v1/"
    target, nvr = w.target("byc", [package]), f"{package}-1.0-1"
    document, token = w.dir / "document.json", []

    def call(method, params, status=200):
        document.write_text(json.dumps(params))
        said = run("curl", "-sS", "-w", "\n%{http_code}", "-H", "Content-Type: application/json", *token, "-d", f"@{document}", base + method).out
        text, _, code = said.rpartition("\n")
        eq(int(code), status, f"the status of {method}: {text}")
        return json.loads(text)

    session = call("login", [w.ready["admin_user"], w.ready["admin_password"]])
    token += ["-H", f"Authorization: Bearer {session['session-id']}:{session['session-key']}"]
    source = w.srpm(package)
    content = source.read_bytes()
    call("uploadFile", {"path": "cli-build/curl", "name": source.name, "size": len(content), "md5sum": hashlib.md5(content).hexdigest(),
                        "offset": 0, "data": base64.b64encode(content).decode()})
    task = call("build", {"src": f"cli-build/curl/{source.name}", "target": target, "opts": {}})
    deadline = time.monotonic() + 300
    while not json.loads(run("curl", "-sS", f"{base}taskFinished?taskId={task}").out):
        that(time.monotonic() < deadline, w.hub.describe(task))
        time.sleep(0.1)
    eq(call("getTaskInfo", [task])["state"], 2, "the task's state: " + w.hub.describe(task))
    # What is known is not sent again.
    tags = w.dir / "tags"
    asked = ["curl", "-sS", "-o", w.dir / "build.json", "-w", "%{http_code}", "--etag-save", tags, "--etag-compare", tags, f"{base}getBuild?buildInfo={nvr}"]
    eq([run(*asked).out, run(*asked).out], ["200", "304"], "statuses of a build that is asked for twice")
    eq(json.loads((w.dir / "build.json").read_text())["task_id"], task, "the task of the build")
    eq([build["nvr"] for build in call("listTagged", {"tag": target})], [nvr], "what the tag has")
    call("logout", [])
    eq(call("createTag", ["nobody may"], 401)["code"], 1002, "the code without a session")
