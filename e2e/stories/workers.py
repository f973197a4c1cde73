"""Builders of different kinds on one hub: the stock client library's polling protocol and `toji builder`."""

import base64
import shutil
import signal
import time
import xml.etree.ElementTree as tree
from pathlib import Path

from harness import stock
from harness.builders import StockWorker, TojiBuilder, add_host
from harness.command import run
from harness.fronts import KojiFront
from harness.gpg import Keyring
from harness.hub import Fault
from harness.nginx import PlainNginx
from harness.program import Program
from harness.repodata import parts, unpack
from harness.rpms import binary_rpm, spec
from harness.server import Server
from harness.story import eq, has, lacks, story, that

# Every call of builders that a Koji hub has.
HOST_CALLS = set("""
    getID updateHost getLoadData getHost openTask closeTask failTask freeTasks setTaskWeight setHostData getTasks refuseTask
    getHostTasks taskSetWait taskWait taskWaitResults subtask subtask2 moveBuildToScratch moveMavenBuildToScratch
    moveWinBuildToScratch moveImageBuildToScratch initBuild completeBuild completeImageBuild initMavenBuild createMavenBuild
    completeMavenBuild importArchive importWrapperRPMs initImageBuild initWinBuild completeWinBuild failBuild tagBuild
    importImage tagNotification checkPolicy assertPolicy evalPolicy newBuildRoot setBuildRootState setBuildRootList
    updateBuildRootList updateBuildrootArchives updateMavenBuildRootList repoInit repoDone distRepoMove isEnabled
    writeSignedRPM""".split())


def start(own, name="server", extra=("--no-builder",)):
    """A server of the story's own with a world around it."""
    server = Server(own.toji, own.dir / name, extra=extra).start()
    return own.world(server, f"{name}-world")


def make_task(w, method, *args, channel="default", **options):
    """Makes a task and returns its number."""
    return w.hub.call("makeTask", method, list(args), channel=channel, arch="noarch", **options)


def result(w, task, timeout=120):
    """What a task returned, at its end."""
    w.hub.wait(task, timeout)
    return w.hub.call("getTaskResult", task)


def output(w, task, name):
    """The text of a file of a task."""
    found = w.hub.call("downloadTaskOutput", task, name)
    return (found if isinstance(found, bytes) else base64.b64decode(found)).decode(errors="replace")


@story(own=True, slow=True)
def stock_library(own):
    """A worker made of koji.daemon and koji.tasks does everything that a hub can ask of a builder, by polling alone."""
    w = start(own, extra=["--no-builder", "--no-repositories"])
    worker = None
    try:
        add_host(w, "stock", channels=["maven", "vm", "image", "livemedia"])
        worker = StockWorker(w, "stock")
        own_kinds(w)
        target = w.target("t", ["first", "second"])
        repositories(w, target)
        builds(w, target)
        others(w, target)
        stuck = w.hub.call("listTasks", {"state": [0, 1, 4]})
        eq([(t["id"], t["method"]) for t in stuck], [], "unfinished tasks")
        running = make_task(w, "sleep", 600)
        opened(w, running)
        eq(worker.end(120), 0, "the exit code of the worker")
        # The library gives its tasks back before it says that it takes no more, so this one may have been given to it once more.
        that(w.hub.call("getTaskInfo", running)["state"] in (0, 4), "the task of a worker that has ended is still open")
        eq(w.hub.call("getHost", "stock")["ready"], False, "whether the host takes tasks")
        missing = HOST_CALLS - {name.removeprefix("host.") for name in worker.made()}
        eq(len(HOST_CALLS), 51, "the calls of builders")
        eq(sorted(missing), [], "the calls that the worker never made")
    finally:
        if worker:
            worker.kill()
        w.server.stop()


def own_kinds(w):
    """Kinds of tasks that only the worker knows."""
    eq(result(w, make_task(w, "sumOfSquares", [2, 3, 4])), {"sum": 29, "failed": 0}, "the sum")
    eq(result(w, make_task(w, "sumOfSquares", [2, -3], {"canfail": True})), {"sum": 4, "failed": 1}, "the sum with a failed child")
    failed = make_task(w, "sumOfSquares", [-1, 5])
    eq(w.hub.wait(failed, 120, "FAILED")["method"], "sumOfSquares", "the parent of a failed child")
    try:
        w.hub.call("getTaskResult", failed)
        that(False, "the failed parent has a result")
    except Fault as fault:
        has(fault.faultString, "-1 is negative")
    late = make_task(w, "impatient", 1)
    w.hub.wait(late, 120, "FAILED")
    eq([t["state"] for t in w.hub.call("getTaskChildren", late)], [3], "the states of the children of the impatient")
    told = result(w, make_task(w, "housekeeping", w.hub.call("createTag", w.name("house"))))
    eq((told["enabled"], told["hosts"], told["granted"]), (True, 1, True), "what the host knows of itself")
    task = told["mine"][0]
    eq({o: int(s["st_size"]) for o, s in w.hub.call("listTaskOutput", task, stat=True).items()},
       {"slow.log": told["size"], "below/whole.txt": told["size"]}, "the files of the task")
    refused = {method: make_task(w, method) for method in ("picky", "neverHere")}
    for method, soft, text in (("picky", True, "not today"), ("neverHere", False, "failed host check")):
        question = [["task_id", refused[method]]]
        seen = lambda: w.hub.call("scheduler.getTaskRefusals", question)
        eq([(r["soft"], r["msg"], r["by_host"]) for r in until(seen, f"refusal of {method}")], [(soft, text, True)], f"the refusal of {method}")
    for task in refused.values():
        w.hub.call("cancelTask", task)


def until(done, what, timeout=60):
    """Waits for something true and returns it."""
    deadline = time.monotonic() + timeout
    while not (found := done()):
        that(time.monotonic() < deadline, f"no {what} after {timeout} s")
        time.sleep(0.1)
    return found


def opened(w, task):
    """Waits until a builder has the task."""
    until(lambda: w.hub.call("getTaskInfo", task)["state"] == 1, f"opening of task {task}")


def repositories(w, target):
    """The repository of the build tag, by createrepo_c on the worker."""
    task = w.hub.call("newRepo", f"{target}-build")
    repo = result(w, task)
    info = w.hub.call("repoInfo", repo)
    eq((info["state"], info["task_id"]), (1, task), "the repository")
    that(w.topdir("repos", f"{target}-build", str(repo), "x86_64/repodata/repomd.xml").is_file(), "no repomd.xml")


def builds(w, target):
    """Builds with the stock client: to the end, one on top of another, a failing one, a scratch one; a repository to ship."""
    nodebug = {"arch": "x86_64", "header": "%global debug_package %{nil}\n"}
    has(w.build(target, w.srpm("first", **nodebug)), "completed successfully")
    build = w.hub.call("getBuild", "first-1.0-1")
    eq((build["state"], [t["name"] for t in w.hub.call("listTags", build["id"])]), (1, [target]), "the build and its tags")
    rpms = w.hub.call("listBuildRPMs", build["id"])
    eq(sorted(r["arch"] for r in rpms), ["src", "x86_64"], "the packages")
    that(all(r["buildroot_id"] for r in rpms), "a package has no buildroot")
    has(w.topdir("packages/first/1.0/1/data/logs/x86_64/build.log").read_text(), "rpmbuild")
    result(w, w.hub.call("newRepo", f"{target}-build"))
    w.build(target, w.srpm("second", arch="noarch"))
    root = next(r["buildroot_id"] for r in w.hub.call("listBuildRPMs", "second-1.0-1") if r["arch"] == "noarch")
    eq([r["nvr"] for r in w.hub.call("listRPMs", componentBuildrootID=root)], ["first-1.0-1"], "what was in the second's buildroot")
    broken = w.koji("build", "--wait", "--noprogress", target, w.srpm("second", "2.0", build="exit 7"), code=1)
    has(broken, "see build.log for more information")
    eq(w.hub.call("getBuild", "second-2.0-1")["state"], 3, "the state of the failed build")
    scratch = w.task_of(w.build(target, w.srpm("third"), "--scratch"))
    that(any(w.topdir("scratch").rglob("third-1.0-1.noarch.rpm")), "no scratch result")
    eq(w.hub.call("listBuilds", taskID=scratch), [], "builds of the scratch task")
    signed(w, target)
    task = w.hub.call("distRepo", target, [KEY], arch=["x86_64"])
    result(w, task)
    repo = w.hub.call("getRepo", target, dist=True)
    that(w.topdir("repos-dist", target, str(repo["id"]), "x86_64/Packages/f/first-1.0-1.x86_64.rpm").is_file(), "no package")


KEY = "stockworker"


def signed(w, target):
    """Gives the packages a signature under a name, so that a signed repository can be made of them."""
    home = Keyring(w.dir / "gpg")
    key = home.make("worker")
    for rpm in w.hub.call("listTaggedRPMS", target)[0]:
        name = f"{rpm['name']}-{rpm['version']}-{rpm['release']}.{rpm['arch']}.rpm"
        copy = w.dir / name
        shutil.copy(w.topdir("packages", rpm["name"], rpm["version"], rpm["release"], rpm["arch"], name), copy)
        home.sign(key, copy)
        w.koji("import-sig", "--sigkey", KEY, copy)


def others(w, target):
    """Maven, Windows and image builds, and their scratch ones."""
    dest = w.hub.call("getTag", target)["id"]
    for pkg in ("org.example-lib", "w", "disk", "more", "wrapped"):
        w.hub.call("packageListAdd", dest, pkg, w.ready["admin_user"])
    eq(result(w, make_task(w, "maven", "git://x", target, {"artifact": "lib"})), "org.example-lib-1.0-1", "the Maven build")
    eq(result(w, make_task(w, "winbuild", "vm", "w", target)), "w-1.0-1", "the Windows build")
    eq(result(w, make_task(w, "image", "disk", "1", ["x86_64"], target, "tree")), "disk-1-1", "the image build")
    eq(result(w, make_task(w, "livemedia", "more", target)), "more-2-1", "the imported image")
    for method, args in (("maven", ["git://x", target, {"artifact": "lib", "scratch": True}]), ("winbuild", ["vm", "w", target, {"scratch": True}]),
                         ("image", ["disk", "1", ["x86_64"], target, "tree", {"scratch": True}])):
        result(w, make_task(w, method, *args))
    nvr = {"name": "wrapped", "version": "1.0", "release": "1", "epoch": None}
    w.hub.call("createImageBuild", nvr)
    build, info = w.hub.call("getBuild", "wrapped-1.0-1"), w.hub.call("getBuildTarget", target)
    names = result(w, make_task(w, "wrapperRPM", "git://spec", info, build, None, {"spec": spec("wrapped")}))
    eq(names, ["wrapped-1.0-1.noarch.rpm"], "the wrapper's packages")
    eq(sorted(r["arch"] for r in w.hub.call("listBuildRPMs", build["id"])), ["noarch", "src"], "the packages of the wrapped build")


@story(own=True, slow=True)
def side_by_side(own):
    """The stock library's worker and `toji builder` share a hub: each has an arch, a channel and work that either may take."""
    w = start(own)
    stock = ours = None
    try:
        add_host(w, "stock", "i386", ["stock-only"])
        add_host(w, "ours", "x86_64", ["ours-only"])
        stock, ours = StockWorker(w, "stock"), TojiBuilder(w, "ours", own.toji)
        ours.says("live connection")
        names = {w.hub.call("getHost", n)["id"]: n for n in ("stock", "ours")}
        host_of = lambda task: names[w.hub.call("getTaskInfo", task)["host_id"]]
        alone = {c: make_task(w, "sleep", 0, channel=c) for c in ("stock-only", "ours-only")}
        for channel, task in alone.items():
            w.hub.wait(task, 60)
            eq(f"{host_of(task)}-only", channel, "the host of a channel of its own")
        target = w.target("t")
        w.koji("edit-tag", f"{target}-build", "--arches", "x86_64 i686")
        nodebug = {"arch": "x86_64", "header": "%global debug_package %{nil}\n"}
        packages = [f"both{n}" for n in range(4)]
        w.koji("add-pkg", "--owner", w.ready["admin_user"], target, *packages)
        tasks = [w.hub.call("build", w.hub.upload(w.srpm(p, **nodebug), f"cli-build/{p}"), target, {}) for p in packages]
        shared = [make_task(w, "sleep", 1) for _ in range(12)]
        for task in tasks + shared:
            w.hub.wait(task, 300)
        for package in packages:
            build = w.hub.call("getBuild", f"{package}-1.0-1")
            eq((build["state"], [t["name"] for t in w.hub.call("listTags", build["id"])]), (1, [target]), package)
            eq(sorted(r["arch"] for r in w.hub.call("listBuildRPMs", build["id"])), ["i686", "src", "x86_64"], f"the packages of {package}")
        for arch, name in (("i386", "stock"), ("x86_64", "ours")):
            found = [t["id"] for t in w.hub.call("listTasks", {"method": "buildArch", "arch": [arch]})]
            eq((len(found), {host_of(t) for t in found}), (4, {name}), f"who built for {arch}")
        eq({host_of(t) for t in shared}, {"stock", "ours"}, "who took what either may take")
        runs = w.hub.call("scheduler.getTaskRuns", [["task_id", "IN", shared]])
        eq(len(runs), len(shared), "how often a shared task was given away")
    finally:
        stop_all(w, stock, ours)


def stop_all(w, *processes):
    """Ends builders and then the server."""
    for process in processes:
        if process:
            process.end()
    w.server.stop()


@story(own=True, slow=True)
def polling_only(own):
    """`toji builder` completes a build for a hub that offers no live connection: a front end passes on plain requests alone."""
    w = start(own)
    front = PlainNginx(w.dir / "nginx", w.server.address).start()
    builder = None
    try:
        add_host(w, "poller")
        # A configuration as a site has it: options of its plugins, and sections of nobody, are no reason to stop.
        builder = TojiBuilder(w, "poller", own.toji, server=f"{front.url}/kojihub", topurl=f"{front.url}/kojifiles", sleeptime=1,
                              plugin="runroot", mockuser="kojibuilder", an_option_of_a_plugin="yes", sections={"plugin": {"x": "y"}})
        builder.says("not honoured")
        target = w.target("t", ["polled"])
        has(w.build(target, w.srpm("polled")), "completed successfully")
        eq(w.hub.call("getBuild", "polled-1.0-1")["state"], 1, "the state of the build")
        long = make_task(w, "sleep", 600)
        opened(w, long)
        w.koji("cancel", str(long))
        builder.says("taken away")
        lacks(builder.said(), "live connection host=")
        eq(builder.end(), 0, "the exit code of the builder")
        eq(w.hub.call("getHost", "poller")["ready"], False, "whether the host takes tasks")
    finally:
        front.stop()
        stop_all(w, builder)


@story(own=True, slow=True)
def koji_hub(own):
    """`toji builder` makes repositories for a hub that has no more than Koji's calls: by createrepo_c beside the hub's files, external ones merged in."""
    w = start(own, extra=["--no-builder", "--no-repositories"])
    front = KojiFront(w.server.address, HOST_CALLS)
    builder = None
    try:
        add_host(w, "maker")
        builder = TojiBuilder(w, "maker", own.toji, server=f"{front.url}/kojihub", topurl=f"{front.url}/kojifiles", sleeptime=1,
                              topdir=w.ready["topdir"])
        target = w.target("t", ["first", "second"])
        repo = lambda: result(w, w.hub.call("newRepo", f"{target}-build"))[0]
        empty = repo()
        at = lambda number, *more: w.topdir("repos", f"{target}-build", str(number), "x86_64", *more)
        that(at(empty, "repodata/EMPTY_REPO").is_file(), "the empty repository does not say so")
        has(w.build(target, w.srpm("first")), "completed successfully")
        task = w.hub.call("newRepo", f"{target}-build")
        eq(named(at(result(w, task)[0])), [("first", "1.0")], "the packages of the repository")
        child = w.hub.call("getTaskChildren", task)[0]["id"]
        has(output(w, child, "createrepo.log"), "createrepo_c --error-exit-val", "--update --skip-stat")
        # The package is in the next one's buildroot by way of this repository.
        has(w.build(target, w.srpm("second", build_requires=["first"])), "completed successfully")
        root = w.hub.call("listBuildRPMs", "second-1.0-1")[0]["buildroot_id"]
        has([r["nvr"] for r in w.hub.call("listRPMs", componentBuildrootID=root)], "first-1.0-1")
        outside = w.dir / "outside"
        outside.mkdir()
        for name in ("first", "foreign"):
            shutil.copy(binary_rpm(w.dir, name, "9.0")[1], outside)
        run("createrepo_c", "-q", outside)
        w.koji("add-external-repo", "-t", f"{target}-build", "-p", "10", w.name("outside"), f"file://{outside}/")
        # Koji's way of merging: what the tag has, an external repository cannot replace.
        eq(named(at(repo())), [("first", "1.0"), ("foreign", "9.0"), ("second", "1.0")], "the packages of the merged repository")
        needed = {"host.createRepo", "host.uploadToken"}
        that(needed <= front.refused, f"calls that the front refused: {front.refused}")
        lacks(builder.said(), "live connection host=")
    finally:
        front.stop()
        stop_all(w, builder)


def named(repo):
    """Names and versions in a repository's list of packages."""
    space = "{http://linux.duke.edu/metadata/common}"
    found = tree.fromstring(unpack(parts(repo)["primary"])).iter(f"{space}package")
    return sorted((p.find(f"{space}name").text, p.find(f"{space}version").get("ver")) for p in found)


@story(own=True, slow=True)
def signals(own):
    """SIGUSR1 drains a builder and starts it anew, SIGTERM and SIGHUP end it: its tasks go to another."""
    w = start(own)
    builder = None
    try:
        add_host(w, "obedient")
        builder = TojiBuilder(w, "obedient", own.toji)
        running = make_task(w, "sleep", 6)
        opened(w, running)
        builder.signal(signal.SIGUSR1)
        builder.says("draining")
        until(lambda: not w.hub.call("getHost", "obedient")["ready"], "word that the builder drains")
        later = make_task(w, "sleep", 0)
        w.hub.wait(running, 60)
        builder.says("starting anew")
        w.hub.wait(later, 60)
        one, two = (w.hub.call("getTaskInfo", t) for t in (running, later))
        that(two["start_ts"] >= one["completion_ts"], "a task was begun while the builder drained")
        eq(builder.said().count("logged in host="), 2, "how often it logged in")
        that(builder.process.poll() is None, "the process is another one")
        for number in (signal.SIGTERM, signal.SIGHUP):
            task = make_task(w, "sleep", 600)
            opened(w, task)
            builder.signal(number)
            eq(builder.wait(), 0, f"the exit code after signal {number}")
            eq([w.hub.call("getTaskInfo", task)[k] for k in ("state", "host_id")], [0, None], "the task")
            w.koji("cancel", str(task))
            builder = TojiBuilder(w, "obedient", own.toji)
    finally:
        stop_all(w, builder)


def admin(w, own, *words, code=0):
    """Runs `toji admin` as the administrator."""
    secret = w.dir / "admin.password"
    secret.write_text(w.ready["admin_password"] + "\n")
    return run(Path(own.toji).resolve(), "admin", *words, "--server", w.ready["hub"], "--user", w.ready["admin_user"],
               "--password-file", secret, code=code)


@story(own=True, slow=True)
def enrolment(own):
    """A builder enrols with a token and builds; it is revoked in the middle of a task, which goes to another; the token is worth nothing then."""
    w = start(own)
    first = second = None
    try:
        w.koji("add-channel", "heavy")
        channels = "default,createrepo,heavy"
        token = admin(w, own, "builder-token", "--arches", "x86_64,i686", "--channels", channels, "--expires", "10m").out.strip()
        place = w.dir / "enrolled"
        conf = stock.conf(w.dir / "builder.conf", kojid={"server": w.ready["hub"], "minspace": 0, "sleeptime": 2}, toji={"max_load": 0})
        words = [Path(own.toji).resolve(), "builder", "--config", conf, "--workdir"]
        first = Program("enrolled", w.dir, [*words, place, "--enrol", token, "--name", "enrolled"])
        first.says("live connection")
        kept = place / "credential.json"
        eq(kept.stat().st_mode & 0o777, 0o600, "the mode of the credential's file")
        lacks(kept.read_text(), token)
        host = w.hub.call("getHost", "enrolled")
        eq((host["arches"], sorted(c["name"] for c in w.hub.call("listChannels", host["id"]))), ("x86_64 i686", sorted(channels.split(","))), "the host")
        has(admin(w, own, "builder-tokens"), " used name=-", f"host={host['id']}")
        again = run(words[0], "builder", "--config", w.dir / "none.conf", "--server", w.ready["hub"], "--workdir", w.dir / "other",
                    "--enrol", token, "--name", "other", code=1)
        has(again.out + again.err, "the token is unknown, used up or out of date")
        target = w.target("t", ["enrolled-pkg"])
        has(w.build(target, w.srpm("enrolled-pkg")), "completed successfully")
        # Restarted, it logs in with what it has kept; without a token and without a password.
        eq(first.end(), 0, "the exit code")
        first = Program("enrolled", w.dir, [*words, place])
        until(lambda: first.said().count("live connection") == 2, "second live connection")
        task = make_task(w, "sleep", 5, channel="heavy")
        opened(w, task)
        begin = time.monotonic()
        said = admin(w, own, "builder-revoke", "enrolled")
        has(said, "enrolled was revoked", f"tasks that others get: {task}")
        eq([w.hub.call("getTaskInfo", task)[k] for k in ("state", "host_id")], [0, None], "the task of the revoked builder")
        eq(first.wait(30), 1, "the exit code of the revoked builder")
        print(f"     the revoked builder had ended {time.monotonic() - begin:.2f} s after the call began")
        locked = run(*words, place, code=1)
        has(locked.out + locked.err, "invalid username or password")
        add_host(w, "heir", channels=["heavy"])
        second = TojiBuilder(w, "heir", own.toji)
        w.hub.wait(task, 60)
        eq(w.hub.call("getTaskInfo", task)["host_id"], w.hub.call("getHost", "heir")["id"], "who finished the task")
        has(admin(w, own, "builder-remove", "enrolled"), "enrolled was removed")
        eq(w.hub.call("getHost", "enrolled")["enabled"], False, "the removed host")
        named = admin(w, own, "builder-token", "--arches", "x86_64", "--name", "enrolled").out.strip()
        first = Program("enrolled", w.dir, [*words, w.dir / "anew", "--enrol", named, "--name", "enrolled"])
        until(lambda: first.said().count("live connection") == 3, "third live connection")
    finally:
        stop_all(w, first, second)


@story(own=True, slow=True)
def limits(own):
    """A build that hangs, one that is silent and one that writes without end are ended, each with the name of its limit."""
    w = start(own)
    builder = None
    try:
        add_host(w, "strict")
        builder = TojiBuilder(w, "strict", own.toji, rpmbuild_timeout=20, own={"silence_timeout": 4, "log_size_limit": 1})
        target = w.target("t")
        chatty = "while :; do echo still here; sleep 0.5; done"
        for name, build, reason in (("silent", "sleep 600", "wrote no output for longer than allowed"),
                                    ("endless", "yes 'a line that is written again and again'", "wrote more output than allowed"),
                                    ("hanging", chatty, "ran longer than allowed")):
            said = w.build(target, w.srpm(name, build=build), "--scratch", code=1)
            has(said, reason)
            task = w.task_of(said)
            arch = next(t["id"] for t in w.hub.call("getTaskDescendents", task, request=True)[str(task)] if t["method"] == "buildArch")
            has(output(w, arch, "build.log")[-2000:], reason)
        eq(w.hub.call("scheduler.getTaskRefusals"), [], "tasks that were given back")
    finally:
        stop_all(w, builder)


@story(own=True, slow=True)
def infrastructure(own):
    """What fails because of the machine is done by another builder; what fails everywhere ends with the reason; a bad package fails at once."""
    w = start(own)
    broken = sound = None
    try:
        add_host(w, "broken")
        add_host(w, "sound")
        sound = TojiBuilder(w, "sound", own.toji)
        target = w.target("t", ["moved"])
        w.hub.wait_repo(f"{target}-build")
        w.koji("disable-host", "sound")
        # Its disk is full with the first file.
        broken = TojiBuilder(w, "broken", own.toji, room="4k")
        task = w.hub.call("build", w.hub.upload(w.srpm("moved"), "cli-build/moved"), target, {})
        given_back = lambda: [t["id"] for t in w.hub.call("getTaskChildren", task)
                              if w.hub.call("scheduler.explain", t["id"]).get("returned")]
        [moved] = until(given_back, "task that was given back", 60)
        eq(w.hub.call("scheduler.getTaskRefusals"), [], "refusals while no other builder could do it")
        why = w.hub.call("scheduler.explain", moved)
        has(why["reason"], "a builder gave it back (1), it is tried again in")
        has(output(w, moved, "returned.log"), "gave task back (1 of 4), tried again in", why["returned_reason"])
        w.koji("enable-host", "sound")
        w.koji("disable-host", "broken")
        w.hub.wait(task, 120)
        eq(w.hub.call("getTaskInfo", moved)["host_id"], w.hub.call("getHost", "sound")["id"], "who did it")
        before = len(w.hub.call("scheduler.getTaskRefusals"))
        w.build(target, w.srpm("bad", build="exit 3"), "--scratch", code=1)
        eq(len(w.hub.call("scheduler.getTaskRefusals")), before, "tasks given back after a failing package")
    finally:
        stop_all(w, broken, sound)
