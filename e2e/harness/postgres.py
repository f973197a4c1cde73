"""A throw-away PostgreSQL server that listens at a socket in its own directory."""

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

from .command import run


class Postgres:
    """A running server; `url("name")` is a database of it."""

    def __init__(self, directory, settings=(), port=5432):
        self.dir, self.port = Path(directory), port
        self.dir.mkdir(parents=True)
        # PostgreSQL refuses to run as root; then it runs as the user that its package made, or nobody.
        self.owner = None
        # The network namespace that it runs in, if any.
        self.space = None
        if os.geteuid() == 0:
            names = {user.pw_name for user in pwd.getpwall()}
            self.owner = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            os.chown(self.dir, self.owner.pw_uid, self.owner.pw_gid)
            for parent in self.dir.parents:
                if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o001)
        self.settings = ["listen_addresses=''", f"unix_socket_directories='{self.dir}'", "max_connections=200",
                         f"port={port}", "timezone=UTC", *settings]

    def initialise(self):
        """Makes the data directory, if there is none yet."""
        if not (self.dir / "data").exists():
            self._run("initdb", "-U", "toji", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-D", self.dir / "data")
            (self.dir / "data" / "postgresql.auto.conf").write_text("".join(f"{s}\n" for s in self.settings))

    def start(self):
        """Makes the data directory, if there is none yet, and starts the server."""
        self.initialise()
        # The server keeps what it inherits open, so its output goes to its log alone.
        self._run("pg_ctl", "start", "-w", "-s", "-t", "60", "-l", self.dir / "log", "-D", self.dir / "data")
        return self

    def stop(self, mode="fast"):
        """Ends the server; `immediate` is a crash."""
        if (self.dir / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-s", "-m", mode, "-D", self.dir / "data")

    def create(self, name):
        """Makes an empty database and returns its URL."""
        self.psql("postgres", f'CREATE DATABASE "{name}"')
        return self.url(name)

    def url(self, name):
        """The address of a database."""
        return f"postgres:///{name}?host={self.dir}&user=toji"

    def psql(self, name, statement):
        """Runs a statement and returns its rows as text, columns separated by `|`."""
        arguments = ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.dir, "-p", self.port, "-U", "toji",
                     "-d", name]
        return run(binary("psql"), *arguments, "-c", statement).out

    def statements(self, action):
        """The texts of the statements that the server gets from `action`, which may be run several times."""
        log = self.dir / "log"
        begin = log.stat().st_size
        self.psql("postgres", "ALTER SYSTEM SET log_statement = 'all'")
        self.psql("postgres", "SELECT pg_reload_conf()")
        try:
            # Open sessions take the new setting when the signal has reached them.
            for _ in range(100):
                action()
                with open(log, errors="replace") as lines:
                    lines.seek(begin)
                    found = parse_statements(lines.read())
                if any("$1" in text for text in found):
                    return found
        finally:
            self.psql("postgres", "ALTER SYSTEM RESET log_statement")
            self.psql("postgres", "SELECT pg_reload_conf()")
        raise RuntimeError("the server logged no prepared statement")

    def queries(self, action):
        """What the server executes for one `action`, with its values in place: a script that does the same."""
        self.psql("postgres", "ALTER SYSTEM SET log_statement = 'all'")
        self.psql("postgres", "SELECT pg_reload_conf()")
        log = self.dir / "log"
        try:
            before = None
            for _ in range(100):
                begin = log.stat().st_size
                action()
                with open(log, errors="replace") as lines:
                    lines.seek(begin)
                    found = parse_queries(lines.read())
                # The first answers may come from before the setting reached the session.
                if found and found == before:
                    return found
                before = found
        finally:
            self.psql("postgres", "ALTER SYSTEM RESET log_statement")
            self.psql("postgres", "SELECT pg_reload_conf()")
        raise RuntimeError("the server logged no prepared statement")

    def pgbench(self, name, script, clients, seconds, variables=()):
        """Transactions per second that `pgbench -M prepared` reaches with a script."""
        file = self.dir / "script.sql"
        file.write_text(script)
        told = [part for key, value in variables for part in ("-D", f"{key}={value}")]
        said = run(binary("pgbench"), "-n", "-M", "prepared", "-c", clients, "-j", min(clients, 2), "-T", seconds,
                   "-f", file, *told, "-h", self.dir, "-U", "toji", name).out
        return float(re.search(r"tps = ([\d.]+)", said).group(1))

    def give(self, path, text):
        """Writes a file that belongs to the server alone; returns its path."""
        file = self.dir / path
        file.write_text(text)
        file.chmod(0o600)
        if self.owner:
            os.chown(file, self.owner.pw_uid, self.owner.pw_gid)
        return file

    def _run(self, program, *arguments):
        user = {"user": self.owner.pw_uid, "group": self.owner.pw_gid, "extra_groups": []} if self.owner else {}
        space = ["ip", "netns", "exec", self.space] if self.space else []
        if space and user:
            # Only root may enter the namespace; who it is afterwards is another matter.
            space += ["setpriv", f"--reuid={user['user']}", f"--regid={user['group']}", "--clear-groups"]
            user = {}
        done = subprocess.run([*space, binary(program), *map(str, arguments)], cwd=self.dir, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE if program == "initdb" else None, **user)
        if done.returncode:
            log = self.dir / "log"
            raise RuntimeError(f"{program} failed: {done.stderr!r}\n{log.read_text() if log.exists() else ''}")


def binary(name):
    """Where a program of PostgreSQL is; Debian keeps the server's ones out of the path."""
    found = shutil.which(name)
    if found:
        return found
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not places:
        raise FileNotFoundError(f"{name} of PostgreSQL is not installed")
    return str(places[-1])


def parse_statements(log):
    """The statements of a server's log, prepared ones with their `$1`."""
    found = []
    for entry in re.split(r"^(?=\S)", log, flags=re.M):
        match = re.match(r"^\S+ \S+ \S+ \[\d+\] LOG:  (?:statement|execute [^:]*): (.*)", entry, flags=re.S)
        if match:
            found.append(re.sub(r"\n\t", "\n", match.group(1)).strip())
    return found


def parse_queries(log):
    """The executed statements of a server's log, their values put in; a colon within an alias would be pgbench's variable."""
    found = []
    entries = [e for e in re.split(r"^(?=\S)", log, flags=re.M) if e]
    for entry, after in zip(entries, [*entries[1:], ""]):
        match = re.match(r"^\S+ \S+ \S+ \[\d+\] LOG:  execute [^:]*: (.*)", entry, flags=re.S)
        if not match:
            continue
        text = re.sub(r'"(\w+):\w+"', r'"\1"', re.sub(r"\n\t", "\n", match.group(1)).strip())
        values = re.match(r"^.*DETAIL:  parameters: (.*)", after, flags=re.S)
        values = dict(re.findall(r"\$(\d+) = (NULL|'(?:[^']|'')*')", values.group(1))) if values else {}
        found.append(re.sub(r"\$(\d+)", lambda m: values.get(m.group(1), "NULL"), text))
    return found
