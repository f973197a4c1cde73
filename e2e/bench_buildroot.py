"""The benchmark of buildroots: roots of the distribution for tests, beside dnf; and what a packager waits for."""

import base64
import os
import re
import time

from benches import Bench, bench
from harness import universe
from harness.command import run
from harness.dnf import as_root
from harness.rpms import from_spec

TINY = "Name: {name}\nVersion: 1\nRelease: {release}\nSummary: s\nLicense: MIT\nBuildArch: noarch\n{more}%description\nd\n" \
    "%prep\ndate +now=%%s.%%N\n%install\nmkdir -p %{{buildroot}}/usr/share/{name}\n%files\n/usr/share/{name}\n"


@bench
def buildroot(b):
    """A root warm, and cold with packages cached beside dnf --installroot of the same list; submission to tagged; tagged to %prep."""
    with universe.served(b.toji) as url:
        own = Bench(b.toji, b.dir / "own", b.quick, extra=["--builders", "1"])
        own.dir.mkdir()
        try:
            return measure(own, url)
        finally:
            own.close()


def measure(b, url):
    """The figures of one server."""
    prepare(b, url)
    layers = b.server.data / "builder/chroots/layers"
    figures, times = {}, 2 if b.quick else 5
    done(b, submit(b, "first", 1))
    cold, layers_alone, dnf, warm, tagged, names = [], [], [], [], [], []
    if not b.quick:
        settle()
    # In turns, so that both meet the disk in the same state.
    for n in range(1 if b.quick else 3):
        # Put aside and removed at the end: ext4 is slow where many files were removed a moment ago.
        for layer in layers.iterdir():
            layer.rename(b.dir / f"aside-{n}-{layer.name}")
        task = submit(b, "cold", n + 1)
        done(b, task)
        # Both groups have the same packages, so the first task makes the layer that the second one finds.
        cold.append(seconds_of_root(b, task, "made in ([0-9.]+) s", method="rebuildSRPM"))
        layers_alone.append(seconds_of_root(b, task, r"layer \w+ made in ([0-9.]+) s", method="rebuildSRPM"))
        names = names or packages(b, task)
        dnf.append(by_dnf(b.dir / f"dnf-{n}", b.dir / "dnf-cache", url, names))
    for n in range(times):
        begin = time.monotonic()
        task = submit(b, "tiny", n + 1)
        done(b, task)
        tagged.append(time.monotonic() - begin)
        warm.append(seconds_of_root(b, task, r"Finish: buildroot \(([0-9.]+) s\)", "state.log"))
    figures["warm_s"], figures["cold_s"] = middle(warm), middle(cold)
    figures["cold_rpm_s"] = middle(layers_alone)
    figures["submission_to_tagged_s"] = middle(tagged)
    figures["tagged_to_prep_s"] = middle([to_prep(b, n + 1) for n in range(times)])
    figures["packages"] = len(names)
    figures["dnf_s"] = middle(dnf)
    return figures, {"dnf_to_cold": figures["dnf_s"] / figures["cold_s"]}


def settle():
    """Waits until removed files count no more: for a minute after they are written down, ext4 without a journal takes a hundred times as
    long to make a file where many were removed."""
    os.sync()
    time.sleep(65)


def middle(values):
    """The median."""
    return sorted(values)[len(values) // 2]


def prepare(b, url):
    """A target whose roots are of the distribution."""
    b.target("bench")
    build, hub = "bench-build", b.hub
    repo = hub.call("createExternalRepo", "universe", url)
    hub.call("addExternalRepoToTag", build, repo["name"], 5, "bare")
    for group in ("build", "srpm-build"):
        hub.call("groupListAdd", build, group)
        for name in universe.GROUP:
            hub.call("groupPackageListAdd", build, group, name)
    b.repo(build)


def submit(b, name, release, more="", options=None):
    """Submits a tiny package; returns the task."""
    directory = b.dir / f"{name}-{release}"
    directory.mkdir()
    (directory / f"{name}.spec").write_text(TINY.format(name=name, release=release, more=more))
    source = from_spec(directory / f"{name}.spec", directory)
    b.hub.call("packageListAdd", "bench", name, b.server.ready["admin_user"])
    return b.hub.call("build", b.hub.upload(source, f"cli-build/{name}-{release}"), "bench", options or {})


def done(b, task):
    """Waits for a task's end, which must be a good one."""
    b.hub.wait(task, timeout=600)


def part(b, task, method="buildArch"):
    """The child of a task."""
    return next(t for t in b.hub.call("getTaskDescendents", task)[str(task)] if t["method"] == method)


def log(b, task, name, method="buildArch"):
    """A log of a part of the build."""
    return base64.b64decode(b.hub.call("downloadTaskOutput", part(b, task, method)["id"], name)).decode()


def seconds_of_root(b, task, pattern, name="root.log", method="buildArch"):
    """What a log says about the time; the last one counts."""
    return float(re.findall(pattern, log(b, task, name, method))[-1])


def to_prep(b, n):
    """From the end of tagBuild to the running %prep of a build that needs what was tagged."""
    first = submit(b, "library", n)
    done(b, first)
    ended = b.hub.call("getTaskInfo", part(b, first, "tagBuild")["id"])["completion_ts"]
    second = submit(b, "program", n, f"BuildRequires: library = 1-{n}\n", {"wait_builds": [f"library-1-{n}"]})
    done(b, second)
    return float(re.findall(r"now=([0-9.]+)", log(b, second, "build.log"))[-1]) - ended


def packages(b, task):
    """The packages of a build's root."""
    (root,) = b.hub.call("listBuildroots", taskID=part(b, task)["id"])
    listed = b.hub.call("listRPMs", componentBuildrootID=root["id"])
    return [f"{p['name']}-{p['version']}-{p['release']}.{p['arch']}" for p in listed]


def by_dnf(root, cache, url, names):
    """Seconds that dnf takes for the same packages in an empty root, its own cache filled."""
    root.mkdir()
    settings = {"reposdir": "/nonexistent", "varsdir": "/nonexistent", "pluginpath": "/nonexistent", "cachedir": cache,
                "install_weak_deps": "False", "module_platform_id": "platform:toji", "keepcache": "True", "strict": "True"}
    command = [*as_root(), "dnf", "-y", "-q", "--installroot", root, "--releasever", "1", "--nogpgcheck", "--repofrompath", f"universe,{url}",
               *[f"--setopt={key}={value}" for key, value in settings.items()], "install", *names]
    if not cache.exists():
        run(*command, "--downloadonly", timeout=600)
    begin = time.monotonic()
    run(*command, timeout=600)
    return time.monotonic() - begin
