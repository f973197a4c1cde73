"""Bad input: a clear error, and nothing changed."""

import xmlrpc.client

from harness.hub import Fault
from harness.story import eq, has, story, that


def refused(w, call, *parts):
    """The call is refused with a fault whose text has the parts; returns the fault."""
    try:
        result = call()
    except Fault as fault:
        for part in parts:
            has(fault.faultString, part)
        return fault
    that(False, f"it was not refused but gave {result!r}")


@story(slow=True)
def truncated_srpm(w):
    """Half a source package fails the build with a reason, and leaves no build."""
    pkg = w.name("half")
    target = w.target("t", [pkg])
    source = w.srpm(pkg)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    said = w.build(target, source, code=1)
    has(said, "FAILED: ")
    record = w.hub.call("getBuild", f"{pkg}-1.0-1")
    that(record is None or record["state"] != 1, f"the build is {record}")
    eq(w.hub.call("listTagged", target), [], "the tag's content")


@story(slow=True)
def renamed_srpm(w):
    """A source package under another name than its header's is refused."""
    pkg = w.name("renamed")
    target = w.target("t", [pkg])
    source = w.srpm(pkg)
    other = source.with_name("something-else-9.9-9.src.rpm")
    source.rename(other)
    said = w.build(target, other, code=1)
    task = w.task_of(said)
    has(w.hub.describe(task), "something-else-9.9-9.src.rpm")
    for nvr in (f"{pkg}-1.0-1", "something-else-9.9-9"):
        record = w.hub.call("getBuild", nvr)
        that(record is None or record["state"] != 1, f"{nvr} is {record}")


@story(slow=True)
def built_already(w):
    """An NVR is built once; the second attempt changes nothing."""
    pkg = w.name("once")
    target = w.target("t", [pkg])
    w.build(target, w.srpm(pkg))
    before = w.hub.call("getBuild", f"{pkg}-1.0-1")
    said = w.build(target, w.srpm(pkg, summary="Another"), code=1)
    has(said, "FAILED: GenericError: Build already exists")
    eq(w.hub.call("getBuild", f"{pkg}-1.0-1"), before, "the build")


@story()
def unknown_names(w):
    """An unknown target or tag is named by the client and by the hub."""
    source = w.srpm(w.name("lost"))
    has(w.koji("build", "nosuchtarget", source, code=2).err, "No such build target: nosuchtarget")
    has(w.koji("tag-build", "--wait", "nosuchtag", "a-1-1", code=1).err, "No such build: 'a-1-1'")
    # koji looks at the name before it looks at the target; so a hub that is asked directly must refuse on its own.
    task = w.hub.call("build", "cli-build/x/none-1-1.src.rpm", "nosuchtarget", {})
    state = w.hub.wait(task, 300, "FAILED")
    eq(state["state"], 5, "the task's state")
    has(w.hub.describe(task), "nosuchtarget")
    has(w.anonymous("list-tagged", "nosuchtag", code=2).err, "No such tag: nosuchtag")
    has(w.anonymous("buildinfo", "no-such-1", code=1).err, "No such build: no-such-1")
    has(w.anonymous("taginfo", "nosuchtag", code=1).err, "nosuchtag")


@story(slow=True)
def unlisted_package(w):
    """A package that the tag does not list is refused before anything is built."""
    pkg = w.name("unlisted")
    target = w.target()
    said = w.build(target, w.srpm(pkg), code=1)
    has(said, "FAILED: BuildError: package", f"{pkg} not in list for tag {target}")
    task = w.task_of(said)
    lines = w.hub.describe(task)
    that("buildArch" not in lines, f"it was built:\n{lines}")


@story()
def upload_paths(w):
    """An upload cannot leave the work directory."""
    files = set(w.topdir().rglob("*escape*"))
    for path in ("../escape", "cli-build/../../escape", "a/../../../escape", "cli-build/\0escape", "tasks/1/../../../escape"):
        local = w.dir / "escape.txt"
        local.write_text("x")
        try:
            w.hub.upload(local, path)
        except (Fault, RuntimeError, xmlrpc.client.ProtocolError):
            continue
        that(False, f"an upload to {path!r} was accepted")
    w.renew()
    eq(set(w.topdir().rglob("*escape*")), files, "the files")
    for name in ("../x", "a/b", "..", ".hidden"):
        refused(w, lambda n=name: w.hub.call("checkUpload", "cli-build", n), "Invalid upload filename")


@story()
def anonymous_uploads(w):
    """Nobody uploads without a login."""
    local = w.dir / "anonymous.txt"
    local.write_text("x")
    try:
        w.new_hub().upload(local, "cli-build/anonymous")
        that(False, "an anonymous upload was accepted")
    except (Fault, RuntimeError):
        pass
    that(not list(w.topdir().rglob("anonymous.txt")), "the file is there")


def answers(w):
    """The hub still answers."""
    eq(w.new_hub().call("echo", 1), [1], "an echo after the attack")


@story()
def broken_xml(w):
    """XML that is cut, wrong, nested without end or full of entities gets a fault, not a hang or a crash."""
    whole = xmlrpc.client.dumps((1,), "echo").encode()
    deep = b"<?xml version='1.0'?><methodCall><methodName>echo</methodName><params><param>" + b"<value><array><data>" * 100_000
    lol = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)) + (
        b"]><methodCall><methodName>echo</methodName><params><param><value><string>&j;</string></value></param></params></methodCall>")
    external = (b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><methodCall><methodName>echo</methodName>'
                b"<params><param><value><string>&a;</string></value></param></params></methodCall>")
    # All of it closed again would exceed the size limit, so this one is less deep.
    most = deep[: deep.index(b"<value>")] + b"<value><array><data>" * 80_000
    closed = most + b"</data></array></value>" * 80_000 + b"</param></params></methodCall>"
    cases = {"cut": whole[:-20], "empty": b"", "not XML": b"hello", "deep": deep, "deep and closed": closed, "entities": lol,
             "external entity": external, "no method": b"<?xml version='1.0'?><methodCall></methodCall>",
             "bad int": whole.replace(b"<int>1</int>", b"<int>one</int>"), "bytes": b"\xff\xfe\x00" * 1000,
             "another document": b"<html><body/></html>"}
    for name, body in cases.items():
        status, answer = w.new_hub().post(body)
        text = answer.decode(errors="replace")
        that("root:" not in text, f"{name}: the answer has a file of the system")
        that(status in (200, 400, 413), f"{name}: HTTP {status}: {text[:300]}")
        if status == 200:
            that("<fault>" in text, f"{name}: no fault but {text[:300]}")
        answers(w)


@story()
def too_large(w):
    """A request above the size limit is refused at its announcement, without being read."""
    import http.client
    hub = w.new_hub()
    link = http.client.HTTPConnection(hub.host, hub.port, timeout=30)
    link.putrequest("POST", hub.path)
    link.putheader("Content-Type", "text/xml")
    link.putheader("Content-Length", str(1 << 40))
    link.endheaders()
    answer = link.getresponse()
    text = answer.read().decode(errors="replace")
    that(answer.status in (400, 413) and "too long" in text, f"HTTP {answer.status}: {text[:300]}")
    link.close()
    answers(w)


@story()
def wrong_arguments(w):
    """Calls with the wrong number or kind of arguments are refused by name, and change nothing."""
    refused(w, lambda: w.hub.call("getBuild"), "buildInfo")
    refused(w, lambda: w.hub.call("createTag"), "name")
    refused(w, lambda: w.hub.call("getTag", "x", nosuch=1), "nosuch")
    refused(w, lambda: w.hub.call("createTag", {"a": 1}))
    refused(w, lambda: w.hub.call("createTag", "with space\n"))
    refused(w, lambda: w.hub.call("createTag", ""))
    refused(w, lambda: w.new_hub().call("createTag", w.name("anon")), "")
    eq(w.hub.call("getTag", w.name("anon")), None, "the tag")
    answers(w)
