"""The benchmark `checksum-scan`: reading a whole store, beside hashing the same bytes, and going on after kill -9."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import time

from benches import bench

FILES, BUILDS = 100_000, 2_000
# A file has between these many bytes; most are small, as logs and packages are.
SMALLEST, LARGEST = 1_000, 120_000


@bench
def checksum_scan(b):
    """`toji checksum scan` of a store of 100,000 files, against the same cores that hash the same bytes; then the same with kill -9 in the middle.

    With --times N each file is N times as long: what a file costs beside its bytes counts less then.
    """
    b.server.extra.append("--no-builder")
    b.start()
    b.close()
    files = FILES // (10 if b.quick else 1)
    store = b.server.data / "koji"
    size = fill(b.server.data / "toji.db", store, files, b.times)
    # Once before, so that each of the measured ones finds the files in memory, or none does.
    speed(b, store)
    limit = speed(b, store)
    whole = scan(b)
    again = scan(b)
    first = time.monotonic()
    killed(b, again["seconds"] / 2)
    first = time.monotonic() - first
    kept = read_so_far(b)
    rest = scan(b)
    if not rest["resumed"] or rest["files"] != files:
        raise RuntimeError(f"the run does not go on: {rest}")
    figures = {
        "files": files, "megabytes": size / 1e6, "mean_file_kilobytes": size / files / 1e3, "hash_seconds": limit["hash_seconds"], "read_and_hash_seconds": limit["read_and_hash_seconds"],
        "first_scan_seconds": whole["seconds"], "later_scan_seconds": again["seconds"], "kept_files_after_kill": kept,
        "seconds_until_kill": first, "resumed_seconds": rest["seconds"], "repeated_seconds": max(0.0, first + rest["seconds"] - again["seconds"]),
    }
    return figures, {"first_scan_to_hashing": limit["hash_seconds"] / whole["seconds"],
                     "first_scan_to_read_and_hash": limit["read_and_hash_seconds"] / whole["seconds"],
                     "later_scan_to_hashing": limit["hash_seconds"] / again["seconds"],
                     "later_scan_to_read_and_hash": limit["read_and_hash_seconds"] / again["seconds"]}


def fill(database, store, files, times=1):
    """Builds with their files, of which the database has lengths only; returns the bytes of all."""
    dice, noise = random.Random(7), os.urandom(LARGEST * 4 * times)
    total, rows = 0, []
    each = files // BUILDS
    for number in range(files):
        build, name = 10_000 + number // each, f"file{number % each}.bin"
        size = int(SMALLEST * (LARGEST / SMALLEST) ** dice.random()) * times
        at = dice.randrange(LARGEST * times * 3)
        path = store / f"packages/heap/{build}/1/images"
        path.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(noise[at:at + size])
        total += size
        rows.append((20_000 + number, build, name, size))
    with contextlib.closing(sqlite3.connect(database)) as link, link:
        link.execute("PRAGMA foreign_keys = OFF")
        link.execute("INSERT INTO package (id, name) VALUES (9000, 'heap')")
        link.executemany("INSERT INTO build (id, volume_id, pkg_id, version, release, draft, create_event, completion_time, state, owner) "
                         "VALUES (?, 0, 9000, ?, '1', 0, 1, (SELECT max(time) FROM events), 1, 1)",
                         [(build, str(build)) for build in sorted({row[1] for row in rows})])
        image = link.execute("SELECT id FROM btype WHERE name = 'image'").fetchone()[0]
        kind = link.execute("SELECT min(id) FROM archivetypes").fetchone()[0]
        # MD5 of nothing known: the type tells that there is none to compare with.
        link.executemany(f"INSERT INTO archiveinfo (id, type_id, btype_id, build_id, filename, size, checksum, checksum_type, metadata_only) "
                         f"VALUES (?, {kind}, {image}, ?, ?, ?, '', 9, 0)", rows)
    return total


def speed(b, store):
    """How fast the machine hashes these files."""
    return json.loads(subprocess.run([b.toji, "checksum", "speed", store / "packages"], check=True, capture_output=True, text=True).stdout)


def command(b, *words):
    """A scan of the store."""
    return [b.toji, "checksum", "scan", "--data", b.server.data, "--quiet", *words]


def scan(b, *words):
    """Runs one to its end."""
    done = subprocess.run(command(b, "--json", *words), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the scan ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def killed(b, seconds):
    """Runs one for so long."""
    process = subprocess.Popen(command(b), stdout=subprocess.DEVNULL, start_new_session=True)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()


def read_so_far(b):
    """Files that the last run has noted."""
    with contextlib.closing(sqlite3.connect(b.server.data / "toji.db")) as link:
        return link.execute("SELECT files FROM toji_scan ORDER BY id DESC LIMIT 1").fetchone()[0]
