"""Builders that a story starts by itself: one on the stock client library, and `toji builder`."""

import os
import signal
import subprocess
import time
from pathlib import Path

from . import stock
from .command import CommandFailed

WORKER = Path(__file__).resolve().parent / "worker"
PASSWORD = "the password of every builder"


def add_host(world, name, arches="x86_64", channels=(), capacity=8):
    """Makes a host that may log in by password, in these channels beside `default` and `createrepo`."""
    world.koji("add-host", name, *arches.split())
    world.koji("edit-host", name, "--capacity", str(capacity))
    for channel in ["createrepo", *channels]:
        world.koji("add-host-to-channel", "--new", name, channel)
    world.server.set_password(name, PASSWORD)


class Process:
    """A running builder; a story ends it."""

    def __init__(self, name, directory, words, env=None):
        self.name, self.log = name, Path(directory) / f"{name}.out"
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([str(w) for w in words], cwd=directory, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, env={**os.environ, "NO_COLOR": "1", **(env or {})}, start_new_session=True)

    def said(self):
        """All that it has said."""
        return self.log.read_text(errors="replace")

    def until(self, done, what, timeout=60):
        """Waits until `done()` is true while the builder runs; returns what it gave."""
        deadline = time.monotonic() + timeout
        while not (found := done()):
            if self.process.poll() is not None:
                raise CommandFailed(f"{self.name} ended with {self.process.returncode}:\n{self.said()[-4000:]}")
            if time.monotonic() > deadline:
                raise CommandFailed(f"{self.name}: no {what} after {timeout} s:\n{self.said()[-4000:]}")
            time.sleep(0.05)
        return found

    def says(self, text, timeout=60):
        """Waits until its log has the text."""
        self.until(lambda: text in self.said(), f"{text!r} in its log", timeout)

    def signal(self, number):
        """Sends a signal."""
        self.process.send_signal(number)

    def wait(self, timeout=60):
        """Waits for its end; returns the exit code."""
        return self.process.wait(timeout)

    def end(self, timeout=30):
        """Asks it to end and returns its exit code; what does not end is killed, with its children."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            # The worker writes where it is into its log then.
            self.process.send_signal(signal.SIGABRT)
            time.sleep(1)
            self.kill()
            return -signal.SIGKILL

    def kill(self):
        """Ends it at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class StockWorker(Process):
    """The worker in `e2e/harness/worker`, which is made of the stock client library."""

    def __init__(self, world, name, *options):
        self.calls = world.dir / f"{name}.calls"
        super().__init__(name, world.dir, [
            stock.python(world.koji_program), "-W", "ignore", "-B", WORKER, "--server", world.ready["hub"], "--topurl", world.ready["files"],
            "--topdir", world.ready["topdir"], "--user", name, "--password", PASSWORD, "--workdir", world.dir / name, "--calls", self.calls, *options])

    def made(self):
        """The names of the calls that were answered without a fault."""
        return set(self.calls.read_text().split()) if self.calls.exists() else set()


class TojiBuilder(Process):
    """A `toji builder`, configured by a kojid.conf of the story."""

    def __init__(self, world, name, toji, server=None, options=(), sections=None, own=None, env=None, room=None, **conf):
        self.workdir = world.dir / name
        self.workdir.mkdir(exist_ok=True)
        self.conf = stock.conf(world.dir / f"{name}.conf", kojid={
            "server": server or world.ready["hub"], "topurl": world.ready["files"], "user": name, "password": PASSWORD,
            "workdir": self.workdir, "minspace": 0, "sleeptime": 2, **conf}, toji={"max_load": 0, **(own or {})}, **(sections or {}))
        command = [Path(toji).resolve(), "builder", "--config", self.conf, *options]
        if room:
            # In namespaces of its own, so that it needs no rights: a work directory of that size.
            script = f'mount -t tmpfs -o size={room} none "$0" && exec "$@"'
            command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, self.workdir, *command]
        super().__init__(name, world.dir, command, env)
