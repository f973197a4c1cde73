"""A farm: one database, hubs and builders, each a process of its own at a fixed place."""

import os
import random
import signal
import socket
import time
from pathlib import Path

from harness.hub import Hub
from harness.postgres import Postgres

from .process import Process
from .sql import Gone, Session

ADMIN = ("admin", "secret")
PASSWORD = "secret"
# Time-outs of the hub in seconds, short so that hundreds of repetitions end: Koji's, and those of the section [toji].
QUICK = {"ReadyTimeout": 30, "AssignTimeout": 5, "HostTimeout": 30, "RunInterval": 1, "SoftRefusalTimeout": 1}
QUICK_OWN = {"Heartbeat": 1, "LostTimeout": 2, "LeaseTime": 2}
# What a hub has that is not told otherwise.
USUAL = {"ReadyTimeout": 180, "AssignTimeout": 300, "HostTimeout": 900, "RunInterval": 60, "SoftRefusalTimeout": 900}
USUAL_OWN = {"Heartbeat": 10, "LostTimeout": 20, "LeaseTime": 7}
SETTINGS = ["fsync=off", "full_page_writes=off", "log_min_messages=fatal", "shared_buffers=64MB"]


def free_port():
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Farm:
    """The parts, to be used in a `with`."""

    def __init__(self, toji, directory, hubs=1, builders=2, network=None, usual=False, env=None, seed=0):
        self.toji, self.dir = str(toji), Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.network, self.env, self.dice = network, dict(env or {}), random.Random(seed)
        self.options, self.own = (USUAL, USUAL_OWN) if usual else (QUICK, QUICK_OWN)
        self.topdir = self.dir / "koji"
        for name in ("packages", "work", "repos", "scratch"):
            (self.topdir / name).mkdir(parents=True)
        extra = ["listen_addresses='*'", f"port={5432}"] if network else []
        self.postgres = Postgres(self.dir / "postgres", SETTINGS + extra)
        self.wanted = hubs, builders
        self.hubs, self.builders, self.sql = [], [], None

    def __enter__(self):
        try:
            self.start_database(first=True)
            self.postgres.create("farm")
            self.sql, self.holder = Session(self.postgres, "farm"), Session(self.postgres, "farm")
            for number in range(self.wanted[0]):
                self.hubs.append(self.make_hub(number).start())
            self.sql.rows(f"INSERT INTO users (name, password, status, usertype) VALUES ('{ADMIN[0]}', '{ADMIN[1]}', 0, 0)")
            self.sql.rows("INSERT INTO user_perms (user_id, perm_id, creator_id, create_event) SELECT u.id, p.id, u.id, get_event() "
                          "FROM users u, permissions p WHERE u.name = 'admin' AND p.name = 'admin'")
            admin = self.admin()
            for number in range(self.wanted[1]):
                self.add_builder(admin, number)
            self.wait_for_builders()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure):
        for process in [*self.builders, *self.hubs]:
            if process.alive():
                process.resume()
                process.kill()
        for session in (self.sql, getattr(self, "holder", None)):
            if session:
                session.close()
        self.postgres.stop("immediate")

    def given_away(self):
        """After how many seconds of silence a builder's tasks are others'."""
        return 2.5 * self.own["Heartbeat"] + self.own["LostTimeout"]

    def times(self):
        """The times of this farm in words."""
        return ", ".join(f"{key} {value} s" for key, value in {**self.own, **self.options}.items())

    # ------------------------------------------------------------------ the parts

    def space(self, part):
        """The namespace of a part, if the farm has a network."""
        return self.network.space(part) if self.network else None

    def url_of_database(self):
        """Where hubs find the database."""
        if self.network:
            return f"postgres://toji@{self.network.address('database')}:5432/farm"
        return self.postgres.url("farm")

    def make_hub(self, number):
        """A hub that has not been started."""
        name = f"hub{number}"
        lines = ["[hub]", f"KojiDir = {self.topdir}", "LoginCreatesUser = Off"]
        lines += [f"{key} = {value}" for key, value in self.options.items()]
        lines += ["[toji]", *(f"{key} = {value}" for key, value in self.own.items())]
        (self.dir / f"{name}.conf").write_text("\n".join(lines) + "\n")
        host = self.network.address(name) if self.network else "127.0.0.1"
        port, ready = free_port(), self.dir / f"{name}.ready"
        command = [self.toji, "hub", "--config", self.dir / f"{name}.conf", "--database", self.url_of_database(),
                   "--listen", f"{host}:{port}", "--ready-file", ready]
        process = Process(name, command, self.dir, ready, self.env.get("hub"), self.space(name))
        process.url = f"http://{host}:{port}/kojihub"
        return process

    def add_builder(self, admin, number):
        """Makes the host and starts its builder."""
        name = f"builder{number}"
        if admin.call("getHost", name) is None:
            admin.call("addHost", name, ["x86_64"])
            admin.call("editHost", name, capacity=20.0)
            admin.call("addHostToChannel", name, "createrepo", create=True)
            self.sql.rows(f"UPDATE users SET password = '{PASSWORD}' WHERE name = '{name}'")
        hub = self.hubs[number % len(self.hubs)]
        lines = ["[kojid]", f"server = {hub.url}", f"user = {name}", f"password = {PASSWORD}", f"workdir = {self.dir}/{name}",
                 f"topurl = {hub.url.rsplit('/', 1)[0]}/kojifiles", "minspace = 1", "maxjobs = 20", "sleeptime = 1",
                 "retry_interval = 1", "offline_retry_interval = 1", "max_load = 0"]
        (self.dir / f"{name}.conf").write_text("\n".join(lines) + "\n")
        command = [self.toji, "builder", "--config", self.dir / f"{name}.conf", "--force-lock"]
        process = Process(name, command, self.dir, None, self.env.get("builder"), self.space(name))
        process.hub = hub
        self.builders.append(process.spawn())

    def wait_for_builders(self, timeout=30):
        """Waits until every builder has reported."""
        deadline = time.monotonic() + timeout
        wanted = sum(b.alive() for b in self.builders)
        while self.sql.number("SELECT count(*) FROM host WHERE ready") < wanted:
            if time.monotonic() > deadline:
                raise RuntimeError("builders do not report\n" + "\n".join(b.tail(8) for b in self.builders))
            time.sleep(0.02)

    # ------------------------------------------------------------------ the database

    def start_database(self, first=False):
        """Starts PostgreSQL, in its own namespace if there are some."""
        if first and self.network:
            self.postgres.initialise()
            with open(self.postgres.dir / "data/pg_hba.conf", "a") as rules:
                rules.write("host all all 10.231.0.0/16 trust\n")
        self.postgres.space = self.space("database")
        self.postgres.start()

    def kill_database(self):
        """kill -9 of every process of the server."""
        pid = int((self.postgres.dir / "data/postmaster.pid").read_text().split()[0])
        family = [pid, *children(pid)]
        for one in family:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + 10
        while any(running(one) for one in family) and time.monotonic() < deadline:
            time.sleep(0.002)
        # Where nobody waits for the dead, a zombie would be taken for the server.
        for left in [self.postgres.dir / "data/postmaster.pid", *self.postgres.dir.glob(".s.PGSQL.*.lock")]:
            left.unlink(missing_ok=True)

    # ------------------------------------------------------------------ callers

    def admin(self, hub=None, timeout=20):
        """A session of the administrator."""
        return Hub((hub or self.hubs[0]).url, timeout=timeout).login(*ADMIN)

    def ask(self, statement, default=None):
        """One value, or the default while the database is away."""
        try:
            return self.sql.value(statement)
        except Gone:
            return default


def children(pid):
    """The processes that another has started."""
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def running(pid):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
