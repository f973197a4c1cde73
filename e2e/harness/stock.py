"""Koji's own programs, as its source distribution on PyPI has them, and what they need around them."""

import os
import re
from pathlib import Path

from .command import CommandFailed, run
from .program import Program

HERE = Path(__file__).resolve().parent
VERSION = "1.36.1"
# Words that a program's log must not have.
TROUBLE = re.compile(r"^.*(?:\bERROR\b|\bWARNING\b|Traceback|Exception|Error:|FAILED:|Warning:).*$", re.MULTILINE)


def program(name):
    """The unmodified program that ./x has unpacked; KOJI_SDIST may name another place."""
    place = os.environ.get("KOJI_SDIST") or HERE.parent.parent / ".x" / f"koji-{VERSION}"
    path = Path(place) / "util" / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; ./x setup fetches it")
    return path


def python(koji):
    """The interpreter that the stock client runs in, which finds the client's library."""
    return Path(koji).parent / "python"


def conf(path, **sections):
    """Writes a configuration file and returns its path."""
    text = ""
    for section, options in sections.items():
        text += f"[{section}]\n"
        for key, value in options.items():
            text += f"{key} = " + str(value).replace("\n", "\n    ") + "\n"
    path.write_text(text)
    return path


def login(server):
    """The options that make a program the administrator."""
    ready = server.ready
    return ["--user", ready["admin_user"], "--password", ready["admin_password"]]


def run_program(world, name, *options, code=0, env=None, trouble=True, timeout=300):
    """Runs a program to its end; it must say nothing about trouble unless `trouble` is false."""
    words = [python(world.koji_program), "-W", "ignore", program(name), *options]
    said = run(*words, code=code, cwd=world.dir, env=env, timeout=timeout)
    if trouble:
        clean(said.out + said.err, name)
    return said


def clean(text, name):
    """The text has no line about trouble."""
    found = TROUBLE.findall(text)
    if found:
        raise CommandFailed(f"{name} said:\n" + "\n".join(found) + f"\nin\n{text}")


class Daemon(Program):
    """One of these programs that runs until it is ended."""

    def __init__(self, world, name, *options):
        super().__init__(name, world.dir, [python(world.koji_program), "-W", "ignore", program(name), *options])
