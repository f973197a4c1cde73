"""Work in buildroots for its own sake: commands, kept trees, and builders that start anew."""

import tarfile

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
