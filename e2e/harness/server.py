"""One `toji up` process: started on a data directory, asked nothing, ended or killed."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path


class StartFailed(Exception):
    """The process ended, or did not serve in time; the text has the end of its log."""


class Server:
    """A running `toji up`; `ready` is what it wrote about itself."""

    # Set for a whole run to the PostgreSQL server that the stories use; without it each server has its embedded database.
    postgres = None
    databases, making = {}, threading.Lock()

    def __init__(self, toji, data, listen="127.0.0.1:0", extra=(), env=None):
        self.toji, self.data = str(toji), Path(data)
        self.listen, self.extra, self.env = listen, list(extra), dict(env or {})
        self.log = self.data.parent / (self.data.name + ".log")
        self.process, self.ready = None, None

    def start(self, timeout=60):
        """Starts the process and returns when it serves."""
        self.data.mkdir(parents=True, exist_ok=True)
        ready_file = self.data.parent / (self.data.name + ".ready.json")
        ready_file.unlink(missing_ok=True)
        command = [self.toji, "up", "--data", str(self.data), "--listen", self.listen]
        command += ["--ready-file", str(ready_file), *self.extra]
        if Server.postgres:
            command += ["--database", self.database_url()]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "NO_COLOR": "1", **self.env}, start_new_session=True)
        deadline = time.monotonic() + timeout
        while not ready_file.exists():
            if self.process.poll() is not None:
                raise StartFailed(f"toji up ended with {self.process.returncode}\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise StartFailed(f"toji up does not serve after {timeout} s\n{self.log_tail()}")
            time.sleep(0.02)
        self.ready = json.loads(ready_file.read_text())
        return self

    @property
    def address(self):
        """HOST:PORT of the running server, to start it there again."""
        return self.ready["url"].split("://", 1)[1].strip("/")

    def stop(self, timeout=30):
        """Asks the process to end and returns its exit code; kills what does not end."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def kill(self):
        """Ends the process at once, as a power cut would."""
        self.process.kill()
        self.process.wait()

    def alive(self):
        """Whether the process still runs."""
        return self.process is not None and self.process.poll() is None

    def database_url(self):
        """The PostgreSQL database that belongs to the data directory, made at the first call."""
        with Server.making:
            if self.data not in Server.databases:
                Server.databases[self.data] = Server.postgres.create(f"e2e{len(Server.databases)}")
            return Server.databases[self.data]

    def set_password(self, user, password):
        """Gives a user a password in the database, as Koji's administrators do: no call does it."""
        self.sql("UPDATE users SET password = '{}' WHERE name = '{}'".format(*(v.replace("'", "''") for v in (password, user))))

    def engine(self):
        """The kind of database."""
        return "PostgreSQL" if Server.postgres else "SQLite"

    def sql(self, text):
        """Changes the database behind the hub's back."""
        if Server.postgres:
            Server.postgres.psql(self.database_url().split("?")[0].split("/")[-1], text)
            return
        with contextlib.closing(sqlite3.connect(self.data / "toji.db", timeout=60)) as link, link:
            link.execute(text)

    def query(self, text):
        """The first column of the rows that a statement finds in the database, as texts."""
        if Server.postgres:
            found = Server.postgres.psql(self.database_url().split("?")[0].split("/")[-1], text)
            return [line.strip() for line in found.splitlines() if line.strip()]
        with contextlib.closing(sqlite3.connect(self.data / "toji.db", timeout=60)) as link:
            return [str(row[0]) for row in link.execute(text)]

    def log_tail(self, lines=40):
        """The end of what the process logged."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
