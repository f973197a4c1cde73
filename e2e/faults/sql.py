"""A session with PostgreSQL by its own client, which outlives restarts of the server."""

import subprocess

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

    def close(self):
        """Ends the connection, and with it what it holds."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
