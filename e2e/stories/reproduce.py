"""Determinism: finished builds are built again from what is stored of them, and compared with what came out the first time."""

import contextlib
import hashlib
import xmlrpc.client

from harness import universe
from harness.builders import TojiBuilder, add_host
from harness.command import run
from harness.rpms import from_spec, query
from harness.server import Server
from harness.story import eq, has, lacks, story, that
from stories.chroots import log_of, task_of

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
    return TojiBuilder(w, name, own.toji, own={"buildroot": "chroot"}, **conf)


def later(w, own, first):
    """Another builder in the place of the first, 400 days later, elsewhere on the disk, who calls itself otherwise."""
    w.koji("disable-host", "day-0")
    first.end()
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
