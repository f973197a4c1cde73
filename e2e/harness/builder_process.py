"""One `toji builder` process at a site's hub, configured by a `kojid.conf`."""

import os
import subprocess
import time

from .story import that


class Daemon:
    """A running `toji builder`."""

    def __init__(self, own, site, name, **options):
        self.dir = own.dir / name
        self.dir.mkdir()
        self.conf, self.log = self.dir / "kojid.conf", self.dir / "log"
        options = {"server": site.hub.tls, "serverca": site.authority.ca, "workdir": self.dir / "work", "minspace": 0, "max_load": 0,
                   "sleeptime": 1, **options}
        self.conf.write_text("[kojid]\n" + "".join(f"{key} = {value}\n" for key, value in options.items()))
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([own.toji, "builder", "--config", str(self.conf)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**os.environ, "NO_COLOR": "1", **site.env()})

    def said(self):
        """What it logged."""
        return self.log.read_text(errors="replace")

    def until(self, done, what, timeout=60):
        """Waits until `done()` is true while the builder runs."""
        deadline = time.monotonic() + timeout
        while not done():
            that(self.process.poll() is None, f"the builder ended\n{self.said()}")
            that(time.monotonic() < deadline, f"no {what}\n{self.said()}")
            time.sleep(0.05)

    def end(self):
        """Asks it to end."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(60)
