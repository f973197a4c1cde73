"""What a story is: a function with a world to act in and checks that say what differs."""

import itertools
import os
import re
import threading
from pathlib import Path

from .command import run, run_in_terminal
from .hub import Hub
from .rpms import srpm
from .server import Server

STORIES = []
PASSWORD = "the password of every user that a story makes"


def story(own=False, slow=False, hand=False):
    """Declares a story; `own` ones start servers of their own, `slow` ones are begun first, `hand` ones run when they are named only."""
    def declare(function):
        area = function.__module__.rsplit(".", 1)[-1]
        function.label = f"{area}.{function.__name__}"
        function.own, function.slow, function.hand = own, slow, hand
        STORIES.append(function)
        return function
    return declare


class CheckFailed(AssertionError):
    """A check of a story did not hold."""


def eq(found, wanted, what="the value"):
    """Two values are equal."""
    if found != wanted:
        raise CheckFailed(f"{what} differs\n  found:  {found!r}\n  wanted: {wanted!r}")


def has(text, *parts):
    """The text (or the output of a command) contains each part."""
    whole = str(text)
    text = text if isinstance(text, (str, list, dict, set, tuple)) else text.out
    for part in parts:
        if part not in text:
            raise CheckFailed(f"{part!r} is missing in:\n{whole}")


def lacks(text, *parts):
    """The text (or the output of a command) contains none of the parts."""
    whole = str(text)
    text = text if isinstance(text, (str, list, dict, set, tuple)) else text.out
    for part in parts:
        if part in text:
            raise CheckFailed(f"{part!r} must not be in:\n{whole}")


def matches(text, pattern):
    """The text (or the output of a command) has a line that the pattern matches as a whole."""
    whole = str(text)
    text = text if isinstance(text, str) else text.out
    found = re.search(rf"^(?:{pattern})$", text, re.MULTILINE)
    if not found:
        raise CheckFailed(f"no line like {pattern!r} in:\n{whole}")
    return found


def that(held, what):
    """A condition holds."""
    if not held:
        raise CheckFailed(what)


class World:
    """Where a story acts: a server, the stock client, names that nobody else uses, a directory."""

    numbers = itertools.count(1)

    def __init__(self, server, koji, directory):
        self.server, self.koji_program, self.dir = server, koji, Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.number = next(self.numbers)
        self._hub = None
        self.commands = set()

    @property
    def ready(self):
        """What the server wrote about itself."""
        return self.server.ready

    @property
    def hub(self):
        """A session as the administrator, to look at what the stock client did."""
        if self._hub is None:
            self._hub = self.new_hub().login(self.ready["admin_user"], self.ready["admin_password"])
        return self._hub

    def renew(self):
        """Forgets the session, so that the next use logs in again."""
        self._hub = None

    def new_hub(self):
        """An anonymous session."""
        return Hub(self.ready["hub"])

    def name(self, base):
        """A name that no other story uses."""
        return f"{base}{self.number}"

    def koji(self, *argv, code=0, **more):
        """Runs the stock client as the administrator."""
        start = run_in_terminal if more.pop("tty", False) else run
        return self.ran(argv, start(self.koji_program, *self.ready["koji_args"], *argv, code=code,
                                    cwd=more.pop("cwd", self.dir), **more))

    def anonymous(self, *argv, code=0, **more):
        """Runs the stock client without a login."""
        return self.ran(argv, run(self.koji_program, "-c", self.ready["koji_conf"], "--noauth", *argv, code=code,
                                  cwd=more.pop("cwd", self.dir), **more))

    def as_user(self, user, *argv, code=0, **more):
        """Runs the stock client as a user that `user` made."""
        return self.ran(argv, run(
            self.koji_program, "-c", self.ready["koji_conf"], "--authtype", "password", "--user", user, "--password",
            PASSWORD, *argv, code=code, cwd=more.pop("cwd", self.dir), **more))

    def user(self, base="user"):
        """Makes a user who can log in and has no permission; returns the name."""
        name = self.name(base)
        self.hub.call("createUser", name)
        self.server.set_password(name, PASSWORD)
        return name

    def ran(self, argv, result):
        """Remembers which commands of the client did their work in this story."""
        if result.code == 0:
            self.commands.update(str(a) for a in argv[:1])
        return result

    def srpm(self, name, *args, **words):
        """Makes a source package in the story's directory."""
        return srpm(self.dir, name, *args, **words)

    def target(self, base="t", packages=(), wait=True):
        """Makes a tag, its build tag and a target of their own; returns the target's name, which is the tag's too."""
        name = self.name(base)
        self.koji("add-tag", name)
        self.koji("add-tag", f"{name}-build", "--arches", "x86_64", "--parent", name)
        self.koji("add-target", name, f"{name}-build", name)
        self.koji("add-group", f"{name}-build", "build")
        self.koji("add-group", f"{name}-build", "srpm-build")
        if packages:
            self.koji("add-pkg", "--owner", self.ready["admin_user"], name, *packages)
        return name

    def build(self, target, path, *options, code=0):
        """Builds a source package with the stock client, watching; returns its result."""
        return self.koji("build", "--wait", "--noprogress", *options, target, path, code=code)

    def task_of(self, result):
        """The number of the task that a command created."""
        return result.number(r"Created task: (\d+)")

    def topdir(self, *parts):
        """A path below the server's file root."""
        return Path(self.ready["topdir"]).joinpath(*parts)


class Shared:
    """The server that most stories use together, started by the first that asks."""

    def __init__(self, toji, directory):
        self.server = Server(toji, Path(directory) / "shared", extra=["--builders", "3"])
        self.lock, self.failure = threading.Lock(), None

    def get(self):
        """The running server; if it could not start or has died, everybody hears why."""
        with self.lock:
            if self.failure:
                raise self.failure
            if self.server.process is None:
                try:
                    self.server.start()
                except Exception as error:
                    self.failure = error
                    raise
            if not self.server.alive():
                raise CheckFailed(f"the shared server has ended\n{self.server.log_tail()}")
            return self.server


def koji_program(root):
    """The stock client that ./x installs; another may be named by KOJI."""
    return os.environ.get("KOJI") or str(Path(root) / ".x/venv/bin/koji")
