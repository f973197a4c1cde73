"""Breaks a farm of real processes on purpose, again and again, and looks whether everything that must hold still does.

Each fault prints a line of figures; the exit code is 0 only if every invariant held after each repetition."""

import argparse
import contextlib
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from faults.kinds import KINDS, why_not  # noqa: E402
from faults.run import run  # noqa: E402
from faults import store, thousand  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.s3 import S3  # noqa: E402
from harness.server import Server  # noqa: E402


@contextlib.contextmanager
def database(engine, directory):
    """The database server of the hubs that are started meanwhile, if there is one."""
    if engine == "postgres":
        Server.postgres = Postgres(directory / "pg", ["fsync = off"]).start()
    try:
        yield
    finally:
        if Server.postgres:
            Server.postgres.stop("immediate")
            Server.postgres = None


def main():
    """Runs the named faults, or all."""
    parser = argparse.ArgumentParser(prog="./x faults", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"parts of the names of faults: {', '.join(KINDS)}; `store`, or `thousand`")
    parser.add_argument("--times", type=int, default=200, help="repetitions of each fault")
    parser.add_argument("--minutes", type=float, default=1e6, help="the most that each fault may take; it is repeated less often then")
    parser.add_argument("--store-times", type=int, default=1100, help="interruptions of deeds that change the store")
    parser.add_argument("--store-databases", nargs="*", choices=["sqlite", "postgres"], default=["sqlite", "postgres"], help="with each of these databases")
    parser.add_argument("--deeds", nargs="*", default=(), help=f"only these of them: {', '.join(kind.name for kind in store.DEEDS)}")
    parser.add_argument("--builds", type=int, default=1000, help="how many builds `thousand` makes")
    parser.add_argument("--usual-times", action="store_true", help="with the heartbeats and time-outs that a hub has by itself")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="what is left to chance")
    parser.add_argument("--toji", default=os.environ.get("TOJI", str(HERE.parent / "target/debug/toji")))
    parser.add_argument("--keep", action="store_true", help="keep the directory of the run")
    options = parser.parse_args()
    many, stored = "thousand" in options.names, not options.names or "store" in options.names
    chosen = [name for name in KINDS if not options.names or any(part in name for part in options.names)]
    if not chosen and not many and not stored:
        parser.error("no fault has such a name")
    directory = Path(tempfile.mkdtemp(prefix="toji-faults-"))
    directory.chmod(0o755)
    print(f"seed {options.seed}, files in {directory}, load {os.getloadavg()[0]:.1f}", flush=True)
    held = True
    for name in chosen:
        reason = why_not(KINDS[name])
        if reason:
            print(f"{name}: cannot be done on this machine: {reason}", flush=True)
            continue
        begin = time.monotonic()
        figures = run(name, options.toji, directory / name, options.times, options.seed,
                      lambda begin=begin: time.monotonic() - begin > options.minutes * 60, options.usual_times)
        held &= figures.held()
        print(f"{figures.line()}; {time.monotonic() - begin:.0f} s", flush=True)
    for engine in options.store_databases if stored else ():
        begin = time.monotonic()
        place = directory / f"store-{engine}"
        place.mkdir()
        with S3("s3s", place) as bucket, database(engine, place):
            figures = store.run(options.toji, place / "hub", options.store_times, options.seed, options.deeds, bucket)
        held &= figures.held()
        print(f"{figures.line()}; {time.monotonic() - begin:.0f} s", flush=True)
    if many:
        held &= thousand.run(options.toji, directory / "thousand", options.builds)
    if held and not options.keep:
        shutil.rmtree(directory, ignore_errors=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
