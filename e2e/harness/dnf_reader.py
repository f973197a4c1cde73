"""Runs in dnf's own interpreter: reads a repository by libdnf again and again until its standard input ends.

Arguments: the URL, a directory, and `own` for a new cache each time or `shared` for one. Writes a line of JSON for each reading:
the packages (`packages`, names), the files that they have (`files`), the group's description (`group`), or `error`."""

import json
import select
import shutil
import sys
from pathlib import Path

import dnf


def read(url, cache, refresh):
    """What dnf knows of the repository."""
    with dnf.Base() as base:
        conf = base.conf
        (cache / "log").mkdir(parents=True, exist_ok=True)
        conf.cachedir, conf.installroot, conf.logdir, conf.persistdir = (str(cache / n) for n in ("cache", "root", "log", "state"))
        conf.reposdir, conf.pluginpath, conf.varsdir = [], [], []
        conf.substitutions["releasever"] = "1"
        conf.module_platform_id = "platform:toji"
        repo = base.repos.add_new_repo("toji", conf, baseurl=[url], metadata_expire=0, skip_if_unavailable=False)
        if refresh:
            # As with --refresh: what was fetched in the same second counts as new otherwise.
            repo._repo.expire()
        base.fill_sack(load_system_repo=False)
        base.read_comps()
        packages = list(base.sack.query().available())
        groups = [group.ui_description for group in base.comps.groups]
        return {
            "packages": sorted(p.name for p in packages), "files": sorted(f for p in packages for f in p.files),
            "group": groups[0] if groups else None,
        }


def main():
    """Reads until nobody wants more."""
    url, directory, mode = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    number = 0
    while True:
        ending = bool(select.select([sys.stdin], [], [], 0)[0])
        number += 1
        cache = directory / (str(number) if mode == "own" else "cache")
        try:
            said = read(url, cache, ending)
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), flush=True)
        if mode == "own":
            shutil.rmtree(cache, ignore_errors=True)
        # the reading that began after the end was told is the last
        if ending:
            return


if __name__ == "__main__":
    main()
