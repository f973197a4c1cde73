"""Everything that CI runs, in order, with a table of the times at the end."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CARGO = ["cargo"]
# Recorded answers of a Koji hub; they are not part of the repository.
RECORDED = ROOT.parent / "shared" / "contract"


def stages():
    """Name and command of each stage before the end-to-end stories."""
    locked = ["--locked", "--workspace"]
    if shutil.which("cargo-nextest"):
        tests = CARGO + ["nextest", "run", *locked, "--profile", "ci"]
    else:
        tests = CARGO + ["test", *locked, "--no-fail-fast"]
    return [
        ("format", CARGO + ["fmt", "--all", "--check"]),
        ("tidy", CARGO + ["xtask", "tidy"]),
        ("clippy", CARGO + ["clippy", *locked, "--all-targets", "--quiet", "--", "-D", "warnings"]),
        ("tests", tests),
        # The library's users copy these; nextest does not run them.
        ("examples", CARGO + ["test", "--locked", "--quiet", "--workspace", "--doc"]),
        ("build", CARGO + ["build", "--locked", "--quiet", "-p", "toji", "-p", "toji-contract", "-p", "toji-rpmgen"]),
    ]


def main():
    """Runs the stages; a failed one does not hide what the later ones would say, but for a failed build."""
    parser = argparse.ArgumentParser(prog="./x test", description=__doc__)
    parser.add_argument("stories", nargs="*", help="only these end-to-end stories, and nothing else")
    parser.add_argument("--database", choices=["sqlite", "postgres"], help="what the stories' servers keep their data in")
    options = parser.parse_args()
    os.chdir(ROOT)
    if os.environ.get("CI"):
        os.environ.setdefault("CARGO_INCREMENTAL", "0")
    target = Path(os.environ.setdefault("CARGO_TARGET_DIR", str(ROOT / "target")))
    toji = target / "debug" / "toji"
    chosen = ["--database", options.database] if options.database else []
    e2e = [sys.executable, "-B", "e2e/run.py", "--jobs", "3", "--again", "--toji", str(toji), *chosen, *options.stories]
    plan = [s for s in stages() if not options.stories or s[0] == "build"]
    if RECORDED.is_dir() and not options.stories:
        program = target / "debug" / "toji-contract"
        plan.append(("contract", [sys.executable, "-B", "e2e/contract.py", "--program", str(program)]))
    plan.append(("stories", e2e))

    rows = []
    for name, command in plan:
        print(f"==> {name}: {' '.join(command)}", file=sys.stderr, flush=True)
        begin = time.monotonic()
        held = subprocess.run(command, stdin=subprocess.DEVNULL).returncode == 0
        rows.append((name, time.monotonic() - begin, held))
        if name == "build" and not held:
            break
    return summary(rows)


def summary(rows):
    """Prints the table; the exit code is 0 only if every stage held."""
    print("\nstage      seconds  result", file=sys.stderr)
    for name, seconds, held in rows:
        print(f"{name:9} {seconds:8.0f}  {'ok' if held else 'FAILED'}", file=sys.stderr)
    print(f"{'all':9} {sum(r[1] for r in rows):8.0f}", file=sys.stderr, flush=True)
    return 0 if all(r[2] for r in rows) and rows[-1][0] == "stories" else 1


if __name__ == "__main__":
    sys.exit(main())
