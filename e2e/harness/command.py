"""Running programs: their results as values, their failures as text that shows everything."""

import os
import pty
import re
import subprocess


class CommandFailed(AssertionError):
    """A program did not do what the story expected of it."""


class Result:
    """What a program said and how it ended."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    def __str__(self):
        return f"$ {' '.join(map(str, self.argv))}\nexit code {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"

    def number(self, pattern):
        """The number that the first group of `pattern` finds in the output."""
        found = re.search(pattern, self.out)
        if not found:
            raise CommandFailed(f"no {pattern!r} in the output of\n{self}")
        return int(found.group(1))


def run(*argv, code=0, cwd=None, env=None, timeout=600, stdin=None):
    """Runs a program and returns its result; `code` is the exit code it must have, `None` takes any."""
    full = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "COLUMNS": "80", **(env or {})}
    try:
        done = subprocess.run(
            [str(a) for a in argv], cwd=cwd, env=full, timeout=timeout, capture_output=True,
            **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}))
    except subprocess.TimeoutExpired as late:
        out = (late.stdout or b"").decode(errors="replace")
        err = (late.stderr or b"").decode(errors="replace")
        raise CommandFailed(f"not done after {timeout} s:\n{Result(argv, None, out, err)}") from None
    result = Result(argv, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
    if code is not None and result.code != code:
        raise CommandFailed(f"exit code {code} was expected:\n{result}")
    return result


def run_in_terminal(*argv, code=0, cwd=None):
    """Runs a program in a terminal of its own, where clients show progress and watch; its output has both streams."""
    full = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "COLUMNS": "200", "TERM": "dumb"}
    words = [str(a) for a in argv]
    child, terminal = pty.fork()
    if child == 0:
        try:
            if cwd:
                os.chdir(cwd)
            os.execvpe(words[0], words, full)
        finally:
            os._exit(127)
    out = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            part = b""  # Linux reports the end of a terminal as an error
        if not part:
            break
        out += part
    os.close(terminal)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    result = Result(words, ended, out.decode(errors="replace").replace("\r\n", "\n"), "")
    if code is not None and ended != code:
        raise CommandFailed(f"exit code {code} was expected:\n{result}")
    return result
