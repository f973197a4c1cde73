"""The benchmark of repositories of a large tag: packages put together from thin air, beside createrepo_c."""

import json
import re
import shutil
import sqlite3
import statistics
import time
from pathlib import Path

from benches import Bench, bench, database, timed
from harness.command import run

# Builds that are tagged one after another while it is measured.
LATE = 10
# What the rows that are filled in begin with.
FIRST = 1000
PARTS = ("primary", "filelists", "other")


@bench
def repo_large(b):
    """A tag of 60,000 RPMs: its repository from what is kept, after one more build, with an empty cache; createrepo_c on the same files."""
    count = 4_000 if b.quick else 60_000
    own = Bench(b.toji, b.dir / "own", b.quick)
    own.dir.mkdir()
    own.start()
    try:
        tag = own.hub.call("createTag", "large", arches="x86_64")
        own.close()
        begin = time.monotonic()
        packages = fill(own, tag, count)
        figures = {"packages": packages, "fill_s": time.monotonic() - begin}
        figures.update(measure(own))
        figures.update(by_createrepo(b.dir / "peer", own.server.data, figures.pop("repo_dir"), packages))
    finally:
        own.close()
    best = figures["again_s"]
    limit = figures["compressing_alone_s"]
    return figures, {"createrepo_c_to_again": figures["createrepo_c_s"] / best, "createrepo_c_update_to_again": figures["createrepo_c_update_s"] / best,
                     "createrepo_c_to_empty_cache": figures["createrepo_c_s"] / figures["empty_cache_s"],
                     "again_to_compressing_alone": best / limit, "empty_cache_to_compressing_alone": figures["empty_cache_s"] / limit}


def measure(b):
    """The figures of a filled server."""
    b.server.process, b._hub = None, None
    figures = {}

    def repo():
        begin = time.monotonic()
        made = b.repo("large")
        return time.monotonic() - begin, made

    b.start()
    figures["fragments_and_repo_s"], made = repo()
    again = []
    for n in range(3):
        b.hub.call("groupListAdd", "large", f"g{n}")
        again.append(repo()[0])
    figures["again_s"] = statistics.median(again)
    tagged = []
    for n in range(LATE):
        begin = time.monotonic()
        b.hub.call("tagBuildBypass", "large", f"pkg{n:05}-{b.late[n]}-1.fc40")
        b.repo("large")
        tagged.append(time.monotonic() - begin)
    figures["tagged_to_repo_p50_s"], figures["tagged_to_repo_worst_s"] = statistics.median(tagged), max(tagged)
    figures["hub_peak_mb"] = peak(b.server.process.pid)
    b.close()
    for name, changed in (("restarted_s", lambda: None), ("empty_cache_s", lambda: empty(b.server.data))):
        changed()
        b.server.process, b._hub = None, None
        b.start()
        b.hub.call("groupListAdd", "large", name)
        figures[name], made = repo()
        figures[f"{name[:-2]}_peak_mb"] = peak(b.server.process.pid)
        b.close()
    figures["repo_dir"] = Path(b.server.ready["topdir"]) / f"repos/large/{made['id']}/x86_64"
    packed = [part_of(figures["repo_dir"], part) for part in PARTS]
    figures["compressing_alone_s"] = json.loads(run(rpmgen(b), "pack", *packed, timeout=600).out)["seconds"]
    return figures


def rpmgen(b):
    """The program that makes packages, beside the one that is measured."""
    return Path(b.toji).parent / "toji-rpmgen"


def part_of(repo, part):
    """The file that repomd.xml names; those of earlier states lie beside it."""
    return repo / re.search(rf'href="(repodata/[^"]*-{part}\.xml\.gz)"', (repo / "repodata/repomd.xml").read_text())[1]


def empty(data):
    """Removes what is kept of earlier repositories."""
    for path in data.rglob(".repo-chunks"):
        shutil.rmtree(path)


def peak(pid):
    """The most memory that a process had, in MB."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1000


def by_createrepo(peer, data, repo, count):
    """Seconds that createrepo_c takes for the same files, and what the metadata weigh."""
    peer.mkdir()
    top = next(data.rglob("packages"))
    (peer / "packages").symlink_to(top)
    names = [line.split("packages/", 1)[1] for line in (repo / "pkglist").read_text().splitlines()]
    (peer / "list").write_text("".join(f"packages/{name}\n" for name in names))
    base = ["createrepo_c", "-q", "--pkglist", peer / "list", "--compress-type", "gz", "--no-database"]
    figures = {"createrepo_c_s": timed(*base, peer), "createrepo_c_update_s": timed(*base, "--update", "--skip-stat", peer)}
    for part in PARTS:
        mine, theirs = part_of(repo, part), part_of(peer, part)
        figures[f"{part}_mb"], figures[f"createrepo_c_{part}_mb"] = mine.stat().st_size / 1e6, theirs.stat().st_size / 1e6
        figures[f"{part}_open_mb"] = int(run("sh", "-c", f"zcat '{mine}' | wc -c").out) / 1e6
    return figures


def fill(b, tag, count):
    """Writes packages and their rows as an older hub would have left them; returns how many are tagged."""
    top = Path(b.server.ready["topdir"])
    said = run(rpmgen(b), "synthetic", top, "--count", count + 4 * LATE, "--store", timeout=1800).out
    rpms = [json.loads(line) for line in said.splitlines()]
    versions = {rpm["source"]: rpm["version"] for rpm in rpms}
    sources = {name: FIRST + n for n, name in enumerate(sorted(versions))}
    b.late = [versions[f"pkg{n:05}"] for n in range(LATE)]
    link = sqlite3.connect(database(b.server.data), isolation_level=None)
    try:
        for name in ("NOW", "clock_timestamp"):
            link.create_function(name, 0, lambda: None)
        user = link.execute("SELECT min(id) FROM users").fetchone()[0]
        event = link.execute("SELECT max(id) FROM events").fetchone()[0]
        moment = link.execute("SELECT time FROM events WHERE id = ?", (event,)).fetchone()[0]
        link.execute("PRAGMA synchronous = OFF")
        link.execute("BEGIN")
        put = lambda table, columns, rows: link.executemany(  # noqa: E731
            f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(columns.split(',')))})", rows)
        ids = list(sources.items())
        put("package", "id, name", [(n, name) for name, n in ids])
        put("build", "id, volume_id, pkg_id, version, release, draft, create_event, start_time, completion_time, state, owner",
            [(n, 0, n, versions[name], "1.fc40", False, event, moment, moment, 1, user) for name, n in ids])
        put("build_types", "build_id, btype_id", [(n, 1) for _, n in ids])
        put("tag_packages", "package_id, tag_id, blocked, create_event, creator_id, active", [(n, tag, False, event, user, True) for _, n in ids])
        put("tag_package_owners", "package_id, tag_id, owner, create_event, creator_id, active", [(n, tag, user, event, user, True) for _, n in ids])
        put("tag_listing", "build_id, tag_id, create_event, creator_id, active",
            [(n, tag, event, user, True) for name, n in ids if int(name[3:]) >= LATE])
        put("rpminfo", "build_id, name, version, release, arch, draft, external_repo_id, payloadhash, size, buildtime, metadata_only",
            [(sources[r["source"]], r["name"], r["version"], r["release"], r["arch"], False, 0, f"{n:032x}", r["size"], 1_700_000_000, False)
             for n, r in enumerate(rpms)])
        link.execute("COMMIT")
        link.execute("ANALYZE")
    finally:
        link.close()
    return len(rpms) - 4 * LATE
