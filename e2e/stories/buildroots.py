"""Work in buildroots for its own sake: commands, kept trees, and builders that start anew."""

import base64
import tarfile

from harness.builders import TojiBuilder, add_host
from harness.hub import Fault
from harness.server import Server
from harness.story import eq, has, story, that


@story(slow=True)
def runroot(w):
    """A command runs in a buildroot of a tag; its output comes back, and its failure."""
    target = w.target("root")
    w.koji("grant-permission", "--new", "runroot", w.ready["admin_user"], code=None)
    said = w.koji("runroot", "--use-shell", f"{target}-build", "x86_64", "echo out of the root; echo 2 >&2; id -un")
    has(said, "out of the root")
    task = max(t["id"] for t in w.hub.call("listTasks", {"method": "runroot"}))
    eq(w.hub.call("getTaskResult", task), "echo completed successfully", "the result")
    root = w.hub.call("listBuildroots", taskID=task)[0]
    eq(root["state"], 3, "the state of the buildroot")
    failed = w.koji("runroot", "--use-shell", f"{target}-build", "x86_64", "exit 7", code=None)
    that(failed.code != 0, "a failed command is no failure")
    unsafe = w.koji("runroot", "--mount", "/etc", f"{target}-build", "x86_64", "true", code=None)
    that(unsafe.code != 0, "a mount was accepted")
    wanted = ["/tmp/kept.log", "/tmp/none.log", "/tmp/linked.log"]
    script = "echo kept inside >/tmp/kept.log; ln -s /tmp/kept.log /tmp/linked.log"
    task = w.hub.call("runroot", f"{target}-build", "x86_64", script, upload_logs=wanted)
    w.hub.wait(task)
    that({"kept.log", "linked.log"} <= set(w.hub.call("listTaskOutput", task)), f"the files are {w.hub.call('listTaskOutput', task)}")
    for name in ("kept.log", "linked.log"):
        eq(base64.b64decode(w.hub.call("downloadTaskOutput", task, name)), b"kept inside\n", f"what is in {name}")


@story(slow=True)
def save_failed_tree(w):
    """The buildroot of a failed build is uploaded for its owner."""
    pkg = w.name("tree")
    target = w.target("tree", [pkg])
    said = w.build(target, w.srpm(pkg, build="echo evidence > kept-file; exit 3"), code=1)
    task = w.task_of(said)
    child = next(t["id"] for t in w.hub.call("getTaskDescendents", task)[str(task)] if t["method"] == "buildArch")
    said = w.koji("save-failed-tree", "--quiet", str(child))
    root = w.hub.call("listBuildroots", taskID=child)[0]["id"]
    saver = max(t["id"] for t in w.hub.call("listTasks", {"method": "saveFailedTree"}))
    eq(w.hub.call("listTaskOutput", saver), [f"broot-{root}.tar.gz"], "what was uploaded")
    archive = w.topdir("work", "tasks", str(saver % 10000), str(saver), f"broot-{root}.tar.gz")
    names = tarfile.open(archive).getnames()
    that(any(name.endswith("/kept-file") for name in names), f"no kept-file among {names[:20]}")
    try:
        w.hub.call("saveFailedTree", 999999999)
        that(False, "a buildroot that does not exist was accepted")
    except Fault as fault:
        eq(fault.faultString, "No such buildroot: 999999999", "the fault")


@story(own=True, slow=True)
def restart_hosts(own):
    """The builder starts anew, which a second task confirms, and goes on building."""
    server = Server(own.toji, own.dir / "data").start()
    try:
        w = own.world(server)
        has(w.koji("restart-hosts", "--wait"), "completed successfully")
        tasks = w.hub.call("listTasks", {"method": "restartVerify"})
        eq([task["state"] for task in tasks], [2], "the states of the confirming tasks")
        target = w.target("again")
        has(w.build(target, w.srpm("again"), "--scratch"), "completed successfully")
    finally:
        server.stop()


@story(own=True, slow=True)
def limits_that_must_hold(own):
    """A builder that must hold a limit which its machine only watches gives work back, with the reason; one that can hold its limits does it."""
    server = Server(own.toji, own.dir / "data", extra=["--no-builder"])
    server.data.mkdir(parents=True)
    (server.data / "hub.conf").write_text("[hub]\nReturnPause = 1\n")
    server.start()
    try:
        w = own.world(server)
        target = w.target("strict")
        picky, able = start(w, own, "picky", {"file_count_limit": 50000, "require_limits": "time files"}), None
        try:
            w.koji("request-repo", "--wait", "--timeout", "5", "--current", f"{target}-build")
            task = w.task_of(w.koji("build", "--nowait", "--noprogress", "--scratch", target, w.srpm("strict")))
            picky.says("this builder must hold the limit of files, and has: watched")
            # Somebody who can is there now.
            able = start(w, own, "able", {"silence_timeout": 300, "require_limits": "time silence output"})
            w.hub.wait(task, timeout=120)
            done = w.hub.call("getTaskDescendents", task)[str(task)]
            eq({w.hub.call("getHost", t["host_id"])["name"] for t in done}, {"able"}, "who did the work")
            refused = w.hub.call("scheduler.getTaskRefusals", [["task_id", "IN", [t["id"] for t in done]]])
            that(all("the limit of files" in r["msg"] for r in refused), f"other refusals: {refused}")
            arch = next(t["id"] for t in done if t["method"] == "buildArch")
            has(base64.b64decode(w.hub.call("downloadTaskOutput", arch, "hw_info.log")).decode(), "silence: supervisor", "files: no limit")
        finally:
            picky.end()
            if able:
                able.end()
    finally:
        server.stop()


def start(w, own, name, settings):
    """A builder with these settings."""
    add_host(w, name)
    return TojiBuilder(w, name, own.toji, own=settings)
