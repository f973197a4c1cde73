"""The benchmark of repositories of plain directories."""

import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from benches import bench
from harness.command import run
from harness.repodata import parts


def measured(*argv):
    """Seconds that a program takes, and the most memory that it had, in MB; what is less than this process has shows as that (26 MB)."""
    begin = time.perf_counter()
    process = subprocess.Popen([str(word) for word in argv], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{argv[0]} ended with {process.returncode}")
    return time.perf_counter() - begin, usage.ru_maxrss / 1000


def median(times, *argv, before=lambda: None):
    """The medians of several runs."""
    runs = []
    for _ in range(times):
        before()
        runs.append(measured(*argv))
    return [statistics.median(column) for column in zip(*runs)]


@bench
def repo_create(b):
    """`toji repo create` beside createrepo_c on one directory with the same settings: from nothing, and with everything cached."""
    count, times = (100, 2) if b.quick else (4000, 5)
    packages = b.dir / "packages"
    run(Path(b.toji).resolve().with_name("toji-rpmgen"), "synthetic", packages, "--count", count, timeout=3600)
    size = sum(path.stat().st_size for path in packages.rglob("*.rpm"))
    workers = str(os.cpu_count())
    mine, theirs = b.dir / "mine", b.dir / "theirs"
    ours = [b.toji, "repo", "create", "--quiet", "--workers", workers, "--outputdir", mine, packages]
    peer = ["createrepo_c", "--quiet", "--no-database", "--workers", workers, "--outputdir", theirs, packages]

    def empty():
        for directory in (mine, theirs):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()

    # once, so that the files are in the memory of the system for both
    empty()
    measured(*ours)
    figures = {"packages": count, "packages_mb": size / 1e6}
    for name, argv in (("toji", ours), ("createrepo_c", peer)):
        figures[f"{name}_cold_s"], figures[f"{name}_cold_mb"] = median(times, *argv, before=empty)
    empty()
    for argv in (ours, peer):
        measured(*argv)
    for name, argv in (("toji", ours), ("createrepo_c", peer)):
        update = [*argv[:-1], "--update", argv[-1]]
        figures[f"{name}_update_s"], figures[f"{name}_update_mb"] = median(times, *update)
    for name, directory in (("toji", mine), ("createrepo_c", theirs)):
        figures[f"{name}_metadata_mb"] = sum(path.stat().st_size for path in parts(directory).values()) / 1e6
    return figures, {
        "createrepo_c_to_toji_cold": figures["createrepo_c_cold_s"] / figures["toji_cold_s"],
        "createrepo_c_to_toji_update": figures["createrepo_c_update_s"] / figures["toji_update_s"],
        "metadata_size_to_createrepo_c": figures["toji_metadata_mb"] / figures["createrepo_c_metadata_mb"],
    }
