"""A terminal with a program in it, which is talked to as a person does."""

import os
import pty
import select
import signal
import time

from .command import CommandFailed


class Terminal:
    """A program that has a terminal of its own; what it shows is read in order."""

    def __init__(self, *argv, cwd=None, env=None):
        full = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "COLUMNS": "200", "TERM": "dumb", **(env or {})}
        self.words = [str(word) for word in argv]
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            try:
                if cwd:
                    os.chdir(cwd)
                os.execvpe(self.words[0], self.words, full)
            finally:
                os._exit(127)
        self.shown, self.read, self.gone = "", 0, False

    def more(self, timeout):
        """Reads what comes next; nothing after the end."""
        if not select.select([self.terminal], [], [], max(timeout, 0))[0]:
            return
        try:
            part = os.read(self.terminal, 65536)
        except OSError:
            part = b""  # Linux reports the end of a terminal as an error
        self.gone = not part
        self.shown += part.decode(errors="replace").replace("\r\n", "\n")

    def expect(self, text, timeout=180):
        """Returns when the text was shown after what was expected before."""
        deadline = time.monotonic() + timeout
        while (at := self.shown.find(text, self.read)) < 0:
            if self.gone or time.monotonic() > deadline:
                os.kill(self.child, signal.SIGKILL)
                raise CommandFailed(f"{text!r} is not shown by {' '.join(self.words)}:\n{self.shown}")
            self.more(deadline - time.monotonic())
        self.read = at + len(text)
        return self

    def say(self, line):
        """Types a line."""
        os.write(self.terminal, f"{line}\n".encode())
        return self

    def end(self, code=0, timeout=180):
        """Waits for the end and returns all that was shown."""
        deadline = time.monotonic() + timeout
        while not self.gone:
            if time.monotonic() > deadline:
                os.kill(self.child, signal.SIGKILL)
            self.more(1)
        os.close(self.terminal)
        ended = os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])
        if ended != code:
            raise CommandFailed(f"exit code {code} was expected, not {ended}, of {' '.join(self.words)}:\n{self.shown}")
        return self.shown
