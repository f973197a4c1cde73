"""Toji's own commands that wait: for tasks, for logs, for repositories; beside the stock client's."""

import subprocess
import threading

from harness.command import run
from harness.logs import chatty
from harness.story import eq, has, lacks, matches, story, that
from harness.terminal import Terminal

LINES = 30


class Running(threading.Thread):
    """A command that runs beside the story."""

    def __init__(self, w, *argv):
        super().__init__(daemon=True)
        self.argv, self.result, self.problem = [w.server.toji, *argv, "--server", w.ready["hub"]], None, None
        self.start()

    def run(self):
        try:
            self.result = run(*self.argv, code=None, timeout=300)
        except AssertionError as problem:
            self.problem = problem

    def end(self, code=0):
        """Waits for the end and returns what was said."""
        self.join(300)
        that(self.result is not None, f"{self.argv} has not ended: {self.problem}")
        eq(self.result.code, code, f"the exit code of\n{self.result}")
        return self.result


def toji(w, *argv, code=0, **more):
    """Runs a command of Toji's to its end."""
    return run(w.server.toji, *argv, "--server", w.ready["hub"], code=code, **more)


def lines(result):
    """The lines of a command, in an order that does not depend on that of the tasks."""
    return sorted(result.out.splitlines())


@story(slow=True)
def commands(w):
    """A build is watched while it runs, line by line and on a terminal, with its logs; afterwards Toji's commands print what the stock client's do."""
    target = w.target("t", ["talker"])
    w.hub.wait_repo(f"{target}-build")
    source = w.hub.upload(w.srpm("talker", build=chatty(LINES, 0.1)), "cli-build/talker")
    task = w.hub.call("build", source, target, {})
    watched, logs = Running(w, "watch-task", str(task)), Running(w, "watch-logs", "-f", "--log", "build.log", str(task))
    waited = Running(w, "wait-repo", "--verbose", f"{target}-build", "--build", "talker-1.0-1")
    screen = Terminal(w.server.toji, "watch-task", str(task), "--server", w.ready["hub"])
    screen.expect(f"{task} build ({target}, ").expect("buildArch (").expect(" open  ")
    w.hub.wait(task, 180)
    said = watched.end()
    has(said.out.splitlines()[0], "Watching tasks (this may be safely interrupted)...")
    label = f"{task} build ({target}, talker-1.0-1.src.rpm)"
    matches(said, rf"{task} build \(.*\): (free|open .*)")
    matches(said, r"  \d+ buildArch \(talker-1.0-1.src.rpm, noarch\): .*open \(.*\) -> closed")
    matches(said, r"  0 free  0 open  \d+ done  0 failed")
    eq(said.out.splitlines()[-2:], ["", f"{label} completed successfully"], "the last lines")
    has(screen.end(), "▶", "✔", f"{label} completed successfully")
    log = logs.end().out
    eq([n for n in range(LINES) if f"stamp {n} " not in log], [], "the lines that are missing in the log")
    # Whoever comes late sees what the stock client shows.
    eq(lines(toji(w, "watch-task", str(task))), lines(w.anonymous("watch-task", str(task))), "watch-task of a finished task")
    arch = next(t["id"] for t in w.hub.call("getTaskChildren", task) if t["method"] == "buildArch")
    same = ["watch-logs", "--log", "build.log", str(arch)]
    eq(toji(w, *same).out, w.anonymous(*same).out, "watch-logs of a finished task")
    eq(toji(w, *same, "--nowait").out, w.anonymous(*same).out, "watch-logs --nowait")

    # The tag is not set to get repositories by itself: somebody asks.
    has(waited.argv, "wait-repo")
    password = w.dir / "password"
    password.write_text(w.ready["admin_password"])
    login = ["--login", w.ready["admin_user"], "--password-file", password]
    got = toji(w, "wait-repo", "--request", f"{target}-build", "--build", "talker-1.0-1", *login)
    repo = got.number(r"Got repo (\d+)\n")
    matches(waited.end(), f"Got repo {repo}")
    stock = ["wait-repo", "--target", target, "--build", "talker-1.0-1"]
    eq(toji(w, *stock).out, w.anonymous(*stock).out, "wait-repo of what is there")
    has(toji(w, "wait-repo", f"{target}-build", "--build", "talker-9.0-1", "--timeout", "0", code=1).err,
        "talker-9.0-1 is not the latest", "no repository of")
    eq(toji(w, "wait-repo", "--quiet", f"{target}-build", "--build", "talker-9.0-1", "--timeout", "0", code=1).out, "", "the output")
    has(toji(w, "wait-repo", "none-such", code=1).err, "no such tag: none-such")


@story()
def endings(w):
    """Failed, canceled and missing tasks: the exit code tells, and the lines say why; tasks are selected as with the stock client."""
    failed = w.koji("make-task", "--arch", "noarch", "sleep", "no-number").number(r"Created task id (\d+)")
    w.hub.wait(failed, 60, "FAILED")
    said = toji(w, "watch-task", str(failed), code=1)
    eq(lines(said), lines(w.anonymous("watch-task", str(failed), code=1)), "watch-task of a failed task")
    has(said, f"{failed} sleep (noarch): FAILED: ", f"{failed} sleep (noarch) failed")
    eq(toji(w, "watch-task", "--quiet", str(failed), code=1).out, "", "the output of --quiet")
    has(toji(w, "watch-task", "999999", code=1).err, "no such task: 999999")
    has(toji(w, "watch-logs", "999999", code=1).err, "no such task: 999999")

    channel = w.name("nobody")
    w.koji("add-channel", channel)
    free = w.koji("make-task", "--channel", channel, "--arch", "noarch", "sleep", "1").number(r"Created task id (\d+)")
    watched = Running(w, "watch-task", "--channel", channel)
    screen = Terminal(w.server.toji, "watch-task", str(free), "--server", w.ready["hub"])
    screen.expect(f"{free} sleep (noarch): free").expect("1 free  0 open  0 done  0 failed")
    w.koji("cancel", str(free))
    has(watched.end(1), f"{free} sleep (noarch): free -> canceled", f"{free} sleep (noarch) was canceled")
    screen.end(1)
    eq(toji(w, "watch-task", "--channel", channel).out, "(no tasks)\n", "the output without tasks")
    has(toji(w, "watch-task", "--user", "nobody-here", code=1).err, "no such user: nobody-here")
    has(toji(w, "watch-task", "--mine", code=1).err, "needs a login")
    home = w.dir / "home"
    (home / ".koji").mkdir(parents=True)
    (home / ".koji/config").write_text(open(w.ready["koji_conf"]).read())
    lacks(run(w.server.toji, "watch-task", "--profile", "koji", str(failed), code=1, env={"HOME": str(home)}).err, "profile")
    interrupted = subprocess.Popen([w.server.toji, "watch-task", "--server", w.ready["hub"], *[str(n) for n in waiting(w, channel)]],
                                   stdout=subprocess.PIPE, text=True)
    has(interrupted.stdout.readline(), "Watching tasks")
    has(interrupted.stdout.readline(), "free")
    interrupted.send_signal(2)
    has(interrupted.communicate(timeout=30)[0], "Tasks still running")
    eq(interrupted.returncode, 1, "the exit code after an interruption")


def waiting(w, channel):
    """A task that nobody takes."""
    return [w.koji("make-task", "--channel", channel, "--arch", "noarch", "sleep", "1").number(r"Created task id (\d+)")]
