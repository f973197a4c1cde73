"""Repetitions of one fault, and the invariants after each."""

import time
from collections import Counter

from harness.hub import TASK_STATES
from harness.rpms import srpm

from . import points
from .farm import Farm
from .kinds import KINDS
from .ledger import Ledger, missing
from .network import Network
from .sql import Gone

# Terminal moves of a task that the outbox tells of.
COMPLETIONS = ("SELECT key, count(*) FROM toji_outbox WHERE kind = 'task.state' AND seq > {seq} "
               "AND (body::json)->>'new' IN ('CLOSED', 'FAILED', 'CANCELED') GROUP BY key HAVING count(*) > 1")
OPEN = "SELECT id, method, state, host_id, waiting FROM task WHERE id > {since} AND state IN (0, 1, 4) ORDER BY id"
IDLE = ("SELECT pid, state, replace(query, chr(10), ' ') FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' "
        "AND now() - state_change > interval '2 seconds'")


class Blow:
    """One fault: where and whom it strikes, and what was acknowledged around it."""

    def __init__(self, number, farm):
        self.since = farm.sql.number("SELECT coalesce(max(id), 0) FROM task")
        self.ledger = Ledger(farm, f"ack-{number}")
        self.victim, self.begin = None, 0.0
        # After how many seconds the victim was found to be lost, and its tasks were queued again.
        self.found, self.queued = None, None


class Figures:
    """What the repetitions of a fault have shown."""

    def __init__(self, name):
        self.name, self.times, self.tasks, self.calls, self.unanswered, self.builds = name, 0, 0, 0, 0, 0
        self.points, self.settled, self.states = Counter(), [], Counter()
        self.broken = {"duplicates": 0, "lost": 0, "stuck": 0, "failed": 0, "transactions": 0, "files": 0, "other": 0}
        self.notes, self.refused, self.abandoned, self.found, self.queued, self.long, self.with_times = [], 0, 0, [], [], 0, ""

    def note(self, kind, text):
        """Records what did not hold."""
        self.broken[kind] += 1
        self.notes.append(f"{self.name} {self.times}: {kind}: {text}")
        print(f"  !! {self.notes[-1]}", flush=True)

    def line(self):
        """One line for the report."""
        settled = sorted(self.settled) or [0.0]
        at = lambda part: settled[min(len(settled) - 1, int(part * len(settled)))]  # noqa: E731
        where = " ".join(f"{name} {count}" for name, count in self.points.most_common())
        broken = ", ".join(f"{name} {count}" for name, count in self.broken.items())
        lost = (f"; found to be lost after at most {max(self.found):.1f} s, queued again after at most {max(self.queued):.1f} s"
                if self.found and self.queued else "")
        cuts = f", {self.long} of them longer than the time-outs ({self.abandoned} times builders gave up)" if self.long else ""
        return (f"{self.name}: {self.times} times{cuts}, {self.tasks} tasks, {self.builds} builds, {self.calls} calls acknowledged, "
                f"{self.unanswered} without an answer; at {where}; settled after p50 {at(0.5):.1f} s, p95 {at(0.95):.1f} s, "
                f"most {settled[-1]:.1f} s{lost}; {self.refused} late results refused; {broken}; with {self.with_times}, on PostgreSQL")

    def held(self):
        """Whether every invariant held."""
        return not any(self.broken.values())


class Repetitions:
    """A farm under one fault."""

    def __init__(self, farm, kind):
        self.farm, self.kind, self.figures = farm, kind, Figures(kind.name)
        self.target = None

    def submit(self, admin, number):
        """What is in work when the fault strikes."""
        tasks = [admin.call("makeTask", "sleep", [round(self.farm.dice.uniform(0, 0.3), 2)], arch="noarch") for _ in range(4)]
        if self.kind.extra:
            tasks.append(admin.call("makeTask", "sleep", [self.kind.extra], arch="noarch"))
        children = [["sleep", [0.1], {"label": "a"}], ["sleep", [0.2], {"label": "b"}]]
        tasks.append(admin.call("makeTask", "dependantTask", [[], children], arch="noarch"))
        if self.kind.builds and number % self.kind.builds == 0:
            tasks.append(self.submit_build(admin, f"pkg{number}"))
        return tasks

    def submit_build(self, admin, package):
        """A real build; the first one makes the target."""
        if self.target is None:
            self.target = "t"
            admin.call("createTag", "t")
            admin.call("createTag", "t-build", arches="x86_64", parent="t")
            admin.call("createBuildTarget", "t", "t-build", "t")
        admin.call("packageListAdd", "t", package, "admin")
        source = srpm(self.farm.dir, package)
        self.figures.builds += 1
        return admin.call("build", admin.upload(source, f"cli-build/{package}"), "t", {})

    def round(self, number, most):
        """Some blows, each at a point of its own; then everything comes to its end and is looked at. Gives the number of blows."""
        farm, kind = self.farm, self.kind
        since = farm.sql.number("SELECT coalesce(max(id), 0) FROM task")
        seq = farm.sql.number("SELECT last FROM toji_sequence WHERE name = 'outbox'")
        blows, struck = [], []
        for offset in range(min(kind.strikes, most)):
            blow = self.blow(number + offset, struck)
            blows.append(blow)
            if blow.victim:
                struck.append(blow.victim.name)
        begin = time.monotonic()
        for line in kind.watch(farm, blows):
            self.figures.note("other", line)
        if not kind.at_once:
            for blow in blows:
                kind.recover(farm, blow)
        for blow in blows:
            blow.ledger.join()
        self.wait_for_the_end(since)
        self.figures.settled.append(time.monotonic() - begin)
        for blow in blows:
            kind.after(farm, blow)
            self.check_blow(blow)
        self.check(since, seq)
        farm.wait_for_builders()
        return len(blows)

    def blow(self, number, struck):
        """Gives the farm work, waits for a point in the life of a task, and strikes."""
        farm, kind, figures = self.farm, self.kind, self.figures
        figures.times += 1
        build = bool(kind.builds) and number % kind.builds == 0
        names = [p for p in kind.points if p != "uploading"]
        turn = number - number // kind.builds - 1 if kind.builds else number
        point = "uploading" if build and "uploading" in kind.points else names[turn % len(names)]
        blow = Blow(number, farm)
        blow.ledger.tasks += self.submit(farm.admin(), number)
        blow.ledger.start(12)
        seen, host = points.reach(farm, point, blow.since, build, struck)
        figures.points[point if seen else f"{point} (not seen)"] += 1
        blow.victim = self.victim(host, struck)
        blow.begin = time.monotonic()
        kind.strike(farm, blow)
        points.release(farm)
        if kind.at_once:
            kind.recover(farm, blow)
        return blow

    def victim(self, host, struck):
        """The builder that has the task at the point, or any that was not struck."""
        left = [builder for builder in self.farm.builders if builder.name not in struck]
        return next((builder for builder in left if builder.name == host), None) or self.farm.dice.choice(left)

    def wait_for_the_end(self, since):
        """Until every task has an end; what has none is a waiting task that could run, or one that nobody works on."""
        deadline = time.monotonic() + self.kind.settle
        left = None
        while time.monotonic() < deadline:
            try:
                left = self.farm.sql.rows(OPEN.format(since=since))
                if not left:
                    return
            except Gone:
                pass
            time.sleep(0.02)
        shown = [(row[0], row[1], TASK_STATES[int(row[2])], row[3]) for row in left or []]
        self.figures.note("stuck", f"after {self.kind.settle} s: {shown[:6]} {self.explain(left or [])}")
        self.give_up(since)

    def explain(self, left):
        """Why the hub says that the first free task waits."""
        free = [int(row[0]) for row in left if row[2] == "0"]
        try:
            told = self.farm.admin().call("scheduler.explain", free[0]) if free else {}
            return {key: told[key] for key in ("reason", "hosts") if key in told}
        except Exception as error:
            return str(error)

    def give_up(self, since):
        """Ends what is left, so that the next repetition begins anew."""
        try:
            admin = self.farm.admin()
            for row in self.farm.sql.rows(OPEN.format(since=since)):
                admin.call("cancelTask", int(row[0]))
        except Exception as error:
            print(f"  !! cannot clear: {error}", flush=True)

    def check_blow(self, blow):
        """What must hold of the tasks and calls of one blow."""
        sql, figures, ledger = self.farm.sql, self.figures, blow.ledger
        figures.calls += len(ledger.tasks) + len(ledger.tags)
        figures.unanswered += ledger.lost_answers
        for gone in missing(sql, ledger):
            figures.note("lost", gone)
        listed = ",".join(map(str, ledger.tasks))
        for task, state in sql.rows(f"SELECT id, state FROM task WHERE id IN ({listed}) AND state <> 2"):
            figures.note("other", f"task {task} ended as {TASK_STATES[int(state)]}")
        figures.found += [blow.found] if blow.found is not None else []
        figures.queued += [blow.queued] if blow.queued is not None else []
        figures.long += bool(getattr(blow, "long", False))

    def check(self, since, seq):
        """What must hold of everything."""
        sql, figures = self.farm.sql, self.figures
        figures.tasks += sql.number(f"SELECT count(*) FROM task WHERE id > {since}")
        for key, count in sql.rows(COMPLETIONS.format(seq=seq)):
            figures.note("duplicates", f"{key} ended {count} times")
        for task, method, state, result in sql.rows(f"SELECT id, method, state, left(replace(replace(result, chr(10), ' '), '|', ' '), 400) "
                                                    f"FROM task WHERE id > {since} AND state IN (3, 5)"):
            figures.note("failed", f"task {task} {method} {TASK_STATES[int(state)]}: {result}")
        self.check_transactions()
        if self.kind.builds:
            self.check_files()

    def check_transactions(self):
        """No transaction is left open; what was said during a cut may take a while to be said again."""
        deadline = time.monotonic() + 30
        while (left := self.farm.sql.rows(IDLE)) and time.monotonic() < deadline:
            time.sleep(0.2)
        for row in left:
            self.figures.note("transactions", " ".join(row))

    def check_files(self):
        """Every file of an import has its row, and every row its file."""
        sql = self.farm.sql
        sql.until_written()
        known = {row[0]: int(row[1]) for row in sql.rows("SELECT path, size FROM toji_file WHERE path LIKE 'packages/%'")}
        top = self.farm.topdir
        there = {str(p.relative_to(top)): p.stat().st_size for p in (top / "packages").rglob("*") if p.is_file() and not p.is_symlink()}
        own = {path: size for path, size in there.items() if not path.endswith(".sig")}
        for path in own.keys() - known.keys():
            self.figures.note("files", f"{path} has no row")
        for path, size in known.items():
            if there.get(path) != size:
                self.figures.note("files", f"{path} has {there.get(path)} bytes, not {size}")
        left = sql.number("SELECT count(*) FROM toji_import")
        if left:
            self.figures.note("files", f"{left} entries of the journal are left")


def run(name, toji, directory, times, seed, enough=lambda: False, usual=False):
    """Repeats one fault until it is enough; returns its figures."""
    kind = KINDS[name]()
    wanted = {"hubs": 1, "builders": 2, **kind.farm}
    parts = ["database"] + [f"hub{n}" for n in range(wanted["hubs"])] + [f"builder{n}" for n in range(wanted["builders"])]
    if kind.needs_network:
        with Network(parts) as net:
            return repeat(kind, Farm(toji, directory, network=net, seed=seed, usual=usual, **wanted), times, enough)
    return repeat(kind, Farm(toji, directory, seed=seed, usual=usual, **wanted), times, enough)


def repeat(kind, farm, times, enough=lambda: False):
    """The repetitions, in a farm; fewer when it is enough."""
    with farm:
        all_of_them = Repetitions(farm, kind)
        figures = all_of_them.figures
        begin = told = time.monotonic()
        while figures.times < times and not enough():
            all_of_them.round(figures.times, times - figures.times)
            if time.monotonic() - told > 60:
                told = time.monotonic()
                print(f"  {kind.name}: {figures.times} times after {told - begin:.0f} s", flush=True)
        figures.with_times = farm.times()
        logs = [process.log.read_text(errors="replace") for process in farm.hubs]
        figures.refused = sum(log.count("does not own task") for log in logs)
        figures.abandoned = sum(process.told("others have this builder's tasks by now") for process in farm.builders)
        return figures
