"""A session with PostgreSQL by its own client, which outlives restarts of the server."""

import subprocess
import time

from harness.postgres import binary

END = "-- end of the answer --"


class Gone(Exception):
    """The server is not there."""


class Session:
    """Statements one after the other in one connection; a broken one is opened again at the next statement."""

    def __init__(self, postgres, name):
        self.command = [binary("psql"), "-X", "-A", "-t", "-q", "-h", str(postgres.dir), "-U", "toji", "-d", name]
        self.process = None

    def rows(self, statement):
        """The rows as lists of texts."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        found = []
        try:
            self.process.stdin.write(f"{statement};\nSELECT '{END}';\n")
            self.process.stdin.flush()
            for line in self.process.stdout:
                if line.rstrip("\n") == END:
                    return found
                found.append(line.rstrip("\n").split("|"))
        except BrokenPipeError:
            pass
        self.close()
        raise Gone(statement)

    def value(self, statement):
        """The only value, as text."""
        found = self.rows(statement)
        if not found:
            raise Gone(statement)
        return found[0][0]

    def number(self, statement):
        """The only value, a number."""
        return int(self.value(statement))

    def until_written(self, patience=30):
        """Waits until the hub has written its statements about all builds, which it does after their completion."""
        deadline = time.monotonic() + patience
        while self.number("SELECT count(*) FROM toji_statement WHERE due") and time.monotonic() < deadline:
            time.sleep(0.2)

    def close(self):
        """Ends the connection, and with it what it holds."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
