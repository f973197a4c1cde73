"""Two hubs on one PostgreSQL database: either can vanish, and nothing is done twice."""

import json
import signal
import subprocess
import time
from pathlib import Path

from harness.command import run
from harness.hub import TASK_STATES, Hub
from harness.postgres import Postgres
from harness.server import Server
from harness.story import eq, has, story, that

TASKS = 24
DONE = "<?xml version='1.0'?>\n<methodResponse><params><param><value><int>0</int></value></param></params></methodResponse>"


def hub_process(own, topdir, url):
    """Starts `toji hub` on a database; returns the process and the address of its calls."""
    conf, ready = own.dir / "hub.conf", own.dir / "hub.json"
    conf.write_text(f"[hub]\nKojiDir = {topdir}\n")
    command = [own.toji, "hub", "--config", conf, "--database", url, "--listen", "127.0.0.1:0", "--ready-file", ready]
    with open(own.dir / "hub.log", "ab") as log:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 60
    while not ready.exists():
        late = process.poll() is not None or time.monotonic() > deadline
        that(not late, f"toji hub does not serve\n{(own.dir / 'hub.log').read_text()}")
        time.sleep(0.02)
    return process, json.loads(ready.read_text())["hub"]


def takeover(hub, worker):
    """Another hub schedules within ten seconds."""
    task, begin = hub.call("makeTask", "sleep", [0], arch="noarch", priority=1), time.monotonic()
    while task not in [t["id"] for t in worker.call("host.getTasks")]:
        that(time.monotonic() - begin < 10, "the other hub does not schedule after 10 s")
        time.sleep(0.02)
    print(f"    another hub scheduled after {time.monotonic() - begin:.1f} s", flush=True)
    that(worker.call("host.openTask", task), "the task opens")
    worker.call("host.closeTask", task, DONE)


class Import:
    """An import that a hub is about: a file is placed, and nothing is committed."""

    def __init__(self, postgres, top):
        self.psql = lambda sql: postgres.psql("two_hubs", sql)
        self.source, self.placed = Path(top) / "work/half/file", Path(top) / "packages/half/1/1/file"
        for path in (self.source, self.placed):
            path.parent.mkdir(parents=True)
        self.source.write_text("half")
        self.placed.hardlink_to(self.source)
        # The only hub so far: the lock by which others see that it lives.
        locks = "SELECT objid FROM pg_locks JOIN pg_database ON oid = database AND datname = current_database() WHERE locktype = 'advisory' AND objsubid = 2"
        holder = int(self.psql(locks))
        steps = json.dumps([[str(self.source), str(self.placed)]])
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
        half = Import(postgres, one.ready["topdir"])
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
        if one.alive():
            one.kill()
        if two and two.poll() is None:
            two.kill()
            two.wait()
        if not Server.postgres:
            postgres.stop("immediate")
