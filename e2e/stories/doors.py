"""The doors of the hub: XML-RPC, JSON-RPC, HTTP with JSON and gRPC say the same; the reference tells the truth."""

import http.client
import json
import urllib.error
import urllib.request
from pathlib import Path

from harness.command import run
from harness.server import Server
from harness.story import eq, has, story, that

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".x/doors/bin/python"
CLIENT = ROOT / "e2e/harness/doors_client.py"


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
        said = run(PYTHON.parent / "schemathesis", "run", f"{url}/api/openapi.json", "--url", url, "--checks", checks, "--phases",
                   "examples,fuzzing", "--exclude-path-regex", odd, "--max-examples", "2", "--seed", "7", "--workers", "2", "--no-color",
                   "--suppress-health-check", "all", cwd=own.dir, code=None)
        that(said.code == 0, f"schemathesis found something:\n{said.out[-6000:]}")
        has(said.out, "Operations")
    finally:
        eq(server.stop(), 0, "the exit code of the server")
