"""Builds from a git repository, alone and in a chain."""

import functools
import http.server
import threading

from harness.command import run
from harness.rpms import spec
from harness.story import has, story, that


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each request."""

    def log_message(self, *_):
        """Says nothing."""


class GitHost:
    """Serves the bare repositories below a directory over plain HTTP."""

    def __init__(self, directory):
        self.directory = directory
        self.directory.mkdir(parents=True)
        serve = functools.partial(Quiet, directory=str(self.directory))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name, text, files=None):
        """Makes a repository with a spec file and one source, or with other files; returns its URL with the commit."""
        work = self.directory / f"{name}.work"
        work.mkdir()
        package = {f"{name}.spec": text, "notes.txt": "a source from git\n", "Makefile": "sources:\n\t@echo nothing to fetch\n"}
        for file, content in (files or package).items():
            (work / file).parent.mkdir(parents=True, exist_ok=True)
            (work / file).write_text(content)
        git = ["git", "-C", work, "-c", "user.name=A Packager", "-c", "user.email=packager@example.com"]
        run("git", "init", "-q", "-b", "main", work)
        run(*git, "add", ".")
        run(*git, "commit", "-q", "-m", "Add the package")
        commit = run(*git, "rev-parse", "HEAD").out.strip()
        bare = self.directory / f"{name}.git"
        run("git", "clone", "-q", "--bare", work, bare)
        run("git", "-C", bare, "update-server-info")
        return f"git+http://127.0.0.1:{self.server.server_port}/{name}.git#{commit}"

    def close(self):
        """Serves no more."""
        self.server.shutdown()


def with_source(name, **words):
    """A spec file that needs the repository's file notes.txt."""
    text = spec(name, install=f"install -m 644 %{{SOURCE0}} %{{buildroot}}/usr/share/{name}/notes", **words)
    return text.replace("License: MIT\n", "License: MIT\nSource0: notes.txt\n")


@story(slow=True)
def from_git(w):
    """A commit is checked out, its source package made on a builder, and built; the build remembers its source."""
    host = GitHost(w.dir / "git")
    try:
        pkg = w.name("fromgit")
        target = w.target("t", [pkg])
        url = host.add(pkg, with_source(pkg))
        said = w.koji("build", "--wait", target, url)
        task = w.task_of(said)
        commit = url.split("#")[1]
        has(said, "buildSRPMFromSCM (", "buildArch (", f"{task} build ({target}, ", "completed successfully")
        has(w.anonymous("buildinfo", f"{pkg}-1.0-1"), "State: COMPLETE", f"Source: {url}")
        that(w.hub.call("getBuild", f"{pkg}-1.0-1")["source"] == url, "the build's source differs")
        has(w.anonymous("taskinfo", "-r", str(task)), "Type: buildSRPMFromSCM", "checkout.log")
        has(w.hub.describe(task), "buildSRPMFromSCM", "CLOSED")
        that(len(commit) == 40, "the commit")
    finally:
        host.close()


@story(slow=True)
def from_git_refused(w):
    """A repository that is not there fails with a text that names it."""
    target = w.target("t")
    said = w.koji("build", "--wait", target, "git+http://127.0.0.1:9/none.git#0000000000000000000000000000000000000000", code=1)
    has(said, "FAILED: ")


@story(slow=True)
def chain_build(w):
    """The second package of a chain is built in a repository that has the first."""
    host = GitHost(w.dir / "git")
    try:
        first, second = w.name("chaina"), w.name("chainb")
        target = w.target("t", [first, second])
        one = host.add(first, with_source(first))
        two = host.add(second, with_source(second, build_requires=[first], build=f"test -s /usr/share/{first}/notes"))
        said = w.koji("chain-build", "--wait", target, one, ":", two)
        task = w.task_of(said)
        has(said, f"{task} chainbuild ({target}", "completed successfully", f"waitrepo ({target}-build")
        for pkg in (first, second):
            has(w.anonymous("buildinfo", f"{pkg}-1.0-1"), "State: COMPLETE", f"Tags: {target}")
        has(w.koji("chain-build", target, one, code=2).err, "You must specify at least one dependency")
    finally:
        host.close()
