"""A mail server that keeps what it gets: `receiver.py` in a process of its own."""

import email
import email.policy
import json
import subprocess
import time
from pathlib import Path

from .command import CommandFailed


class Mailbox:
    """A running SMTP server at a free port of this machine; use it as a context."""

    def __init__(self, python, directory):
        self.python, self.dir = python, Path(directory)

    def __enter__(self):
        self.dir.mkdir(parents=True)
        script = Path(__file__).with_name("receiver.py")
        self.process = subprocess.Popen([str(self.python), str(script), str(self.dir)], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not (self.dir / "port").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed("the mail server does not start")
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    @property
    def address(self):
        """HOST:PORT."""
        return f"127.0.0.1:{(self.dir / 'port').read_text()}"

    def letters(self):
        """The messages so far: recipients and message."""
        found = []
        for path in sorted(self.dir.glob("*.json")):
            kept = json.loads(path.read_text())
            found.append((kept["to"], email.message_from_string(kept["content"], policy=email.policy.default)))
        return found

    def wait(self, wanted, what, timeout=60):
        """Returns the first message that `wanted(recipients, letter)` takes, with its recipients."""
        deadline = time.monotonic() + timeout
        while True:
            letters = self.letters()
            for recipients, letter in letters:
                if wanted(recipients, letter):
                    return recipients, letter
            if time.monotonic() > deadline:
                got = [(to, letter["Subject"]) for to, letter in letters]
                raise CommandFailed(f"no message {what} after {timeout} s; got {got}")
            time.sleep(0.05)
