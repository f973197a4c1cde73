"""One `toji hub` process, configured by a `hub.conf`."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from .server import StartFailed


class HubProcess:
    """A running hub; `conf` holds its options by section, `ready` what it wrote about itself."""

    def __init__(self, toji, directory, conf, extra=(), env=None):
        self.toji, self.dir, self.conf = str(toji), Path(directory), conf
        self.dir.mkdir(parents=True, exist_ok=True)
        self.extra, self.env = list(extra), dict(env or {})
        self.log = self.dir / "log"
        self.process, self.ready = None, None

    def configure(self, **options):
        """Writes the file; `options` are added to the section `[hub]`."""
        self.conf["hub"].update(options)
        lines = []
        for section, values in self.conf.items():
            lines += [f"[{section}]"] + [f"{name} = {value}" for name, value in values.items()]
        (self.dir / "hub.conf").write_text("\n".join(lines) + "\n")

    def start(self, timeout=60):
        """Starts the process and returns when it serves."""
        self.configure()
        ready = self.dir / "ready.json"
        ready.unlink(missing_ok=True)
        command = [self.toji, "hub", "--config", str(self.dir / "hub.conf"), "--listen", "127.0.0.1:0",
                   "--ready-file", str(ready), *self.extra]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self.env}, start_new_session=True)
        deadline = time.monotonic() + timeout
        while not ready.exists():
            if self.process.poll() is not None:
                raise StartFailed(f"toji hub ended with {self.process.returncode}\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.stop()
                raise StartFailed(f"toji hub does not serve after {timeout} s\n{self.log_tail()}")
            time.sleep(0.02)
        self.ready = json.loads(ready.read_text())
        return self

    def reload(self, said="the configuration was read anew", timeout=30, **options):
        """Writes the file with other options, sends SIGHUP and waits for what the log says then."""
        self.configure(**options)
        begin = self.log.stat().st_size
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + timeout
        while said not in self.log.read_text(errors="replace")[begin:]:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"the hub did not say {said!r}\n{self.log_tail()}")
            time.sleep(0.02)

    @property
    def address(self):
        """HOST:PORT of plain HTTP."""
        return self.ready["url"].split("://", 1)[1]

    @property
    def tls(self):
        """The hub's address with TLS, by the name in its certificate."""
        return f"https://localhost:{self.ready['tls'].rsplit(':', 1)[1]}/kojihub"

    def stop(self, timeout=30):
        """Asks the process to end and returns its exit code; kills what does not end."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return -signal.SIGKILL

    def log_tail(self, lines=40):
        """The end of what the process logged."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
