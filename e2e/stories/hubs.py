"""Two hubs on one PostgreSQL database: either can vanish, and nothing is done twice."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from faults.store import STOP, Steps
from harness.command import run
from harness.hub import TASK_STATES, Fault, Hub
from harness.postgres import Postgres
from harness.rpms import binary_rpm
from harness.server import Server
from harness.story import eq, has, story, that

TASKS = 24
# Seconds for which the hubs work on without their database's word.
TRUST = 1
DONE = "<?xml version='1.0'?>\n<methodResponse><params><param><value><int>0</int></value></param></params></methodResponse>"


def process(pid):
    """How entries of the journal name a process: its system, number and time of start."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    start = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19]
    return f"{boot} {os.readlink(f'/proc/{pid}/ns/pid')} {pid} {start}"


def hub_process(own, topdir, url):
    """Starts `toji hub` on a database; returns the process and the address of its calls."""
    conf, ready = own.dir / "hub.conf", own.dir / "hub.json"
    conf.write_text(f"[hub]\nKojiDir = {topdir}\n[toji]\nPresenceTrust = {TRUST}\n")
    command = [own.toji, "hub", "--config", conf, "--database", url, "--listen", "127.0.0.1:0", "--ready-file", ready]
    with open(own.dir / "hub.log", "ab") as log:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 60
    while not ready.exists():
        late = process.poll() is not None or time.monotonic() > deadline
        that(not late, f"toji hub does not serve\n{(own.dir / 'hub.log').read_text()}")
        time.sleep(0.02)
    return process, json.loads(ready.read_text())["hub"]


def until(done, patience, what):
    """Waits for a condition, some seconds at most."""
    end = time.monotonic() + patience
    while not done():
        that(time.monotonic() < end, f"{what}, after {patience} s")
        time.sleep(0.02)


def end(one, two, postgres):
    """Ends what is left of a story's hubs, and the database that only they have."""
    if one.alive():
        one.kill()
    if two and two.poll() is None:
        two.kill()
        two.wait()
    if not Server.postgres:
        postgres.stop("immediate")


def takeover(hub, worker):
    """Another hub schedules soon; how soon is printed, as machines differ."""
    task, begin = hub.call("makeTask", "sleep", [0], arch="noarch", priority=1), time.monotonic()
    while task not in [t["id"] for t in worker.call("host.getTasks")]:
        that(time.monotonic() - begin < 60, "the other hub does not schedule after a minute")
        time.sleep(0.02)
    print(f"    another hub scheduled after {time.monotonic() - begin:.1f} s", flush=True)
    that(worker.call("host.openTask", task), "the task opens")
    worker.call("host.closeTask", task, DONE)


class Import:
    """An import that a hub is about: a file is placed, and nothing is committed."""

    def __init__(self, postgres, server):
        top = server.ready["topdir"]
        self.psql = lambda sql: postgres.psql("two_hubs", sql)
        self.source, self.placed = Path(top) / "work/half/file", Path(top) / "packages/half/1/1/file"
        for path in (self.source, self.placed):
            path.parent.mkdir(parents=True)
        self.source.write_text("half")
        self.placed.hardlink_to(self.source)
        # The only hub so far: the lock by which others see that it lives.
        locks = "SELECT objid FROM pg_locks JOIN pg_database ON oid = database AND datname = current_database() WHERE locktype = 'advisory' AND objsubid = 2"
        holder = int(self.psql(locks))
        steps = json.dumps([[str(self.source), str(self.placed)], {"process": process(server.process.pid), "trust": 6.0}])
        self.psql(f"INSERT INTO toji_import (state, steps, holder, moves) VALUES ('placing', '{steps}', {holder}, FALSE)")

    def waits(self):
        """Whether it is still there."""
        return int(self.psql("SELECT count(*) FROM toji_import")) > 0

    def paused(self, server):
        """A hub that stands still is not dead: its work is left alone for longer than that of a dead one."""
        server.process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(5)
            that(self.waits() and self.placed.exists(), "the import of a hub that lives is left alone")
        finally:
            server.process.send_signal(signal.SIGCONT)

    def ended(self, begin):
        """Another hub takes it back within five seconds."""
        while self.waits():
            that(time.monotonic() - begin < 5, "the import of a dead hub is not taken back after 5 s")
            time.sleep(0.05)
        print(f"    another hub took the import back after {time.monotonic() - begin:.1f} s", flush=True)
        that(not self.placed.exists() and self.source.exists(), "the file is where it came from")


@story(own=True)
def one_is_killed(own):
    """A hub ends with kill -9 among its tasks and an import: the other one goes on, and every task was given to a host once."""
    postgres = Server.postgres or Postgres(own.dir / "pg", ["fsync=off"]).start()
    url = postgres.create("two_hubs")
    one = Server(own.toji, own.dir / "one", extra=["--no-builder"])
    if Server.postgres:
        Server.databases[one.data] = url
    else:
        one.extra += ["--database", url]
    two = None
    try:
        admin = Hub(one.start().ready["hub"])
        admin.login(one.ready["admin_user"], one.ready["admin_password"])
        half = Import(postgres, one)
        two, address = hub_process(own, one.ready["topdir"], url)
        half.paused(one)
        # A session of the one hub is a session of the other.
        other = Hub(address)
        other.session = admin.session
        eq(other.call("getLoggedInUser")["name"], one.ready["admin_user"], "the user of the other hub's session")
        admin.call("addHost", "worker", ["x86_64"])
        postgres.psql("two_hubs", "UPDATE users SET password = 'x' WHERE name = 'worker'")
        worker = Hub(address).login("worker", "x")
        worker.call("exclusiveSession")
        worker.call("host.updateHost", 0.0, True)
        tasks = [admin.call("makeTask", "sleep", [0], arch="noarch") for _ in range(TASKS)]
        closed = 0
        deadline = time.monotonic() + 120
        while closed < TASKS:
            that(time.monotonic() < deadline, f"only {closed} of {TASKS} tasks were done")
            for task in worker.call("host.getTasks"):
                if worker.call("host.openTask", task["id"]):
                    worker.call("host.closeTask", task["id"], DONE)
                    closed += 1
            if closed >= TASKS // 3 and one.alive():
                one.kill()
                begin = time.monotonic()
                half.ended(begin)
                takeover(Hub(address).login(one.ready["admin_user"], one.ready["admin_password"]), worker)
        found = [TASK_STATES[info["state"]] for info in (worker.call("getTaskInfo", task) for task in tasks)]
        eq(set(found), {"CLOSED"}, "the states of the tasks")
        runs = [run["task_id"] for run in worker.call("scheduler.getTaskRuns", [["task_id", "IN", tasks]])]
        eq(sorted(runs), sorted(tasks), "the tasks that the scheduler gave away")
        two.terminate()
        eq(two.wait(30), 0, "the exit code of the hub that is left")
        has(run(own.toji, "migrate", "--database", url, "--check"), "A database of Toji's own.")
    finally:
        end(one, two, postgres)


class Late:
    """An import by a hub that is suspended at its first step, loses its connections, and goes on when another hub has taken over."""

    def __init__(self, own, postgres, one, steps):
        self.own, self.postgres, self.one, self.steps = own, postgres, one, steps
        self.top, self.told = Path(one.ready["topdir"]), []
        self.admin = Hub(one.ready["hub"]).login(one.ready["admin_user"], one.ready["admin_password"])
        self.packages = binary_rpm(own.dir, "late")
        for path in self.packages:
            place = self.top / "work/in" / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
        self.admin.call("createEmptyBuild", "late", "1.0", "1", None)
        self.admin.call("importRPM", "in", self.packages[0].name)
        # What the hub writes about the build by itself.
        until(lambda: self.count("SELECT count(*) FROM toji_statement WHERE due") == 0, 30, "the statements are written")
        self.place = self.top / "packages/late/1.0/1/noarch"

    def count(self, sql):
        """A number from the database."""
        return int(self.postgres.psql("late_hubs", sql))

    def importing(self):
        """The call, on a thread of its own; what it is told is kept."""
        try:
            self.admin.call("importRPM", "in", self.packages[1].name)
        except (Fault, OSError) as error:
            self.told.append(str(error))

    def suspend(self):
        """Lets the hub begin the import, and suspends it before it makes the directory, which it has asked leave for."""
        self.steps.arm(1, STOP)
        self.thread = threading.Thread(target=self.importing)
        self.thread.start()
        stat = Path(f"/proc/{self.one.process.pid}/stat")
        until(lambda: stat.read_text().rpartition(") ")[2].startswith("T"), 30, "the hub stands still")
        self.steps.disarm()
        eq(self.count("SELECT count(*) FROM toji_import WHERE state = 'placing'"), 1, "imports that are under way")
        self.postgres.psql("late_hubs", "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                                       "WHERE datname = current_database() AND pid <> pg_backend_pid()")

    def taken_over(self, begin):
        """The other hub waits until it is certain, and takes the import back."""
        until(lambda: self.count("SELECT count(*) FROM toji_import WHERE state = 'undone'"), 15, "the import is taken back")
        took = time.monotonic() - begin
        that(took > TRUST * 5 / 3, f"the other hub has waited for {took:.1f} s only")
        print(f"    another hub took the import back after {took:.1f} s", flush=True)
        that(not self.place.exists(), "nothing is placed")

    def resumed(self):
        """The hub goes on with the step that it was at, and with no further one; the other hub finds what came of that."""
        self.one.process.send_signal(signal.SIGCONT)
        self.thread.join(60)
        eq(len(self.told), 1, "what the import was told")
        has(self.told[0], "another hub has taken this work over")
        that(self.place.exists(), "the step that had been allowed has left something")
        eq([path for path in self.place.rglob("*") if not path.name.startswith(".")], [], "what has its final name")
        until(lambda: self.count("SELECT count(*) FROM toji_import") == 0, 30, "the other hub has looked once more")
        that(not self.place.exists(), "what the late step has left is gone")

    def agrees(self):
        """Rows and files agree."""
        run(self.own.toji, "fsck", "--data", self.one.data, "--database", self.postgres.url("late_hubs"))


@story(own=True)
def one_is_suspended(own):
    """A hub is suspended in the middle of an import: another one takes it back, the late hub does nothing more, and the import succeeds then."""
    postgres = Server.postgres or Postgres(own.dir / "pg", ["fsync=off"]).start()
    url = postgres.create("late_hubs")
    steps = Steps(own.dir)
    one = Server(own.toji, own.dir / "one", extra=["--no-builder", "--no-repositories"], env=steps.env)
    one.data.mkdir(parents=True)
    (one.data / "hub.conf").write_text(f"[toji]\nPresenceTrust = {TRUST}\n")
    if Server.postgres:
        Server.databases[one.data] = url
    else:
        one.extra += ["--database", url]
    two = None
    try:
        late = Late(own, postgres, one.start(), steps)
        late.suspend()
        begin = time.monotonic()
        two, _ = hub_process(own, late.top, url)
        late.taken_over(begin)
        late.resumed()
        late.agrees()
        late.admin.call("importRPM", "in", late.packages[1].name)
        eq(sorted(rpm["arch"] for rpm in late.admin.call("listBuildRPMs", "late-1.0-1")), ["noarch", "src"], "the packages")
        that((late.place / late.packages[1].name).is_file(), "the package is in its place")
        late.agrees()
    finally:
        end(one, two, postgres)
