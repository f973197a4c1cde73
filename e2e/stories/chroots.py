"""Buildroots of packages alone: upstream releases, roots without anything of the host, and spec files that try to break out."""

import base64
import json
import os
import re
import stat
import time
from pathlib import Path

from harness import universe
from harness.builders import TojiBuilder, add_host
from harness.rpms import from_spec
from harness.server import Server
from harness.story import eq, has, lacks, story, that
from stories.upstream import HERE, ROOT, releases, run, watch_all

# The releases that every run builds; `./x test chroots.all_releases` builds them all.
CHOSEN = ["hello", "tinyxml2", "oniguruma", "jq"]
# Needs a compiler that is larger than all the rest.
LEFT_OUT = ["hexyl"]
# Sources of many megabytes.
LARGE = ["boost"]


def spec(directory, name, text):
    """The source package of a spec file of a story."""
    directory = directory / f"spec-{name}"
    directory.mkdir(parents=True, exist_ok=True)
    head = f"Name: {name}\nVersion: 1\nRelease: 1\nSummary: A story\nLicense: MIT\n"
    (directory / f"{name}.spec").write_text(head + text)
    return from_spec(directory / f"{name}.spec", directory)


def task_of(w, parent, method="buildArch"):
    """The child of a task that did the work."""
    return next(t for t in w.hub.call("getTaskDescendents", parent)[str(parent)] if t["method"] == method)


def log_of(w, task, name="build.log"):
    """A log of a task."""
    return base64.b64decode(w.hub.call("downloadTaskOutput", task, name)).decode(errors="replace")


def fails(w, target, source, *options):
    """Builds what must fail; returns the reason in the task's result, and the task of the arch."""
    said = w.build(target, source, "--scratch", *options, code=1)
    return said.out + said.err, task_of(w, w.task_of(said))["id"]


@story(own=True, slow=True)
def releases_in_roots(own):
    """Upstream releases are built in roots of the distribution's packages, one on another; what they need is found out in rounds."""
    server = Server(own.toji, own.dir / "data").start()
    try:
        with universe.served(own.toji) as url:
            w = own.world(server)
            target = universe.target(w, url, "roots", [*CHOSEN, "asking"])
            build_releases(w, target, CHOSEN)
            finds_out(w, target)
            nothing_of_the_host(w, target)
            wrong_ones(w, target)
        eq(server.stop(), 0, "the exit code after SIGTERM")
    finally:
        server.stop()


@story(own=True, slow=True)
def planned_by_the_hub(own):
    """A build that was tagged a moment ago is in the next root, without a repository of it; the root's lockfile says so."""
    server = Server(own.toji, own.dir / "data").start()
    try:
        with universe.served(own.toji) as url:
            w = own.world(server)
            target = universe.target(w, url, "planned", ["library", "program"])
            files = "%description\nd\n%install\nmkdir -p %{{buildroot}}/usr/share/{0}\n%files\n/usr/share/{0}\n"
            w.build(target, spec(w.dir, "library", "BuildArch: noarch\n" + files.format("library")))
            needs = "BuildArch: noarch\nBuildRequires: library = 1-1, (library if bash)\n"
            said = w.build(target, spec(w.dir, "program", needs + files.format("program")))
            parent = w.task_of(said)
            methods = {t["method"] for tasks in w.hub.call("getTaskDescendents", parent).values() for t in tasks}
            lacks(" ".join(methods), "waitrepo", "newRepo")
            has(log_of(w, task_of(w, parent)["id"], "root.log"), "planned by the hub at event ")
            lockfile_of_program(w, own.toji)
            said, child = fails(w, target, spec(w.dir, "needy", "BuildRequires: no-such-package\n%description\nd\n%files\n"))
            has(said, "No matching package to install: no-such-package")
            has(log_of(w, child, "root.log"), "No matching package to install: 'no-such-package'")
    finally:
        server.stop()


def lockfile_of_program(w, toji):
    """What is kept with the buildroot is what was installed in it."""
    (kept,) = w.hub.call("solve.lockfiles", "program-1-1")
    that(kept["planned"], "the hub has not planned the buildroot")
    text = run(toji, "solve", "lockfile", "--server", w.ready["hub"], "program-1-1").out
    eq(text, kept["lockfile"], "what toji prints")
    lock = json.loads(text)
    (library,) = [p for p in lock["packages"] if p["name"] == "library"]
    eq(lock["repositories"][library["repository"]], {"kind": "hub"}, "where the library is from")
    inside = {r["name"] for r in w.hub.call("listRPMs", componentBuildrootID=kept["buildroot_id"])}
    eq(inside, {p["name"] for p in lock["packages"]}, "what is installed")


@story(own=True, slow=True, hand=True)
def all_releases(own):
    """All upstream releases, those that only roots of the distribution build included; of them TOJI_RELEASES, and what these need."""
    server = Server(own.toji, own.dir / "data").start()
    try:
        with universe.served(own.toji) as url:
            w = own.world(server)
            every = [name for name, _, _ in [*releases(), *releases("rest")] if name not in LEFT_OUT]
            names = with_needs(os.environ.get("TOJI_RELEASES", "").split()) or every
            target = universe.target(w, url, "all", [*names, "asking"])
            build_releases(w, target, names)
            if names == every:
                of_all_kinds(names)
                finds_out(w, target)
                nothing_of_the_host(w, target)
                wrong_ones(w, target)
    finally:
        server.stop()


def with_needs(wanted):
    """These releases and the ones whose packages they need."""
    every = [*releases(), *releases("rest")]
    gives = {package.rsplit(".", 1)[0]: name for name, packages, _ in every for package in packages}
    needed = [gives[need] for name, _, needs in every if name in wanted for need in needs]
    return wanted if set(needed) <= set(wanted) else with_needs([*dict.fromkeys([*wanted, *needed])])


def of_all_kinds(names):
    """Enough of them, and enough that are more than a program."""
    that(len(names) >= 30, f"only {len(names)} releases")
    specs = [(HERE / name / f"{name}.spec").read_text() for name in names]
    upstreams_tests = r"%check\n(?:.*\n)*?(?:make|%make_build) (?:check|test)|%ctest|tests/jqtest"
    for pattern, least in [(r"\n%package ", 8), (r"\n%check\n", 30), (upstreams_tests, 8), (r"\n%generate_buildrequires\n", 1)]:
        count = sum(bool(re.search(pattern, text)) for text in specs)
        that(count >= least, f"only {count} releases have {pattern.strip()}")
    largest = max(path.stat().st_size for name in names for path in (ROOT / ".x/upstream" / name).iterdir())
    that(largest > 50 << 20, f"the largest source has {largest} bytes")


def build_releases(w, target, chosen):
    """The waves of builds, and what must come out; prints what each has taken."""
    sources = ROOT / ".x/upstream"
    run(HERE / "fetch", sources, *chosen, timeout=900)
    # The largest first.
    todo = sorted((entry for entry in [*releases(), *releases("rest")] if entry[0] in chosen), key=lambda entry: entry[0] not in LARGE)
    begin, wrong = time.monotonic(), []
    for needy in (False, True):
        wave = [name for name, _, needs in todo if bool(needs) == needy]
        tasks, failed = watch_all(w, target, [run(HERE / "srpm", name, sources, w.dir / "srpms").out.split()[-1] for name in wave])
        wrong += failed
        print("\n".join(f"{name:20} {seconds(w, task)}" for name, task in zip(wave, tasks)), flush=True)
    print(f"{len(todo)} releases in {time.monotonic() - begin:.0f} s", flush=True)
    that(not wrong, "\n".join(wrong))
    for name, packages, _ in todo:
        (build,) = w.hub.call("getLatestBuilds", target, package=name)
        rpms = w.hub.call("listRPMs", build["id"])
        eq({f"{r['name']}.{r['arch']}" for r in rpms if r["arch"] != "src"}, packages, f"the packages of {build['nvr']}")
        root = next(r["buildroot_id"] for r in rpms if r["arch"] == "x86_64" or r["arch"] == "noarch")
        inside = {r["name"] for r in w.hub.call("listRPMs", componentBuildrootID=root)}
        that({"gcc-12", "libc6", "rpm", "coreutils"} <= inside, f"the buildroot of {name} lists {sorted(inside)[:20]}")


def seconds(w, task):
    """How long the tasks of a build worked: the source package's and the arch's."""
    children = sorted(w.hub.call("getTaskDescendents", task)[str(task)], key=lambda t: t["id"])
    times = [w.hub.call("getTaskInfo", child["id"]) for child in children if child["method"] in ("rebuildSRPM", "buildArch")]
    return " ".join(f"{t['completion_ts'] - t['start_ts']:6.1f}" if t["completion_ts"] else "     -" for t in times)


def finds_out(w, target):
    """A spec file whose answer depends on what is there: two rounds, each with more."""
    source = spec(w.dir, "asking", "BuildArch: noarch\n%description\nd\n%generate_buildrequires\necho 'python3dist(wheel)'\n"
                  "if python3 -c 'import wheel'; then echo tcl; fi\n%build\npython3 -c 'import wheel'\necho 'puts found' | tclsh\n"
                  "%install\nmkdir -p %{buildroot}/usr/share/asking\n%files\n/usr/share/asking\n")
    said = w.build(target, source, "--scratch")
    log = log_of(w, task_of(w, w.task_of(said))["id"])
    has(log, "\nfound\n")
    that(log.count("$ rpmbuild -br ") == 3, f"{log.count('$ rpmbuild -br ')} rounds")


def nothing_of_the_host(w, target):
    """A root has the files of its packages and no others; the command is root in it."""
    w.koji("grant-permission", "--new", "runroot", w.ready["admin_user"], code=None)
    script = "id -u; rpm -qf /* /usr/bin/* /usr/sbin/* /usr/lib/rpm/* /etc/* | grep 'not owned'; " \
        "ls /root /home /usr/bin/dpkg /usr/bin/dnf /usr/bin/bwrap /usr/bin/cargo; hostname -f; echo end"
    said = w.koji("runroot", "--use-shell", f"{target}-build", "x86_64", script)
    has(said, "end\n", "cannot access '/usr/bin/dnf'", "cannot access '/usr/bin/bwrap'")
    that(said.out.splitlines()[0] == "0", f"the command is {said.out.splitlines()[0]}")
    # Made for the build: names of the machine, users, time zone.
    known = {"/builddir", "/etc/hosts", "/etc/hostname", "/etc/localtime", "/etc/ld.so.cache", "/etc/rpm"}
    stray = {line.split()[1] for line in said.out.splitlines() if "not owned" in line} - known
    eq(stray, set(), "files that no package has")


def wrong_ones(w, target):
    """What cannot be built fails with a reason."""
    said, _ = fails(w, target, spec(w.dir, "needy", "BuildRequires: no-such-package\n%description\nd\n%files\n"))
    has(said, "No matching package to install: no-such-package")
    said, child = fails(w, target, spec(w.dir, "broken", "%description\nd\n%build\necho 'int main(void) { return x; }' > a.c\ngcc a.c\n%files\n"))
    has(said, "rpmbuild exited with status 1; see build.log")
    has(log_of(w, child), "undeclared")


@story(own=True, slow=True)
def escapes(own):
    """Hostile spec files are contained, each for a reason that its task tells, and the builds after them are clean."""
    server = Server(own.toji, own.dir / "data", extra=["--no-builder"]).start()
    try:
        with universe.served(own.toji) as url:
            w = own.world(server)
            add_host(w, "guard", channels=["runroot"])
            limits = {"buildroot": "chroot", "log_size_limit": 2, "memory_limit": 600, "disk_limit": 300, "file_count_limit": 30000,
                      "process_limit": 200, "silence_timeout": 8}
            builder = TojiBuilder(w, "guard", own.toji, own=limits)
            try:
                target = universe.target(w, url, "cage", ["prisoner", "next"])
                # Makes the layer that all others lie on.
                clean(w, target)
                break_out(w, target, builder)
                clean(w, target)
                break_out_as_root(w, target, builder)
                clean(w, target)
                for name, body, reason in EXCESSES:
                    excess(w, target, name, body, reason)
                    clean(w, target)
                nothing_left(builder)
            finally:
                builder.end()
    finally:
        server.stop()


# A build that notices what another one left.
CLEAN = """%description
d
%build
set -x
test -z "$(find /tmp /var/tmp /dev/shm -mindepth 1 -not -name 'rpm-tmp.*')"
test "$(ls -d /proc/[0-9]* | wc -l)" -lt 12
test ! -e /usr/bin/poison
if grep -r poison /etc /usr/bin/ls /builddir/.rpmmacros; then exit 1; fi
if find / -xdev -user builder -perm /6000 -print | grep .; then exit 1; fi
if grep poison /proc/mounts; then exit 1; fi
%install
mkdir -p %{buildroot}
%files
"""

# Tries everything that needs no time, and says what succeeded.
TRY = """exec 2>&1
try() {{ what=$1; shift; if timeout 5 "$@" </dev/null; then echo "ESCAPED $what"; fi; }}
for tool in bash python3 getent unshare mknod su timeout; do command -v $tool || echo "ESCAPED: no $tool to try it with"; done
try control true
try credential cat {credential}
try credentials sh -c "cat {workdir}/*.json {workdir}/*conf* {conf}"
try others ls {workdir}/tasks {workdir}/chroots
try host-home ls -d {home}
try environ sh -c 'cat /proc/[0-9]*/environ | tr "\\0" "\\n" | grep -E "PASSWORD|TOKEN|HOME=/root"'
try foreign-processes sh -c 'ls -d /proc/[0-9]*/exe | xargs -n1 readlink | grep -E "toji|koji"'
try host-root sh -c 'ls /proc/1/root{workdir} || ls /proc/1/cwd{workdir}'
for place in 1.1.1.1/53 169.254.169.254/80 {hub}; do
  try "network $place" bash -c "exec 3<>/dev/tcp/$place"
done
try dns sh -c 'getent hosts example.com'
try vsock python3 -c 'import socket; socket.socket(40, socket.SOCK_STREAM)'
try raw-socket python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)'
mount() {{ python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).mount(b"poison", sys.argv[1].encode(), b"tmpfs", int(sys.argv[2]), None) != 0)' $*; }}
if mount /mnt 0; then echo ESCAPED mount; fi
if mount /dev 32; then echo ESCAPED remount; fi
try namespace unshare --user --map-root-user true
try device mknod /tmp/sda b 8 0
try bpf python3 -c 'import ctypes, sys; sys.exit(0 if ctypes.CDLL(None).syscall(321, 0, 0, 0) >= 0 else 1)'
try keyring python3 -c 'import ctypes, sys; sys.exit(0 if ctypes.CDLL(None).syscall(250, 0, -3, 0) >= 0 else 1)'
try sysctl sh -c 'echo x >/proc/sys/kernel/core_pattern'
try trigger sh -c 'echo x >/proc/sysrq-trigger'
try disk sh -c 'cat /dev/sda || cat /dev/vda || cat /dev/mem || cat /dev/kmsg'
try groups sh -c 'ls /sys/fs/cgroup'
ls /dev | sed 's/^/device /'
"""

# What an ordinary user may not do even in a root of its own.
PRISONER = "BuildRequires: python3\n%description\nd\n%build\nset +ex\n" + TRY + """
try chroot python3 -c 'import os; os.chroot("/tmp")'
try system-file sh -c 'echo poison >>/usr/bin/ls'
try root-file sh -c 'echo poison >/etc/poison'
try setuid sh -c 'cp /usr/bin/id /tmp/id && chmod 6777 /tmp/id && /tmp/id -u | grep -x 0'
try su su root -c true
# What may be left behind.
cp /usr/bin/id /var/tmp/poison && chmod 6777 /var/tmp/poison
echo '%%poison 1' >>/builddir/.rpmmacros
setsid nohup sleep {marker} >/dev/null 2>&1 &
echo tried
%install
mkdir -p %{{buildroot}}
ln -s {credential} %{{_rpmdir}}/stolen.rpm
ln -s {conf} %{{_srcrpmdir}}/stolen.src.rpm
# What others say about the build.
for name in provenance.json lockfile.json sbom.json build.log root.log; do echo forged >%{{_rpmdir}}/$name; echo forged >/builddir/$name; done
rpm --define '_db_backend sqlite' -e --justdb --nodeps tar || true
%files
"""

# Root inside poisons what it can.
POISONER = TRY + """
id -u
echo poison >>/usr/bin/ls
echo poison >/etc/poison
cp /usr/bin/id /usr/bin/poison && chmod 6777 /usr/bin/poison
chmod 6777 /usr/bin/id
echo '%poison 1' >>/usr/lib/rpm/macros
setsid nohup sleep {marker} >/dev/null 2>&1 &
echo tried
"""

# A number of seconds that nothing else sleeps.
MARKER = "98765.4321"

# Name, what the build does, what the reason must say.
EXCESSES = [
    ("memory", "perl -e '$x = \"x\" x 2000000000; sleep 60'", "used more memory than allowed"),
    ("disk", "head -c 2000000000 /dev/zero > big; sleep 60", "used more disk space than allowed"),
    # Without the shell's trace, which would be too much output first.
    ("inodes", "set +x; i=0; while :; do i=$((i+1)); : > f$i; [ $((i % 1000)) != 0 ] || echo $i; done", "made more files than allowed"),
    ("processes", "perl -e 'while (defined(my $p = fork)) { if (!$p) { sleep 60; exit } } print \"no more: $!\\n\"; sleep 2; exit 1'", "started more processes than allowed"),
    ("log", "yes", "wrote more output than allowed"),
    ("sleep", "sleep 100000", "wrote no output for longer than allowed"),
]


def words(w, builder):
    """What hostile scripts know: the real paths and addresses."""
    hub = w.ready["hub"].split("//", 1)[1].split("/")[0].replace(":", "/")
    own = [path for path in Path.home().iterdir() if path.name not in (".bashrc", ".profile")]
    return {"credential": builder.workdir / "credential.json", "workdir": builder.workdir, "conf": builder.conf, "hub": hub, "marker": MARKER,
            "home": (own or [Path.home() / ".ssh"])[0]}


def clean(w, target):
    """The next build notices nothing of those before it."""
    w.build(target, spec(w.dir, "next", CLEAN), "--scratch")


def no_way_out(said):
    """What a hostile script reports: that it could report, and nothing else."""
    lines = [line.strip() for line in said.splitlines()]
    has(lines, "tried")
    # The traces of a shell would have the word, too.
    eq([line for line in lines if line.startswith("ESCAPED")], ["ESCAPED control"], "ways out")
    devices = {line.removeprefix("device ") for line in lines if line.startswith("device ")}
    has(devices, "null")
    eq(devices - {"core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero", "console"},
       set(), "devices")


def break_out(w, target, builder):
    """One build tries every way out, and none leads there."""
    said = w.build(target, spec(w.dir, "prisoner", PRISONER.format(**words(w, builder))), "--scratch", code=None)
    task = task_of(w, w.task_of(said))["id"]
    no_way_out(log_of(w, task))
    eq(sorted(path.name for path in w.topdir("work").rglob("stolen*")), [], "files of the builder that were uploaded")
    # What is told about the build, the builder tells.
    told = {path.name: path.read_text(errors="replace") for path in w.topdir("work").rglob("*") if path.suffix in (".json", ".log")}
    has(told, "build.log", "root.log")
    for name, text in told.items():
        lacks(text.splitlines(), "forged")
    (root,) = w.hub.call("listBuildroots", taskID=task)
    inside = {package["name"] for package in w.hub.call("listRPMs", componentBuildrootID=root["id"])}
    that({"tar", "python3", "rpm"} <= inside, f"the listed packages are {sorted(inside)}")


def break_out_as_root(w, target, builder):
    """So does root inside."""
    w.koji("grant-permission", "--new", "runroot", w.ready["admin_user"], code=None)
    script = w.dir / "hostile"
    script.write_text(POISONER.format(**words(w, builder)))
    packed = base64.b64encode(script.read_bytes()).decode()
    said = w.koji("runroot", "--use-shell", "--package", "python3", f"{target}-build", "x86_64", f"echo {packed} | base64 -d >/tmp/h; sh /tmp/h")
    no_way_out(said.out)


def nothing_left(builder):
    """On the machine no process, mount, setuid file of root, or file of a hostile build is left."""
    sleeping = [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if MARKER.encode() in read(path)]
    eq(sleeping, [], "processes that a build left")
    lacks(Path("/proc/mounts").read_text(), "poison", str(builder.workdir))
    tasks = [path.name for path in (builder.workdir / "tasks").glob("*")]
    eq(tasks, [], "directories of ended tasks")
    for path in builder.workdir.rglob("*"):
        lacks(path.name, "poison")
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_mode & 0o6000 and os.geteuid() == 0:
            that(status.st_uid != 0, f"{path} is root's with mode {status.st_mode:o}")


def read(path):
    """A file's bytes; none if it is gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def excess(w, target, name, body, reason):
    """A build that takes too much ends, and its task says why."""
    begin = time.monotonic()
    said, _ = fails(w, target, spec(w.dir, name, f"%description\nd\n%build\n{body}\n%files\n"))
    has(said, reason)
    that(time.monotonic() - begin < 240, f"{name} took {time.monotonic() - begin:.0f} s")
