"""Runs the end-to-end stories: real processes, the stock koji client, rpmbuild, dnf.

Each story in e2e/stories/ is a function; those with a matching name are run, two at a time. With --again, one that failed beside others
runs once more alone, and the report names it as unsteady if it holds then."""

import argparse
import concurrent.futures
import fnmatch
import importlib
import os
import shutil
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import commands  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.server import Server  # noqa: E402
from harness.story import STORIES, Shared, World, koji_program  # noqa: E402


# Where more than these fail, it is not for the others beside them.
MOST_AGAIN = 3
# Bytes that stay free, if what held takes them.
ROOM = 24 << 30


def load():
    """Imports every file of stories."""
    for path in sorted((HERE / "stories").glob("*.py")):
        importlib.import_module(f"stories.{path.stem}")


def select(names):
    """The stories whose label contains or matches one of the names; all without names."""
    if not names:
        return [s for s in STORIES if not s.hand]
    return [s for s in STORIES if s.label in names or not s.hand and any(n in s.label or fnmatch.fnmatch(s.label, n) for n in names)]


class Runner:
    """Runs stories and remembers which failed."""

    def __init__(self, options, directory):
        self.options, self.directory = options, Path(directory)
        self.shared = Shared(options.toji, directory)
        self.koji = koji_program(HERE.parent)
        self.print_lock, self.failed, self.passed, self.unsteady = threading.Lock(), [], [], []
        self.done = []

    def say(self, text):
        """One line or block, never mixed with another thread's."""
        with self.print_lock:
            print(text, flush=True)

    def run(self, tale, attempt=""):
        """Runs one story and reports it."""
        begin = time.monotonic()
        directory = self.directory / f"{tale.label}{attempt}"
        world = None
        try:
            if tale.own:
                directory.mkdir(parents=True)
                own = Own(self, directory)
                tale(own)
                ran = set().union(*(w.commands for w in own.worlds))
            else:
                world = World(self.shared.get(), self.koji, directory)
                tale(world)
                ran = world.commands
            commands.check(tale.label, ran)
        except Exception as error:
            self.failed.append(tale.label)
            lines = [f"FAIL {tale.label} ({time.monotonic() - begin:.1f} s)"]
            frames = traceback.extract_tb(error.__traceback__)
            lines += [f"  at {Path(f.filename).name}:{f.lineno}: {f.line}" for f in frames if "stories" in f.filename]
            lines.append(f"  {type(error).__name__}: {error}".replace("\n", "\n  "))
            if world is not None:
                lines.append("  the end of the server's log:\n    " + world.server.log_tail(12).replace("\n", "\n    "))
            self.say("\n".join(lines))
        else:
            self.passed.append(tale.label)
            self.say(f"ok   {tale.label} ({time.monotonic() - begin:.1f} s)")
            if tale.own and not self.options.keep:
                self.make_room(directory)

    def make_room(self, done):
        """All stories together take more than some machines have, so that the files of those that held go when room gets scarce.

        Not at once: ext4 without a journal is slow to make files, for minutes, where many were removed."""
        with self.print_lock:
            self.done.append(done)
            gone, self.done = (self.done, []) if shutil.disk_usage(self.directory).free < ROOM else ([], self.done)
        for directory in gone:
            shutil.rmtree(directory, ignore_errors=True)

    def run_all(self, tales):
        """Runs all stories, the slow ones first, and ends the shared server."""
        tales = sorted(tales, key=lambda t: not t.slow)
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            list(pool.map(self.run, tales))
        if self.options.again and len(self.failed) <= MOST_AGAIN:
            self.run_again([t for t in tales if t.label in self.failed])
        if self.shared.server.process is not None:
            self.end_shared()

    def run_again(self, tales):
        """Runs failed stories alone; what holds then counts, and is told."""
        for tale in tales:
            self.failed.remove(tale.label)
            self.say(f"again {tale.label}, alone")
            self.run(tale, ".again")
            if tale.label not in self.failed:
                self.unsteady.append(tale.label)

    def end_shared(self):
        """The server that all used still runs, and ends cleanly when it is asked."""
        alive = self.shared.server.alive()
        code = self.shared.server.stop()
        if alive and code == 0:
            self.passed.append("server.ends_cleanly")
            self.say("ok   server.ends_cleanly")
        else:
            self.failed.append("server.ends_cleanly")
            self.say(f"FAIL server.ends_cleanly: alive {alive}, exit code {code}\n{self.shared.server.log_tail()}")


class Own:
    """The world of a story that starts its own servers."""

    def __init__(self, runner, directory):
        self.toji, self.koji_program, self.dir = runner.options.toji, runner.koji, directory
        self.worlds = []

    def world(self, server, name="world"):
        """The things of an ordinary story, on `server`."""
        self.worlds.append(World(server, self.koji_program, self.dir / name))
        return self.worlds[-1]


def main():
    """Exit code 0 only if every selected story held, and at least one was selected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stories", nargs="*", help="parts of labels, or patterns")
    parser.add_argument("--toji", default=os.environ.get("TOJI", str(HERE.parent / "target/debug/toji")))
    parser.add_argument("--database", choices=["sqlite", "postgres"], default=os.environ.get("TOJI_E2E_DATABASE", "sqlite"),
                        help="what the servers of the stories keep their data in")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="print the labels")
    parser.add_argument("--again", action="store_true", help=f"try failed stories once more, alone, if at most {MOST_AGAIN} failed")
    parser.add_argument("--keep", action="store_true", help="keep the directory of the run")
    options = parser.parse_args()
    load()
    tales = select(options.stories)
    if options.list:
        print("\n".join(t.label for t in tales))
        return 0
    directory = tempfile.mkdtemp(prefix="toji-e2e-")
    os.chmod(directory, 0o755)
    runner = Runner(options, directory)
    if options.database == "postgres":
        quick = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        Server.postgres = Postgres(Path(directory) / "pg", quick).start()
    try:
        runner.run_all(tales)
    finally:
        if Server.postgres:
            Server.postgres.stop("immediate")
    if runner.failed or options.keep:
        print(f"the files of this run are in {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    for label in runner.unsteady:
        print(f"unsteady (failed beside others, held alone): {label}")
    for label in runner.failed:
        print(f"failed: {label}")
    print(f"{len(runner.passed)} passed, {len(runner.unsteady)} of them at the second try, {len(runner.failed)} failed")
    return 0 if runner.passed and not runner.failed else 1


if __name__ == "__main__":
    sys.exit(main())
