"""Real upstream releases, with subpackages, debuginfo, noarch and x86_64, built, published and installed."""

from pathlib import Path

from harness.command import run
from harness.dnf import dnf, run_inside
from harness.hub import TaskFailed
from harness.server import Server
from harness.story import eq, has, story, that

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = ROOT / "e2e/upstream"


def releases(file="list"):
    """Name, binary packages that must come out, and what it needs of those built before, in the order of building."""
    found, needs = [], []
    for line in (HERE / file).read_text().splitlines():
        if line.startswith("# needs"):
            needs = line.split()[2:]
        elif line and not line.startswith("#"):
            name, *packages = line.split()
            found.append((name, set(packages), needs))
            needs = []
    return found


@story(own=True, slow=True)
def releases_are_built(own):
    """All releases of e2e/upstream are built with the packages that they must give; dnf installs programs, and they run."""
    server = Server(own.toji, own.dir / "data").start()
    try:
        build_releases(own.world(server))
        eq(server.stop(), 0, "the exit code after SIGTERM")
    finally:
        server.stop()


def build_releases(w):
    """The waves of builds, and what must come out."""
    sources = ROOT / ".x/upstream"
    todo = releases()
    run(HERE / "fetch", sources, *(name for name, _, _ in todo), timeout=900)
    that(len(todo) >= 8, f"only {len(todo)} releases")
    target = w.target("up", [name for name, _, _ in todo] + ["toji-runtime"])
    w.koji("edit-tag", target, "--arches", "x86_64")
    runtime = run(ROOT / "examples/make-srpm", ROOT / "examples/toji-runtime", w.dir / "srpms").out.strip()
    build_all(w, target, [runtime])
    for needy in (False, True):
        wave = [name for name, _, needs in todo if bool(needs) == needy]
        build_all(w, target, [run(HERE / "srpm", name, sources, w.dir / "srpms").out.split()[-1] for name in wave])
        w.koji("request-repo", "--wait", "--timeout", "3", "--current", f"{target}-build")
    for name, packages, _ in todo:
        (build,) = w.hub.call("getLatestBuilds", target, package=name)
        rpms = {f"{r['name']}.{r['arch']}" for r in w.hub.call("listRPMs", build["id"]) if r["arch"] != "src"}
        eq(rpms, packages, f"the packages of {build['nvr']}")
    installed(w, target)


def build_all(w, target, sources):
    """Submits all, then watches all; all must succeed."""
    _, failed = watch_all(w, target, sources)
    that(not failed, "\n".join(failed))


def watch_all(w, target, sources):
    """Submits all, then watches all; gives the tasks, and what each of the failed ones said."""
    tasks = [w.task_of(w.koji("build", "--nowait", "--noprogress", target, source)) for source in sources]
    failed = []
    for task in tasks:
        try:
            w.hub.wait(task, timeout=1800)
        except TaskFailed as error:
            failed.append(str(error))
    return tasks, failed


def installed(w, target):
    """dnf installs from the published repository, with what the programs require, and they do their work."""
    repo = w.koji("request-repo", "--wait", "--timeout", "3", "--current", target).number(r"Got repo (\d+)")
    root = w.dir / "root"
    dnf(root, f"{w.ready['files']}/repos/{target}/{repo}/x86_64", "install", "hello", "tree", "jq", "zlib")
    has(run_inside(root, "/usr/bin/hello"), "Hello, world!")
    (root / "in.json").write_text('{"a": [1, 2, 3]}')
    eq(run_inside(root, "/usr/bin/jq", ".a | add", "/in.json").out, "6\n", "jq's answer")
    has(run_inside(root, "/usr/bin/tree", "/etc"), "directories")
