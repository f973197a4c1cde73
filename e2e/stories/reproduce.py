"""Determinism: finished builds are built again from what is stored of them, and compared with what came out the first time."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import xmlrpc.client
from pathlib import Path

from harness import universe
from harness.builders import TojiBuilder, add_host
from harness.command import run
from harness.hub import TaskFailed
from harness.rpms import from_spec, query
from harness.server import Server
from harness.story import PASSWORD, eq, has, lacks, story, that
from harness.terminal import Terminal
from stories.chroots import LEFT_OUT, build_releases, log_of, task_of, with_needs
from stories.upstream import releases

SPEC = """Name: {name}
Version: 1
Release: 1
Summary: A story
License: MIT
{head}
%global debug_package %{{nil}}
%description
d
%build
date +'today is %Y-%m-%d'
{build}
%install
mkdir -p %{{buildroot}}/usr/share/{name}
cp * %{{buildroot}}/usr/share/{name}/
%files
/usr/share/{name}
{changelog}
"""
CHANGELOG = "%changelog\n* Wed Jan 01 2025 A Packager <packager@example.com> - 1-1\n- Make it\n"
DATED = "1735732800"

# Adds as many days to the clock as the host's name ends with.
CLOCK = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t shift(void) {
    char name[256] = "";
    FILE *file = fopen("/etc/hostname", "r");
    if (file) { if (!fgets(name, sizeof name, file)) name[0] = 0; fclose(file); }
    char *days = strrchr(name, '-');
    return days ? 86400L * atol(days + 1) : 0;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return result;
}
int timespec_get(struct timespec *now, int base) { return clock_gettime(CLOCK_REALTIME, now) ? 0 : base; }
time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *restrict to, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    to->tv_sec = now.tv_sec;
    to->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


def source(w, name, build, head="", changelog=CHANGELOG):
    """The source package of a spec file with this %build."""
    directory = w.dir / f"spec-{name}"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.spec").write_text(SPEC.format(name=name, build=build, head=head, changelog=changelog))
    return from_spec(directory / f"{name}.spec", directory)


def sum_of(path):
    """A file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def days(own, names, base):
    """A world with a target whose roots have the clock of their builder's name, and that builder: as if it were today."""
    server = Server(own.toji, own.dir / "data", extra=["--no-builder"]).start()
    try:
        with universe.served(own.toji) as url:
            w = own.world(server)
            first = builder(w, own, "day-0")
            try:
                target = universe.target(w, url, base, ["clock", *names])
                clock = f"cat >c.c <<'END'\n{CLOCK}END\ngcc -shared -fPIC -O2 -o clock.so c.c\n"
                w.build(target, source(w, "clock", clock))
                for group in ("build", "srpm-build"):
                    w.koji("add-group-pkg", f"{target}-build", group, "clock")
                w.koji("edit-tag", "-x", "toji.reproducible=true", "-x", "rpm.env.LD_PRELOAD=/usr/share/clock/clock.so", f"{target}-build")
                yield w, target, first
            finally:
                first.end()
    finally:
        server.stop()


def builder(w, own, name, **conf):
    """A builder of packages alone that has this name."""
    add_host(w, name)
    # Comparisons that wait for their builds are jobs, too.
    return TojiBuilder(w, name, own.toji, own={"buildroot": "chroot", "buildroot_cache_size": 2000}, **conf)


def later(w, own, first):
    """Another builder in the place of the first, 400 days later, elsewhere on the disk, who calls itself otherwise."""
    w.koji("disable-host", "day-0")
    first.end()
    shutil.rmtree(first.workdir)
    return builder(w, own, "day-400", packager="Another", vendor="Another", distribution="Another")


def toji_compare(w, own, *argv, code=0):
    """Runs `toji rebuild-compare` as the administrator."""
    return run(own.toji, "rebuild-compare", "--server", w.ready["hub"], "--user", w.ready["admin_user"], *argv, code=code, stdin=w.ready["admin_password"].encode())


@story(own=True, slow=True)
def rebuild_compare(own):
    """Packages are the same bit for bit under another clock, path and builder; of one that has time and chance in it, the files are named."""
    good, bad, undated = "same", "other", "undated"
    with days(own, [good, bad, undated], "again") as (w, target, first):
        steady = "echo 'char *when(void) { return __DATE__ __TIME__; }' >a.c\ngcc -g -c a.c\ndate -d @$SOURCE_DATE_EPOCH >one\nsleep 1\necho more >two\n"
        tasks = [w.task_of(w.build(target, source(w, good, steady)))]
        w.build(target, source(w, undated, "echo one >one", changelog=""))
        embeds = "echo same >one\ndate +%s.%N >clock\nhead -c 8 /dev/urandom | od >noise\nhostname >host\nchmod $(($(date +%s) / 86400 % 2 + 4))44 host"
        w.build(target, source(w, bad, embeds))
        file = w.topdir("packages", good, "1", "1", "x86_64", f"{good}-1-1.x86_64.rpm")
        eq(query(file, "%{BUILDHOST} %{BUILDTIME}"), f"reproducible {DATED}", "host and time")
        eq(set(query(file, "[%{FILEMTIMES} ]").split()), {DATED}, "the times of the files")
        before = sum_of(file)

        second = later(w, own, first)
        try:
            compared = toji_compare(w, own, f"{good}-1-1")
            eq(compared.out, f"equal     {good}-1-1.x86_64.rpm\n1 of 1 packages are the same\n", "what is said of a package that is the same")
            tasks.append(w.hub.call("listTasks", {"method": "rebuildCompare"}, {"order": "-id"})[0]["id"])
            logs = [log_of(w, task_of(w, task)["id"]) for task in tasks]
            dates = [next(line for line in log.splitlines() if line.startswith("today is")) for log in logs]
            that(dates[0][9:13] < dates[1][9:13], f"the days of the two builds: {dates}")
            has(log_of(w, tasks[1], "rebuild-compare.log"), "of day-0: again by day-400 in task ")
            has(toji_compare(w, own, f"{undated}-1-1"), "1 of 1 packages are the same\n")
            differs(w, own, bad)
        finally:
            second.end()
        eq(sum_of(file), before, "the stored package")
        eq(len(w.hub.call("listBuilds", packageID=w.hub.call("getPackageID", good))), 1, "the number of builds")
        refused(w, good)


def differs(w, own, bad):
    """The files that differ are named, each with what differs, and no others."""
    said = toji_compare(w, own, f"{bad}-1-1", code=1)
    place = f"/usr/share/{bad}"
    has(said, f"different {bad}-1-1.x86_64.rpm\n", f"    {place}/clock contents: ", f"    {place}/noise contents: ",
        f"    {place}/host contents: ", "0 of 1 packages are the same\n")
    lacks(said, f"{place}/one ", " time: ", "BUILDTIME", "BUILDHOST", "VENDOR")
    has(said.err, "the packages differ")
    task = w.hub.call("listTasks", {"method": "rebuildCompare"}, {"order": "-id"})[0]["id"]
    result = w.hub.call("getTaskResult", task)
    (rpm,) = result["rpms"]
    eq((result["equal"], rpm["equal"]), (False, False), "whether it is the same")
    eq({d["file"] for d in rpm["differences"] if d["file"]}, {f"{place}/{name}" for name in ("clock", "noise", "host")}, "the files")
    eq(toji_compare(w, own, "--task", task, code=1).out, said.out, "what is said when the task is asked for again")


def refused(w, good):
    """Everybody with a login may compare what there is."""
    user = w.user()
    w.as_user(user, "call", "rebuildCompare", f"{good}-1-1")
    w.as_user(user, "call", "rebuildCompare", f"{good}-9-9", code=1)
    try:
        w.new_hub().call("rebuildCompare", f"{good}-1-1")
        that(False, "somebody without a login may submit")
    except xmlrpc.client.Fault as fault:
        has(fault.faultString, "logged in")


@story(own=True, slow=True)
def at_home(own):
    """An ordinary user does builds of the hub again: what succeeded gives the same packages, what failed fails alike, and there is a shell."""
    good, bad = "same", "broken"
    with days(own, [good, bad], "home") as (w, target, first), home() as mine:
        steady = "echo 'char *when(void) { return __DATE__ __TIME__; }' >a.c\ngcc -g -c a.c\n"
        done = w.task_of(w.build(target, source(w, good, steady, head="BuildRequires: m4")))
        failed = w.task_of(w.build(target, source(w, bad, "m4 --version\ngcc -c missing.c"), code=1))
        first.end()
        toji = mine / "toji"
        shutil.copy(own.toji, toji)

        def reproduce(*argv, **more):
            user = ["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups"]
            return run(*user, toji, "reproduce", "--server", w.ready["hub"], *argv, cwd=mine, env={"HOME": str(mine)}, **more)

        task = task_of(w, done)["id"]
        said = reproduce("--print", done)
        (lock,) = w.hub.call("solve.lockfiles", f"{good}-1-1")
        digests = {package["digest"] for package in json.loads(lock["lockfile"])["packages"]}
        eq({line.split()[-1] for line in said.out.splitlines() if " sha256:" in line}, digests, "the packages that are printed")
        has(said, f"task {task} (buildArch of {good}-1-1.src.rpm for x86_64)", f"lockfile {lock['digest']}\n", "    %clamp_mtime_to_source_date_epoch 1\n",
            f"    SOURCE_DATE_EPOCH={DATED}\n", "    rpmbuild -bb --nodeps --target x86_64 SPECS/*.spec\n")
        that(not (mine / ".cache/toji/chroots").exists(), "printing has made a root")

        said = reproduce(done)
        has(said, f"\nequal     {good}-1-1.x86_64.rpm\n", f"task {task} was done again, with the same result\n")
        made = mine / f".cache/toji/again/{task}/result/{good}-1-1.x86_64.rpm"
        eq(sum_of(made), sum_of(w.topdir("packages", good, "1", "1", "x86_64", made.name)), "the package that was made")

        child = task_of(w, failed)["id"]
        said = reproduce(failed, code=1)
        has(said, "m4: not found", f"task {child} failed here, as on the hub\n")
        fault = w.hub.call("getTaskResult", child, raise_fault=False)["faultString"]
        has(said.out, *fault.splitlines()[:2])

        script = f"id -un; rpm -q m4; ls SPECS; hostname; echo $SOURCE_DATE_EPOCH\nrpmbuild -bb --nodeps SPECS/{good}.spec >/dev/null 2>&1 && ls RPMS\nexit 3\n"
        said = reproduce("--shell", "--no-build", task, stdin=script.encode())
        has(said, "\nm4-", f"\n{good}.spec\nday-0\n{DATED}\n{good}-1-1.x86_64.rpm\n")
        for other in [w.hub.call("listTasks", {"method": "tagBuild"}, {"order": "-id"})[0]["id"], 987654]:
            reproduce(other, code=1)


@story(own=True, slow=True)
def shell_in_a_failed_root(own):
    """What a failed build has left can be looked at by its owner, by command lines that the policy allows; nobody else."""
    with days(own, ["broken"], "kept") as (w, target, first):
        user = w.user()
        w.koji("grant-permission", "--new", "guest", user)
        broken = "echo kept >left\nmkdir sub\nexit 3"
        failed = w.task_of(w.build(target, source(w, "broken", broken), "--scratch", code=1))
        root = w.hub.call("listBuildroots", taskID=task_of(w, failed)["id"])[0]["id"]

        def shell(name, password, *argv, lines="", code=0):
            return run(own.toji, "shell", "--server", w.ready["hub"], "--user", name, failed, *argv, code=code, stdin=f"{password}\n{lines}".encode())

        boss = (w.ready["admin_user"], w.ready["admin_password"])
        said = shell(*boss, lines="pwd; id -un; cat BUILD/left; hostname\ncd BUILD/sub\npwd; echo more >../left\ncat ../left; ls /builddir/build/SPECS\n")
        eq(said.out, "/builddir/build\nbuilder\nkept\nday-0\n/builddir/build/BUILD/sub\nmore\nbroken.spec\n", "what the lines say")
        has(shell(*boss, "--command", "touch /usr/bin/x; exit 4", code=1).err, "the command ended with 4")
        has(shell(*boss, "--command", "kill -9 $$", code=1).err, "the command ended with was ended by signal 9")
        has(shell(*boss, "--command", "cat BUILD/left"), "more\n")
        logs = w.hub.call("listTasks", {"method": "runInFailedTree"}, {"order": "-id"})
        that(len(logs) == 7, f"{len(logs)} tasks")
        has(log_of(w, logs[0]["id"], "command.log"), "more\n")

        has(shell(user, PASSWORD, "--command", "true", code=1).err, "Only the owner of the failed task and admin can do this via default policy")
        done = w.task_of(w.build(target, source(w, "broken", "echo whole >one"), "--scratch"))
        try:
            w.hub.call("runInFailedTree", w.hub.call("listBuildroots", taskID=task_of(w, done)["id"])[0]["id"], "true")
            that(False, "a root of a build that succeeded was entered")
        except xmlrpc.client.Fault as fault:
            has(fault.faultString, "has not failed")
        shutil.rmtree(first.workdir / "failed" / str(root))
        has(shell(*boss, "--command", "true", code=1).err, f"buildroot {root} is not kept, or no longer")


@story()
def asked_on_a_terminal(w):
    """On a terminal `toji shell` asks for the password, and shows nothing of it."""
    task = w.hub.call("makeTask", "sleep", [0])
    w.hub.wait(task, 60)
    name, password = w.ready["admin_user"], w.ready["admin_password"]
    talk = Terminal(w.server.toji, "shell", "--server", w.ready["hub"], "--user", name, task)
    said = talk.expect(f"Password of {name}: ").say(password).end(1)
    lacks(said, password)
    has(said, f"task {task}")


# A number that no user of the machine has.
SOMEBODY = 62345


@contextlib.contextmanager
def home():
    """The home directory of somebody."""
    with tempfile.TemporaryDirectory() as place:
        os.chown(place, SOMEBODY, SOMEBODY)
        yield Path(place)


@story(own=True, slow=True, hand=True)
def all_releases(own):
    """All upstream releases (of them TOJI_RELEASES, and what these need) twice from their lockfiles, the second time 400 days later: prints what differs."""
    every = [name for name, _, _ in [*releases(), *releases("rest")] if name not in LEFT_OUT]
    names = with_needs(os.environ.get("TOJI_RELEASES", "").split()) or every
    with days(own, names, "twice") as (w, target, first):
        build_releases(w, target, names)
        second = later(w, own, first)
        try:
            builds = [w.hub.call("getLatestBuilds", target, package=name)[0]["nvr"] for name in names]
            tasks = {nvr: w.hub.call("rebuildCompare", nvr) for nvr in builds}
            same = [nvr for nvr, task in tasks.items() if is_same(w, nvr, task)]
        finally:
            second.end()
        print(f"{len(same)} of {len(tasks)} releases are the same, bit for bit", flush=True)
        if names == every:
            that(len(same) >= 25, f"only {len(same)} releases are the same")


def is_same(w, nvr, task):
    """Whether a build came out the same again; prints that, and what differs."""
    try:
        w.hub.wait(task, timeout=3000)
    except TaskFailed as error:
        print(f"{nvr:30} failed: {error}", flush=True)
        return False
    result = w.hub.call("getTaskResult", task)
    print(f"{nvr:30} {'the same' if result['equal'] else 'different'}, {len(result['rpms'])} packages", flush=True)
    for rpm in result["rpms"]:
        for one in rpm["differences"][:8]:
            print(f"    {rpm['name']}: {one['file'] or ''} {one['what']}: {one['first']} / {one['again']}"[:220], flush=True)
    return result["equal"]
