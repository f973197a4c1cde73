"""The benchmark `backup`: points of a large store, beside a plain copy of the same files and database."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import time

from bench_scan import FILES, fill, scan
from benches import bench, timed


@bench
def backup(b):
    """`toji backup` of a store of 100,000 files: the first point, one when nothing has changed, one after a hundredth has; beside `cp -a` and a copy of the database."""
    b.server.extra.append("--no-builder")
    b.start()
    b.close()
    files = FILES // (10 if b.quick else 1)
    store, database, to, plain = b.server.data / "koji", b.server.data / "toji.db", b.dir / "backup", b.dir / "plain"
    size = fill(database, store, files)
    # As of a store that is scanned now and then; and each of the measured ones finds the files in memory.
    scan(b)
    # On the disk, as a point is.
    copy = timed("cp", "-a", store / "packages", plain) + copied(database, b.dir / "plain.db") + timed("sync", "-f", plain)
    shutil.rmtree(plain)
    first = point(b, to)
    same = point(b, to)
    changed = change(store, database, files // 100)
    scan(b, "--missing")
    next_one = point(b, to)
    verified = timed(b.toji, "backup", "verify", to, "--quiet")
    if first["new_files"] < files * 0.99 or same["new_files"] or not changed <= next_one["new_files"] + 5:
        raise RuntimeError(f"the points have taken in what they should not: {first}, {same}, {next_one}")
    figures = {"files": files, "megabytes": size / 1e6, "changed_files": changed, "plain_copy_seconds": copy, "first_seconds": first["seconds"],
               "unchanged_seconds": same["seconds"], "changed_seconds": next_one["seconds"], "verify_seconds": verified}
    return figures, {"plain_copy_to_first": copy / first["seconds"], "plain_copy_to_changed": copy / next_one["seconds"]}


def point(b, to):
    """Takes one; returns what is said of it, with the seconds."""
    begin = time.perf_counter()
    done = subprocess.run([b.toji, "backup", "create", to, "--data", b.server.data, "--json", "--quiet"], capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise RuntimeError(f"no point was taken: {done.stdout[-500:]}{done.stderr[-500:]}")
    return {**json.loads(done.stdout.splitlines()[-1]), "seconds": seconds}


def copied(database, to):
    """Seconds for a plain copy of the database."""
    begin = time.perf_counter()
    source, target = sqlite3.connect(database), sqlite3.connect(to)
    with target:
        source.backup(target)
    source.close()
    target.close()
    return time.perf_counter() - begin


def change(store, database, count):
    """Gives so many files another content; nothing is known of it but the length."""
    with contextlib.closing(sqlite3.connect(database)) as link, link:
        for (name,) in link.execute("SELECT path FROM toji_file ORDER BY path LIMIT ?", [count]).fetchall():
            path = store / name
            path.write_bytes(os.urandom(path.stat().st_size))
            link.execute("DELETE FROM toji_file WHERE path = ?", [name])
    return count
