"""kill -9 of the whole process while it builds, ten times: nothing acknowledged is lost, nothing is half done."""

import hashlib
import os
import random
import threading
import time

from harness.hub import BUILD_STATES, TASK_STATES, Hub
from harness.rpms import query, srpm
from harness.server import Server
from harness.story import eq, story, that

KILLS = int(os.environ.get("TOJI_E2E_KILLS", "10"))


class Caller(threading.Thread):
    """Makes tags until the hub dies, and remembers those that it acknowledged."""

    def __init__(self, url, session, prefix):
        super().__init__(daemon=True)
        self.hub, self.prefix, self.made = Hub(url, timeout=10), prefix, []
        self.hub.session = session

    def run(self):
        for n in range(10_000):
            name = f"{self.prefix}-{n}"
            try:
                self.hub.call("createTag", name)
            except Exception:
                return
            self.made.append(name)


@story(own=True, slow=True)
def kill_nine(own):
    """Ten random moments of a build; after each restart every acknowledged call is there and the build ends."""
    seed = int(os.environ.get("TOJI_E2E_SEED", random.randrange(10**6)))
    moments = random.Random(seed)
    server = Server(own.toji, own.dir / "data").start()
    try:
        server.listen = server.address
        w = own.world(server)
        target = w.target("t")
        duration = timed_build(w, target, "warm-up")
        for n in range(KILLS):
            try:
                one_kill(w, server, target, f"victim{n}", moments.uniform(0.0, 1.1 * duration))
            except Exception as error:
                raise AssertionError(f"kill {n + 1} of {KILLS} with TOJI_E2E_SEED={seed}: {error}\n{server.log_tail(30)}") from error
        eq(server.stop(), 0, "the exit code after SIGTERM")
    finally:
        if server.alive():
            server.kill()


def submit(w, target, pkg):
    """Starts a build of a new package and returns its task."""
    admin = w.ready["admin_user"]
    w.hub.call("packageListAdd", target, pkg, admin)
    source = srpm(w.dir, pkg, build="for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.1; done", header="")
    return w.hub.call("build", w.hub.upload(source, f"cli-build/{pkg}"), target, {})


def timed_build(w, target, pkg):
    """Seconds from submission to the end of an undisturbed build."""
    begin = time.monotonic()
    w.hub.wait(submit(w, target, pkg))
    return time.monotonic() - begin


def one_kill(w, server, target, pkg, delay):
    """Kills the server `delay` seconds into a build, starts it again and looks."""
    task = submit(w, target, pkg)
    caller = Caller(w.ready["hub"], w.new_hub().login(w.ready["admin_user"], w.ready["admin_password"]).session, f"ack-{pkg}")
    caller.start()
    time.sleep(delay)
    server.kill()
    caller.join(30)
    server.start()
    w.renew()
    w.hub.call("echo", pkg)
    for name in caller.made:
        that(w.hub.call("getTag", name) is not None, f"createTag({name!r}) was acknowledged but the tag is not there")
    that(w.hub.call("getTaskInfo", task) is not None, f"task {task} was acknowledged but is not there")
    end = TASK_STATES[w.hub.wait(task, 120, None)["state"]]
    if end != "CLOSED":
        # A build that cannot be taken up again may fail, but then it must be possible to repeat it.
        again = w.hub.call("resubmitTask", task)
        w.hub.wait(again, 120)
    eq(w.hub.call("getBuild", f"{pkg}-1.0-1")["state"], 1, f"the state of {pkg}-1.0-1 after {delay:.2f} s")
    no_task_is_stuck(w)
    nothing_is_half(w)


def no_task_is_stuck(w):
    """Every task has an end, or waits with nobody's name on it."""
    deadline = time.monotonic() + 60
    while True:
        stuck = w.hub.call("listTasks", {"state": [0, 1, 4]})
        if not stuck:
            return
        that(time.monotonic() < deadline, f"tasks without an end: {[(t['id'], t['method'], TASK_STATES[t['state']]) for t in stuck]}")
        time.sleep(0.2)


def nothing_is_half(w):
    """Complete builds have all their files, whole; there are no files of packages that no build has."""
    known = set()
    for build in w.hub.call("listBuilds"):
        rpms = w.hub.call("listRPMs", build["build_id"])
        state = BUILD_STATES[build["state"]]
        if state != "COMPLETE":
            eq(rpms, [], f"the packages of {build['nvr']}, which is {state}")
            continue
        that(len(rpms) >= 2, f"{build['nvr']} is complete with {len(rpms)} packages")
        for rpm in rpms:
            path = w.topdir("packages", build["name"], build["version"], build["release"], rpm["arch"], f"{rpm['nvr']}.{rpm['arch']}.rpm")
            known.add(path)
            that(path.is_file(), f"{path} is missing")
            eq(path.stat().st_size, rpm["size"], f"the size of {path}")
            eq(query(path, "%{SIGMD5}"), rpm["payloadhash"], f"the digest of {path}")
            for sums in w.hub.call("getRPMChecksums", rpm["id"], ["sha256"]).values():
                eq(sums["sha256"], hashlib.sha256(path.read_bytes()).hexdigest(), f"sha256 of {path}")
    packages = w.topdir("packages")
    stray = set(packages.rglob("*.rpm")) - known if packages.exists() else set()
    eq(stray, set(), "files of packages that no complete build has")
    for tag in {t["name"] for t in w.hub.call("listTags") if t["name"].endswith("-build")}:
        repo = w.hub.call("getRepo", tag)
        if repo:
            base = w.topdir("repos", tag, str(repo["id"]), "x86_64/repodata/repomd.xml")
            that(base.is_file(), f"repository {repo['id']} is READY without {base}")
