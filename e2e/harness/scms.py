"""Servers of source repositories besides git: Subversion, Mercurial and CVS, each with its own program."""

import os
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from .command import CommandFailed, run

ENVIRONMENT = {"HGRCPATH": "", "HGUSER": "A Packager <packager@example.com>", "CVSROOT": ""}


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """A program that serves on a port, waited for until it does."""

    def __init__(self, directory, name, command):
        self.log = directory / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **ENVIRONMENT}, cwd=directory)

    def serves(self, port):
        """Returns when it takes connections."""
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return self
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed(f"nothing serves: {self.log.read_text()}")
            time.sleep(0.02)

    def close(self):
        """Serves no more."""
        self.process.kill()
        self.process.wait()


class Subversion(Daemon):
    """`svnserve` with one repository, `pkgs`."""

    scheme = "svn"

    def __init__(self, directory):
        directory.mkdir(parents=True)
        self.directory, self.port = directory, free_port()
        run("svnadmin", "create", directory / "pkgs")
        super().__init__(directory, "svnserve", ["svnserve", "--daemon", "--foreground", "--listen-host", "127.0.0.1", "--listen-port",
                                                 self.port, "--root", directory])
        self.serves(self.port)

    def add(self, name, files):
        """Commits a directory; its URL, with the revision."""
        tree = self.directory / f"{name}.tree"
        write(tree, files)
        run("svn", "import", "-q", "-m", "Add the package", tree, f"file://{self.directory}/pkgs/{name}")
        revision = run("svnlook", "youngest", self.directory / "pkgs").out.strip()
        return f"svn://127.0.0.1:{self.port}/pkgs?{name}#{revision}"


class Mercurial(Daemon):
    """`hg serve` with a repository for each package."""

    scheme = "hg+http"

    def __init__(self, directory):
        directory.mkdir(parents=True)
        self.directory, self.port = directory, free_port()
        conf = directory / "hgweb.conf"
        # it looks for new repositories at each request
        conf.write_text(f"[paths]\n/ = {directory}/*\n[web]\nrefreshinterval = 0\n")
        super().__init__(directory, "hg", ["hg", "serve", "--address", "127.0.0.1", "--port", self.port, "--web-conf", conf])
        self.serves(self.port)

    def add(self, name, files):
        """Makes a repository of the files; its URL, with the revision's number."""
        tree = self.directory / name
        run("hg", "init", tree, env=ENVIRONMENT)
        write(tree, files)
        run("hg", "-R", tree, "commit", "-q", "--addremove", "-m", "Add the package", env=ENVIRONMENT)
        node = run("hg", "-R", tree, "log", "-r", ".", "-T", "{node}", env=ENVIRONMENT).out
        return f"hg+http://127.0.0.1:{self.port}/{name}#{node}"


class Cvs:
    """`cvs pserver`, which a small server starts for each connection; anybody may read."""

    scheme = "cvs"

    def __init__(self, directory):
        directory.mkdir(parents=True)
        self.directory = directory
        # The server's user, who is not root, must get there.
        self.place = Path(tempfile.mkdtemp(prefix="cvs-"))
        self.root = self.place / "root"
        run("cvs", "-d", self.root, "init")
        user = "nobody" if os.getuid() == 0 else run("id", "-un").out.strip()
        (self.root / "CVSROOT/passwd").write_text(f"anonymous::{user}\n")
        command = ["cvs", "-f", f"--allow-root={self.root}", "pserver"]

        class Connection(socketserver.BaseRequestHandler):
            """One client."""

            def handle(self):
                subprocess.run(command, stdin=self.request, stdout=self.request, stderr=subprocess.DEVNULL, check=False)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name, files):
        """Imports a directory; its URL, with the release's tag."""
        tree = self.directory / f"{name}.tree"
        write(tree, files)
        run("cvs", "-Q", "-d", self.root, "import", "-m", "Add the package", name, "packager", f"{name}-1", cwd=tree)
        run("chmod", "-R", "a+rwX", self.place)
        return f"cvs://127.0.0.1:{self.server.server_address[1]}{self.root}?{name}#{name}-1"

    def close(self):
        """Serves no more."""
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.place)


def write(tree, files):
    """Writes files below a directory."""
    tree.mkdir(exist_ok=True)
    for name, text in files.items():
        (tree / name).write_text(text)
