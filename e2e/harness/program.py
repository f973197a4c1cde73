"""A program in the background with a log, for as long as a story wants it."""

import os
import signal
import subprocess
import time
from pathlib import Path

from .command import CommandFailed


class Program:
    """A running program; a story ends it."""

    def __init__(self, name, directory, words, env=None):
        self.name, self.log = name, Path(directory) / f"{name}.out"
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([str(w) for w in words], cwd=directory, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, env={**os.environ, "NO_COLOR": "1", **(env or {})}, start_new_session=True)

    def said(self):
        """All that it has said."""
        return self.log.read_text(errors="replace")

    def until(self, done, what, timeout=60):
        """Waits until `done()` is true while the program runs; returns what it gave."""
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
            # A program in Python writes where it is into its log then, if it has `faulthandler`.
            self.process.send_signal(signal.SIGABRT)
            time.sleep(1)
            self.kill()
            return -signal.SIGKILL

    def kill(self):
        """Ends it at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
