"""One process that can be killed, stopped and started again at its place."""

import os
import signal
import subprocess
import time
from pathlib import Path


class Process:
    """A program with its log; `ready` is a file that it writes when it serves."""

    def __init__(self, name, command, directory, ready=None, env=None, space=None):
        self.name, self.dir, self.ready = name, Path(directory), ready
        self.command = [str(word) for word in command]
        if space:
            self.command = ["ip", "netns", "exec", space, *self.command]
        self.env, self.log, self.process = dict(env or {}), self.dir / f"{name}.log", None

    def start(self, timeout=60):
        """Starts it and waits until it serves."""
        self.spawn()
        return self.wait_ready(timeout)

    def spawn(self):
        """Starts it."""
        if self.ready:
            Path(self.ready).unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir,
                                            env={**os.environ, "NO_COLOR": "1", **self.env}, start_new_session=True)
        return self

    def wait_ready(self, timeout=60):
        """Waits until it serves; one that ends meanwhile is an error."""
        deadline = time.monotonic() + timeout
        while self.ready and not Path(self.ready).exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not serve ({self.process.poll()})\n{self.tail()}")
            time.sleep(0.005)
        return self

    def kill(self):
        """kill -9, and no trace of it is left."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        """Stops it as it stands; `resume` lets it go on."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        """Lets a stopped process go on."""
        self.process.send_signal(signal.SIGCONT)

    def end(self, timeout=20):
        """Asks it to end; what does not is killed."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def alive(self):
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def resident(self):
        """Its resident memory in KiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    def told(self, text):
        """How often its log has a text."""
        return self.log.read_text(errors="replace").count(text)

    def tail(self, lines=30):
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else "(no log)"
