"""Compares Toji's answers with the recorded answers of a Koji hub: loads the data, replays, prints what differs."""

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import comparison, koji_lists, recorded

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT.parent / "shared" / "contract"
TABLE = ROOT / "docs" / "guide" / "differences.md"
KOJI = ROOT / ".x" / "venv" / "bin" / "koji"
# `KojiWebURL` of the recorded hub, and `weburl` of the recorded client.
WEB = "http://127.0.0.1:8401/koji"
# In this order: a call of read.json keeps two checksums, and the story of write.json changes everything.
RECORDINGS = ("read2.json", "cli.json", "read.json", "write.json")
STORY = "write.json"


def main():
    """Checks every recording on every engine; the exit code is 0 only if nothing differs."""
    parser = argparse.ArgumentParser(prog="./x contract check", description=__doc__)
    parser.add_argument("recordings", nargs="*", metavar="FILE",
                        help="recordings of the data's directory, for example read.json; all if none is named")
    parser.add_argument("--database", choices=["sqlite", "postgres"], help="only this engine")
    parser.add_argument("--data", type=Path, default=RECORDED,
                        help="directory of the data set and its recordings")
    parser.add_argument("--url", help="replay against this hub, which has the data already; with --topdir")
    parser.add_argument("--topdir", default="@TOPDIR@", help="the file root of that hub")
    parser.add_argument("--method", help="only these calls of the recordings, separated by commas")
    parser.add_argument("--show", type=int, default=20, help="how many differing calls to print for each recording")
    parser.add_argument("--out", type=Path, help="write the answers of each recording into this directory")
    parser.add_argument("--program", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not (options.data / "data").is_dir():
        sys.exit(f"no recorded data in {options.data}")
    options.table = comparison.read_table(TABLE)
    options.calls = set(options.method.split(",")) if options.method else None
    if options.url:
        return check_hub(options, options.url, options.topdir, "hub", chosen(options))
    engines = [engine for engine in ("sqlite", "postgres") if options.database in (None, engine)]
    with ThreadPoolExecutor(len(engines)) as pool:
        held = list(pool.map(lambda engine: check_engine(options, engine), engines))
    return max(*held, check_calls(options))


def chosen(options):
    """The recordings that are asked for, in their order; names that are not known count as reading."""
    known = [n for n in RECORDINGS if (options.data / n).exists()]
    if not options.recordings:
        return known
    further = [n for n in options.recordings if n not in RECORDINGS]
    return further + [n for n in known if n in options.recordings]


def check_engine(options, engine):
    """Serves the data on the engine and checks the recordings."""
    with served(options, engine) as ready:
        failed = check_hub(options, ready["hub"], ready["topdir"], engine, chosen(options))
        if not options.calls and not options.recordings:
            failed |= check_library(options, ready, engine)
        # Last, as it makes repositories.
        if not options.calls and not options.recordings:
            failed |= check_lists(options, ready, engine)
        return failed


def check_library(options, ready, engine):
    """Runs the client library's story, which its tests run on a Koji hub's answers; other data sets have other builds."""
    if not (options.data / "api.json").exists():
        print(f"{engine:9} library     not run: it is about the recorded data", flush=True)
        return 0
    done = subprocess.run([options.program, "client", ready["hub"]], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    print(f"{engine:9} library     {'equal' if done.returncode == 0 else done.stderr}", flush=True)
    return 1 if done.returncode else 0


def check_lists(options, ready, engine):
    """Compares package lists of repositories with those of a Koji hub, which are of the recorded data; others may lack the events."""
    begin = time.monotonic()
    equal, lines = koji_lists.differences(ready["hub"], ready["topdir"])
    shown = [f"  {line}" for line in lines[:20]]
    shown.append(f"{engine:9} {'repositories':11} {equal:4} equal, {len(lines)} different, 0 not compared, {time.monotonic() - begin:.0f} s")
    print("\n".join(shown), flush=True)
    return 1 if lines or not equal and options.data == RECORDED else 0


@contextlib.contextmanager
def served(options, engine):
    """The recorded data behind a hub of its own."""
    with tempfile.TemporaryDirectory(prefix="toji-contract-") as place:
        ready_file, log = Path(place, "ready.json"), Path(place, "log")
        command = [options.program, "serve", "--database", engine, "--listen", "127.0.0.1:0", "--data", options.data,
                   "--topdir", Path(place, "topdir"), "--ready-file", ready_file]
        with open(log, "wb") as out:
            process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       env={**os.environ, "NO_COLOR": "1"})
        try:
            while not ready_file.exists():
                if process.poll() is not None:
                    sys.exit(f"the data could not be served:\n{log.read_text()}")
                time.sleep(0.05)
            yield json.loads(ready_file.read_text())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def check_hub(options, url, topdir, engine, names):
    """Checks recordings against one hub; 1 if anything differs."""
    failed = 0
    for name in names:
        steps = json.loads((options.data / name).read_text())
        begin = time.monotonic()
        if steps and "argv" in steps[0]:
            pairs = replay_client(url, topdir, steps)
            judge = lambda step, answer: client_differences(options, step, answer, url, topdir)
        else:
            steps = [dict(s, n=s.get("n", i)) for i, s in enumerate(steps)]
            steps = [s for s in steps if name == STORY or not options.calls or s["method"] in options.calls]
            pairs = list(zip(steps, recorded.replay(url, steps)))
            judge = comparison.Comparison(topdir, name == STORY, options.table).differences
        failed |= report(options, engine, name, pairs, judge, time.monotonic() - begin)
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            answers = [{**{k: v for k, v in s.items() if k not in recorded.ANSWERS}, **a} for s, a in pairs]
            (options.out / f"{engine}-{name}").write_text(json.dumps(answers, ensure_ascii=False, indent=0))
    return failed


def report(options, engine, name, pairs, judge, seconds):
    """Prints the differing calls and a line of figures."""
    equal = skipped = 0
    different = []
    for step, answer in pairs:
        found = judge(step, answer)
        if found is None:
            skipped += 1
        elif found and (not options.calls or step.get("method") in options.calls):
            different.append((step, found))
        else:
            equal += 1
    lines = []
    for step, found in different[: options.show]:
        call = " ".join(step["argv"]) if "argv" in step else signature(step)
        lines.append(f"  #{step['n']} {step.get('as', 'anon')} {call}")
        lines += [f"      {line}" for line in found[:4]]
    if len(different) > options.show:
        lines.append(f"  … and {len(different) - options.show} more")
    lines.append(f"{engine:9} {name:11} {equal:5} equal, {len(different)} different, {skipped} not compared, {seconds:.0f} s")
    print("\n".join(lines), flush=True)
    return 1 if different else 0


def signature(step):
    """A recorded call for a person."""
    args = [json.dumps(a) for a in step["args"]]
    args += [f"{k}={json.dumps(v)}" for k, v in step.get("kwargs", {}).items()]
    text = ", ".join(args)
    return f"{step['method']}({text if len(text) < 300 else text[:299] + '…'})"


# ---------------------------------------------------------------- the stock client

def replay_client(url, topdir, steps):
    """Runs the stock client as it was run for the recording, two at a time."""
    base = url.removesuffix("/kojihub")
    with tempfile.TemporaryDirectory(prefix="toji-contract-koji-") as place, ThreadPoolExecutor(2) as pool:
        return list(zip(steps, pool.map(lambda s: run_client(base, topdir, place, s), steps)))


def run_client(base, topdir, place, step):
    """Exit code and output of one run, in a directory of its own."""
    cwd = Path(place, str(step["n"]))
    cwd.mkdir()
    conf = cwd.with_suffix(".conf")
    conf.write_text(f"[koji]\nserver = {base}/kojihub\nweburl = {WEB}\ntopurl = {base}/kojifiles\n"
                    f"topdir = {topdir}\n" + ("" if step["as"] == "anon" else "authtype = password\n"))
    user = step["as"]
    login = ["--noauth"] if user == "anon" else [
        "--authtype", "password", "--user", recorded.USERS[user][0], "--password", recorded.USERS[user][1]]
    argv = [a.replace("@URL@", base) for a in step["argv"]]
    done = subprocess.run(
        [str(KOJI), "-c", str(conf), *login, *argv], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True,
        timeout=300, env={**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8", "COLUMNS": "80", "HOME": str(cwd)})
    return {"rc": done.returncode, "stdout": done.stdout.decode(errors="replace"),
            "stderr": done.stderr.decode(errors="replace")}


def client_differences(options, step, answer, url, topdir):
    """What differs between two runs of the client."""
    base = url.removesuffix("/kojihub")
    found = []
    if comparison.client_allowed(options.table, step, answer):
        return found
    if step["rc"] != answer["rc"]:
        found.append(f"exit code {step['rc']}, got {answer['rc']}: {answer['stderr'][-300:]!r}")
    for stream in ("stdout", "stderr"):
        text = answer[stream].replace(topdir.rstrip("/"), "@TOPDIR@").replace(base, "@URL@")
        text = re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", "@TIME@", text, flags=re.M)
        left, right = kept_lines(step[stream]), kept_lines(text)
        pairs = [(a, b) for a, b in zip(left, right) if a != b and "@ANY@" not in a]
        found += [f"{stream}: {a!r} != {b!r}" for a, b in pairs]
        if len(left) != len(right):
            further = (left if len(left) > len(right) else right)[min(len(left), len(right)):]
            found.append(f"{stream}: {len(left)} lines, got {len(right)}: {further[0]!r}")
    return found


def kept_lines(text):
    """The lines that count: what an earlier run had left in the directory does not."""
    return [line for line in text.splitlines() if not line.endswith(" already downloaded, skipping")]


# ---------------------------------------------------------------- the declared calls

def check_calls(options):
    """Compares names, order and defaults of all parameters with the recorded hub's; Toji may have more calls."""
    if options.recordings or options.calls or not (options.data / "api.json").exists():
        return 0
    wanted = {c["name"]: c["argdesc"] for c in json.loads((options.data / "api.json").read_text())}
    ours = {}
    for line in (ROOT / "docs" / "api" / "calls.txt").read_text().splitlines():
        name, _, params = line.partition("(")
        # Parameters that go by name only are Toji's own.
        ours[name] = "(" + params.split(", *, ")[0].removesuffix(")") + ")"
    different = [n for n in sorted(wanted) if ours.get(n) != wanted[n]]
    for name in different[: options.show]:
        print(f"  {name}{wanted[name]}, declared {ours.get(name, 'not at all')}")
    print(f"declared  api.json    {len(wanted) - len(different):5} equal, {len(different)} different", flush=True)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
