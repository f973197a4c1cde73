"""Building packages and looking at the result, with the stock client."""

import base64
import hashlib
import re
import time

from harness.command import run
from harness.rpms import query
from harness.story import eq, has, lacks, matches, story, that


@story(slow=True)
def build(w):
    """A build is submitted with progress, watched, imported, tagged, and told of by every looking command."""
    pkg, admin = w.name("pkg"), w.ready["admin_user"]
    target = w.target("t", [pkg])
    source = w.srpm(pkg, more="%package extra\nSummary: More\n%description extra\nMore.\n%files extra\n",
                    build="echo a line of the build log")
    nvr = f"{pkg}-1.0-1"

    said = w.koji("build", target, source, tty=True)
    task = w.task_of(said)
    has(said, f"Uploading srpm: {source}", "100%", f"Created task: {task}", f"Task info: {w.ready['web']}",
        f"taskinfo?taskID={task}", "Watching tasks (this may be safely interrupted)...",
        f"{task} build ({target}, {nvr}.src.rpm): ", f"{task} build ({target}, {nvr}.src.rpm) completed successfully")
    matches(said, rf"\s+\d+ buildArch \({nvr}\.src\.rpm, (noarch|x86_64)\): .*")
    matches(said, r"\s+0 free  0 open  \d done  0 failed")

    info = w.anonymous("buildinfo", nvr)
    matches(info, rf"BUILD: {nvr} \[\d+\]")
    has(info, "State: COMPLETE", f"Built by: {admin}", "Volume: DEFAULT", f"Task: {task} build ({target}, {nvr}.src.rpm)",
        f"Tags: {target}", f"packages/{pkg}/1.0/1/src/{nvr}.src.rpm", f"packages/{pkg}/1.0/1/noarch/{nvr}.noarch.rpm",
        f"packages/{pkg}/1.0/1/noarch/{pkg}-extra-1.0-1.noarch.rpm")
    has(w.anonymous("buildinfo", "--changelog", nvr), "* Sun Nov 22 2026 A Packager <packager@example.com> - 1.0-1", "- Make it")

    rpm = w.anonymous("rpminfo", f"{nvr}.noarch")
    path = w.topdir("packages", pkg, "1.0", "1", "noarch", f"{nvr}.noarch.rpm")
    matches(rpm, rf"RPM: {nvr}\.noarch \[\d+\]")
    has(rpm, f"SIGMD5: {query(path, '%{SIGMD5}')}", f"Size: {path.stat().st_size}", "License: MIT",
        f"SRPM: {nvr} [", f"(tag {target}-build, arch x86_64, repo ", "Build Host: ", "Build Task: ")

    matches(w.anonymous("list-tagged", target), rf"{nvr}\s+{target}\s+{admin}")
    matches(w.anonymous("list-tagged", "--inherit", "--latest", f"{target}-build"), rf"{nvr}\s+{target}\s+{admin}")
    has(w.anonymous("list-tagged", "--rpms", target), f"{nvr}.noarch", f"{nvr}.src", f"{pkg}-extra-1.0-1.noarch")
    matches(w.anonymous("latest-build", target, pkg), rf"{nvr}\s+{target}\s+{admin}")
    has(w.anonymous("list-builds", "--package", pkg), nvr, "COMPLETE")
    has(w.anonymous("list-history", "--build", nvr), f"{nvr} tagged into {target} by {admin} [still active]")

    tree = w.anonymous("taskinfo", "-v", "-r", str(task))
    has(tree, f"Task: {task}", "Type: build", f"Owner: {admin}", "State: closed", f"Build: {nvr} (", "Request Parameters:", "Type: rebuildSRPM",
        f"Build Target: {target}", "Type: buildArch", "Type: tagBuild", "build.log", "root.log", "Host: ")
    has(w.koji("list-tasks", "--mine", "--method", "build", "--all", "--after", "2020-01-01"), f"build ({target}, {nvr}.src.rpm)")
    check_files(w, nvr)


def check_files(w, nvr):
    """What the database says about the build's packages is what lies in the file root."""
    record = w.hub.call("getBuild", nvr)
    base = w.topdir("packages", record["name"], record["version"], record["release"])
    for rpm in w.hub.call("listRPMs", record["id"]):
        path = base / rpm["arch"] / f"{rpm['nvr']}.{rpm['arch']}.rpm"
        eq(path.stat().st_size, rpm["size"], f"the size of {path.name}")
        eq(query(path, "%{SIGMD5}"), rpm["payloadhash"], f"the digest of {path.name}")
        sums = w.hub.call("getRPMChecksums", rpm["id"], ["sha256"])
        eq([list(v.values())[0] for v in sums.values()], [hashlib.sha256(path.read_bytes()).hexdigest()], f"sha256 of {path.name}")
    logs = {log["path"].rsplit("/data/logs/", 1)[-1] for log in w.hub.call("getBuildLogs", nvr)}
    that(any(name.endswith("/build.log") for name in logs), f"no build.log among {logs}")


@story(slow=True)
def scratch(w):
    """A scratch build leaves its packages in scratch/, and no build."""
    pkg = w.name("scratch")
    target = w.target()
    said = w.build(target, w.srpm(pkg), "--scratch")
    task = w.task_of(said)
    has(said, "completed successfully")
    eq(w.hub.call("getBuild", f"{pkg}-1.0-1"), None, "the build")
    files = list(w.topdir("scratch", w.ready["admin_user"], f"task_{task}").rglob(f"{pkg}-1.0-1.noarch.rpm"))
    eq(len(files), 1, "the number of packages in scratch/")
    w.anonymous("download-task", "--noprogress", str(task))
    eq(sorted(p.name for p in w.dir.glob("*.rpm")), [f"{pkg}-1.0-1.noarch.rpm", f"{pkg}-1.0-1.src.rpm"], "the downloads")


@story(slow=True)
def with_debuginfo(w):
    """A C program is compiled for x86_64, with debuginfo and debugsource packages, and the program runs."""
    pkg = w.name("prog")
    target = w.target("t", [pkg])
    source = w.srpm(
        pkg, arch="x86_64", build="printf '#include <stdio.h>\\nint main(void) { puts(\"it runs\"); return 0; }\\n' > p.c\n"
        "gcc -g -O2 -o prog p.c", install=f"install -D prog %{{buildroot}}/usr/bin/{pkg}", files=f"/usr/bin/{pkg}")
    w.build(target, source)
    names = {(r["name"], r["arch"]) for r in w.hub.call("listRPMs", w.hub.call("getBuild", f"{pkg}-1.0-1")["id"])}
    that({(pkg, "src"), (pkg, "x86_64"), (f"{pkg}-debuginfo", "x86_64")} <= names, f"found {names}")
    rpm = w.topdir("packages", pkg, "1.0", "1", "x86_64", f"{pkg}-1.0-1.x86_64.rpm")
    run("sh", "-c", f"rpm2cpio {rpm} | cpio -id --quiet", cwd=w.dir)
    eq(run(w.dir / "usr/bin" / pkg).out, "it runs\n", "the program's output")
    check_files(w, f"{pkg}-1.0-1")


@story(slow=True)
def downloads(w):
    """download-build fetches the packages whole, download-logs the logs."""
    pkg = w.name("dl")
    target = w.target("t", [pkg])
    task = w.task_of(w.build(target, w.srpm(pkg, build="echo find this line")))
    nvr = f"{pkg}-1.0-1"
    (w.dir / "rpms").mkdir()
    w.anonymous("download-build", "--noprogress", nvr, cwd=w.dir / "rpms")
    got = {p.name for p in (w.dir / "rpms").iterdir()}
    eq(got, {f"{nvr}.src.rpm", f"{nvr}.noarch.rpm"}, "the downloads")
    for name in got:
        kept = next(w.topdir("packages", pkg).rglob(name))
        eq((w.dir / "rpms" / name).read_bytes(), kept.read_bytes(), name)
    (w.dir / "latest").mkdir()
    w.anonymous("download-build", "--noprogress", "--latestfrom", target, "--arch", "noarch", pkg, cwd=w.dir / "latest")
    eq([p.name for p in (w.dir / "latest").iterdir()], [f"{nvr}.noarch.rpm"], "the latest build's packages")
    said = w.anonymous("download-logs", "-r", str(task))
    has(said, "Downloading: ", "build.log")
    logs = list((w.dir / "kojilogs").rglob("build.log"))
    that(any("find this line" in p.read_text() for p in logs), f"the line is in none of {logs}")
    w.anonymous("download-logs", "--nvr", nvr, "-d", "bynvr")
    that(list((w.dir / "bynvr").rglob("build.log")), "no log by the build's name")
    has(w.anonymous("download-build", "no-such-1-1", code=1).err, "No such build: no-such-1-1")


@story(slow=True)
def needs_the_first(w):
    """A build whose BuildRequires is the build before: tagged, in the next repository, installed in the buildroot."""
    first, second = w.name("first"), w.name("second")
    target = w.target("t", [first, second])
    w.build(target, w.srpm(first))
    has(w.anonymous("wait-repo", f"{target}-build", "--build", f"{first}-1.0-1", "--timeout", "2"), "")
    w.build(target, w.srpm(second, build_requires=[first], build=f"grep '{first} 1.0' /usr/share/{first}/hello"))
    root = w.hub.call("listRPMs", w.hub.call("getBuild", f"{second}-1.0-1")["id"])
    used = {r["buildroot_id"] for r in root if r["arch"] == "noarch"}.pop()
    names = {r["name"] for r in w.hub.call("listRPMs", componentBuildrootID=used)}
    that(first in names, f"{first} is not in the listing of buildroot {used}: {names}")
    buildroots(w, target, f"{first}-1.0-1.noarch", f"{second}-1.0-1", used)


def buildroots(w, target, component, built, number):
    """What a buildroot held, what was built in it, and the mock configurations of it, its task and its tag."""
    said = w.anonymous("list-buildroot", str(number))
    that(said.out.startswith("Component RPMs:\n"), f"the first line of\n{said}")
    has(said, f"\n{component}\n")
    eq(w.anonymous("list-buildroot", "--built", str(number)).out, f"Built RPMs:\n{built}.noarch\n{built}.src\n", "what was built")
    eq(w.anonymous("list-buildroot", "999999").out, "", "the listing of no buildroot")
    root = w.hub.call("getBuildroot", number)
    repo, tag = f"/{target}-build/{root['repo_id']}/x86_64", f"{target}-build"
    made = w.anonymous("mock-config", "--buildroot", str(number), "--topurl", w.ready["files"])
    has(made, f"config_opts['root'] = '{tag}-repo_{root['repo_id']}'\n", "config_opts['target_arch'] = 'x86_64'\n",
        f"baseurl={w.ready['files']}/repos{repo}\\n", "config_opts['chroot_setup_cmd'] = 'install @build'\n")
    by_task = w.anonymous("mock-config", "--task", str(root["task_id"]), "--topurl", w.ready["files"])
    has(by_task, f"config_opts['root'] = '{tag}-task_{root['task_id']}'\n", f"/repos{repo}\\n")
    file = w.dir / "mock.cfg"
    w.anonymous("mock-config", "--tag", tag, "-a", "x86_64", "-n", "my-root", "-o", str(file), "--topurl", w.ready["files"])
    has(file.read_text(), "config_opts['root'] = 'my-root'\n", f"/repos/{tag}/{w.hub.call('getRepo', tag)['id']}/x86_64\\n")
    has(w.anonymous("mock-config", "--target", target, "-a", "x86_64", "--latest", "--topurl", w.ready["files"]), f"/repos/{tag}/latest/x86_64\\n")
    has(w.anonymous("mock-config", "--buildroot", "999999", code=1).err, "No such buildroot: 999999")
    has(w.anonymous("mock-config", "--task", "999999", code=1).err, "No buildroots for task 999999 (or no such task)")
    has(w.anonymous("mock-config", "--tag", "no-such-tag", "-a", "x86_64", code=2).err, "No such tag: no-such-tag")


@story(slow=True)
def unmet_requires(w):
    """A BuildRequires that nothing provides fails the build with its name."""
    pkg = w.name("unmet")
    target = w.target("t", [pkg])
    said = w.build(target, w.srpm(pkg, build_requires=["nothing-provides-this"]), code=1)
    has(said, "FAILED: BuildrootError" if "BuildrootError" in said.out else "FAILED: BuildError", " failed")
    task = w.task_of(said)
    that("nothing-provides-this" in w.hub.describe(task), f"the missing package is not named:\n{w.hub.describe(task)}")
    eq(w.hub.call("getBuild", f"{pkg}-1.0-1")["state"], 3, "the build's state")


@story(slow=True)
def failing_build(w):
    """A %build that fails: the task and the build fail, the log says why, and a better package of the same NVR can follow."""
    pkg = w.name("fails")
    target = w.target("t", [pkg])
    said = w.build(target, w.srpm(pkg, build="echo about to fail; exit 3"), code=1)
    task = w.task_of(said)
    has(said, "FAILED: BuildError", "Relevant logs:", f"build ({target}, {pkg}-1.0-1.src.rpm) failed")
    has(w.anonymous("buildinfo", f"{pkg}-1.0-1"), "State: FAILED")
    has(w.anonymous("taskinfo", "-r", str(task)), "State: failed")
    w.anonymous("download-logs", "-r", str(task))
    that(any("about to fail" in p.read_text() for p in (w.dir / "kojilogs").rglob("build.log")), "the log has no such line")
    that(list((w.dir / "kojilogs").rglob("task_failed.log")), "no task_failed.log")
    eq(w.hub.call("listTagged", target), [], "the tag's content")
    w.build(target, w.srpm(pkg, build="true"))
    has(w.anonymous("buildinfo", f"{pkg}-1.0-1"), "State: COMPLETE")


@story(slow=True)
def cancel_and_resubmit(w):
    """A running build is cancelled with its children and everything that ran; resubmitted, it runs again."""
    pkg = w.name("long")
    target = w.target("t", [pkg])
    flag = w.srpm(pkg, build="echo it has begun; sleep 600")
    task = w.task_of(w.koji("build", "--nowait", "--noprogress", target, flag))
    wait_for_log(w, task, "it has begun")
    w.koji("cancel", str(task))
    eq(w.hub.wait(task, 30, None)["state"], 3, "the task's state")
    for one in w.hub.call("getTaskChildren", task):
        that(w.hub.wait(one["id"], 30, None)["state"] in (2, 3), f"a child is {one}")
    has(w.anonymous("buildinfo", f"{pkg}-1.0-1"), "State: CANCELED")
    has(w.anonymous("watch-task", str(task), code=1), "was canceled")
    again = w.koji("resubmit", "--nowait", str(task))
    has(again, "Resubmitting the following task:", f"Resubmitted task {task} as new task ")
    new = again.number(r"as new task (\d+)")
    wait_for_log(w, new, "it has begun")
    w.koji("cancel", f"{pkg}-1.0-1")
    eq(w.hub.wait(new, 30, None)["state"], 3, "the state of the resubmitted task, cancelled by its build")
    has(w.koji("cancel", "999999", code=1).err, "999999")


def child(w, task, method):
    """The number of the task's child of that method, once there is one."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for one in w.hub.call("getTaskChildren", task):
            if one["method"] == method:
                return one["id"]
        if w.hub.call("getTaskInfo", task)["state"] in (2, 3, 5):
            break
        time.sleep(0.1)
    raise AssertionError(f"no {method} below\n{w.hub.describe(task)}")


def wait_for_log(w, task, line, name="build.log", timeout=120):
    """Returns when the line is in the log of the task's buildArch while it runs."""
    below = child(w, task, "buildArch")
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if name in w.hub.call("listTaskOutput", below):
            text = w.hub.call("downloadTaskOutput", below, name, 0, -1)
            text = text if isinstance(text, bytes) else base64.b64decode(text)
            if line.encode() in text:
                return below
        if w.hub.call("getTaskInfo", below)["state"] in (2, 3, 5):
            break
        time.sleep(0.1)
    raise AssertionError(f"{line!r} did not come while the task ran\n{w.hub.describe(task)}")


@story(slow=True)
def watch(w):
    """Logs can be read while they are written, and a task watched to its end."""
    pkg = w.name("watched")
    target = w.target("t", [pkg])
    source = w.srpm(pkg, build="echo early line; for i in 1 2 3 4; do sleep 1; echo step $i; done; echo late line")
    task = w.task_of(w.koji("build", "--nowait", "--noprogress", target, source))
    below = wait_for_log(w, task, "early line")
    eq(w.hub.call("getTaskInfo", below)["state"], 1, "the state of the task whose log was read")
    logs = w.anonymous("watch-logs", "--log", "build.log", str(below))
    has(logs, "early line", "step 4", "late line")
    said = w.anonymous("watch-task", str(task))
    has(said, "Watching tasks (this may be safely interrupted)...", f"{task} build ({target}, {pkg}-1.0-1.src.rpm) completed successfully")
    follow = w.anonymous("watch-logs", "-f", str(task))
    has(follow, "Watching logs (this may be safely interrupted)...", "build.log: <==", "late line")
    lacks(follow, "Traceback")
    has(w.anonymous("watch-task", "999999", code=1), "No such task id: 999999")


@story(slow=True)
def tagging(w):
    """A build is tagged, moved and untagged; the tags' content and history follow."""
    pkg = w.name("tagged")
    target = w.target("t", [pkg])
    other, third = w.name("other"), w.name("third")
    for tag in (other, third):
        w.koji("add-tag", tag)
        w.koji("add-pkg", "--owner", w.ready["admin_user"], tag, pkg)
    nvr = f"{pkg}-1.0-1"
    w.build(target, w.srpm(pkg))
    said = w.koji("tag-build", "--wait", other, nvr)
    matches(said, r"Created task \d+")
    has(said, f"tagBuild (noarch)", "completed successfully")
    has(w.anonymous("list-tagged", other), nvr)
    twice = w.koji("tag-build", "--wait", other, nvr, code=1)
    has(twice.out + twice.err, "TagError" if "TagError" in twice.out + twice.err else "already")
    w.koji("move-build", "--wait", other, third, nvr)
    lacks(w.anonymous("list-tagged", other), nvr)
    has(w.anonymous("list-tagged", third), nvr)
    has(w.koji("untag-build", "-v", third, nvr), f"untagging {nvr}")
    lacks(w.anonymous("list-tagged", third), nvr)
    history = w.anonymous("list-history", "--build", nvr)
    has(history, f"{nvr} tagged into {other} by", f"{nvr} untagged from {other} by", f"{nvr} tagged into {third} by",
        f"{nvr} untagged from {third} by", f"{nvr} tagged into {target} by {w.ready['admin_user']} [still active]")
    has(w.koji("tag-build", "--wait", "nosuch", nvr, code=1).err, "nosuch")
    has(w.koji("untag-build", third, nvr, code=1).err, f"Build {nvr} not in tag {third}")


@story(slow=True)
def latest_of_several(w):
    """The latest build is the one that was tagged last, whatever its version."""
    pkg = w.name("several")
    target = w.target("t", [pkg])
    for version in ("2.0", "1.0"):
        w.build(target, w.srpm(pkg, version))
    said = w.anonymous("latest-build", target, pkg)
    has(said, f"{pkg}-1.0-1")
    lacks(said, f"{pkg}-2.0-1")
    eq(len(re.findall(rf"^{pkg}-", w.anonymous("list-tagged", target).out, re.MULTILINE)), 2, "the number of builds in the tag")
    eq(len(re.findall(rf"^{pkg}-", w.anonymous("list-tagged", "--latest", target).out, re.MULTILINE)), 1, "the number of latest builds")
