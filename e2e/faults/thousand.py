"""A thousand real builds through four builders: everything in order at the end, and memory that does not grow."""

import hashlib
import signal
import time
from collections import Counter

from harness.rpms import srpm

from .farm import Farm

BUILDERS, AHEAD = 4, 12
# The first builds fill caches and pools; after them memory is to stay where it is.
WARM = 0.2
# Growth that is taken for noise: of what a process had when it was warm, and in KiB.
SHARE, SLACK = 0.10, 8192


def slope(points):
    """KiB for each build, by least squares."""
    count = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points) or 1.0
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


class Thousand:
    """The builds of a run."""

    def __init__(self, farm, count):
        self.farm, self.count, self.admin = farm, count, farm.admin(timeout=120)
        self.memory = {process.name: [] for process in [*farm.hubs, *farm.builders]}
        self.tasks, self.wrong = [], []

    def prepare(self):
        """Tags and a target; the build tag does not inherit, so that no build makes a repository out of date."""
        call = self.admin.call
        call("createTag", "t")
        call("createTag", "t-build", arches="x86_64")
        call("createBuildTarget", "t", "t-build", "t")
        for number in range(min(10, self.count)):
            call("packageListAdd", "t", f"tiny{number}", "admin")

    def submit(self, number):
        """One build of its own release."""
        name, release = f"tiny{number % 10}", str(1 + number // 10)
        source = srpm(self.farm.dir, name, release=release)
        path = self.admin.upload(source, f"cli-build/{name}-{release}")
        self.tasks.append(self.admin.call("build", path, "t", {}))
        source.unlink()

    def enough(self, *_):
        """Submits no more: what is in work is built, and looked at."""
        self.count = min(self.count, len(self.tasks))

    def run(self):
        """Keeps a dozen builds in work until all are done; SIGTERM makes it do with those that it has."""
        self.prepare()
        signal.signal(signal.SIGTERM, self.enough)
        begin, done, sampled, told = time.monotonic(), 0, -1, 0
        while done < self.count:
            while len(self.tasks) < self.count and len(self.tasks) - done < AHEAD:
                self.submit(len(self.tasks))
            listed = ",".join(map(str, self.tasks))
            done = self.farm.sql.number(f"SELECT count(*) FROM task WHERE id IN ({listed}) AND state IN (2, 3, 5)")
            if done // 20 != sampled:
                sampled = done // 20
                for process in [*self.farm.hubs, *self.farm.builders]:
                    self.memory[process.name].append((done, process.resident()))
            if done // 100 > told:
                told = done // 100
                held = ", ".join(f"{hub.name} {hub.resident() / 1024:.0f} MiB" for hub in self.farm.hubs)
                print(f"  {done} builds after {time.monotonic() - begin:.0f} s, {held}", flush=True)
            time.sleep(0.1)
        return time.monotonic() - begin

    def check(self):
        """States, files, digests, tags and history."""
        sql, count = self.farm.sql, self.count
        states = Counter(row[0] for row in sql.rows("SELECT state FROM build"))
        self.want("complete builds", states, {"1": count})
        self.want("tasks", {row[0]: int(row[1]) for row in sql.rows(
            "SELECT state, count(*) FROM task WHERE method IN ('build', 'rebuildSRPM', 'buildArch', 'tagBuild') GROUP BY state")}, {"2": 4 * count})
        self.want("packages", sql.number("SELECT count(*) FROM rpminfo WHERE build_id IS NOT NULL"), 2 * count)
        self.want("tagged builds", sql.number("SELECT count(*) FROM tag_listing WHERE active"), count)
        self.want("listed by the hub", len(self.admin.call("listTagged", "t")), count)
        history = self.admin.call("queryHistory", tables=["tag_listing"], tag="t")["tag_listing"]
        self.want("entries of the history", len(history), count)
        self.want("entries of the journal of imports", sql.number("SELECT count(*) FROM toji_import"), 0)
        self.want("assignments", sql.number("SELECT count(*) - count(DISTINCT task_id) FROM scheduler_task_runs"), 0)
        self.check_files()

    def check_files(self):
        """Each file has its row and its digest."""
        top, seen = self.farm.topdir, set()
        self.farm.sql.until_written()
        for path, size, sha256 in self.farm.sql.rows("SELECT path, size, sha256 FROM toji_file WHERE path LIKE 'packages/%'"):
            data = (top / path).read_bytes() if (top / path).is_file() else b""
            seen.add(path)
            if len(data) != int(size) or hashlib.sha256(data).hexdigest() != sha256:
                self.wrong.append(f"{path} is not as its row says")
        there = {str(p.relative_to(top)) for p in (top / "packages").rglob("*") if p.is_file() and not p.name.endswith(".sig")}
        self.want("files without a row", len(there - seen), 0)
        self.want("rows without a file", len(seen - there), 0)
        self.files = len(seen)

    def want(self, what, found, wanted):
        """Two figures are equal."""
        if found != wanted:
            self.wrong.append(f"{what}: {found}, not {wanted}")

    def growth(self):
        """A line for each process."""
        for name, samples in self.memory.items():
            warm = [point for point in samples if point[0] >= WARM * self.count]
            if len(warm) < 2:
                continue
            first, last = warm[0][1], warm[-1][1]
            grown = slope(warm) * (warm[-1][0] - warm[0][0])
            yield f"{name} {first / 1024:.0f} MiB to {last / 1024:.0f} MiB, {slope(warm):+.2f} KiB a build"
            if grown > max(SHARE * first, SLACK):
                self.wrong.append(f"{name} grows by {grown / 1024:.0f} MiB in the last {warm[-1][0] - warm[0][0]} builds")


def run(toji, directory, count):
    """Builds, looks, and prints a line of figures; tells whether all held."""
    # Nothing is broken here: the hub's own time-outs.
    with Farm(toji, directory, builders=BUILDERS, usual=True) as farm:
        thousand = Thousand(farm, count)
        seconds = thousand.run()
        count = thousand.count
        thousand.check()
        lines = list(thousand.growth())
        print(f"thousand: {count} builds in {seconds:.0f} s ({seconds / count:.2f} s each), {thousand.files} files with their digests; "
              f"resident memory over the last {1 - WARM:.0%}: {'; '.join(lines)}; wrong {len(thousand.wrong)}", flush=True)
        for line in thousand.wrong[:20]:
            print(f"  !! {line}", flush=True)
        return not thousand.wrong
