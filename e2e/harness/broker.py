"""A message broker that keeps what it gets: `broker_process.py` in a process of its own."""

import json
import socket
import subprocess
import time
from pathlib import Path

from .command import CommandFailed


class Broker:
    """A broker at one port of this machine that can be started again; use it as a context."""

    def __init__(self, python, directory, *tls):
        self.python, self.dir, self.tls, self.process = python, Path(directory), [str(part) for part in tls], None
        self.dir.mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self):
        """Starts it and returns when it listens."""
        (self.dir / "listens").unlink(missing_ok=True)
        script = Path(__file__).with_name("broker_process.py")
        command = [str(self.python), str(script), str(self.dir), str(self.port), *self.tls]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not (self.dir / "listens").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed("the broker does not start")
            time.sleep(0.02)
        return self

    def stop(self):
        """Ends it at once."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        """Its address."""
        return f"{'amqps' if self.tls else 'amqp'}://127.0.0.1:{self.port}"

    def messages(self):
        """The messages so far."""
        return [json.loads(path.read_text()) for path in sorted(self.dir.glob("*.json"))]

    def wait(self, wanted, what, timeout=90):
        """Returns the first message that `wanted` takes."""
        deadline = time.monotonic() + timeout
        while True:
            messages = self.messages()
            for message in messages:
                if wanted(message):
                    return message
            if time.monotonic() > deadline:
                raise CommandFailed(f"no message {what}; got {[(m['address'], m['properties']) for m in messages]}")
            time.sleep(0.05)
