"""Package lists that a Koji hub (1.36) made of the recorded data with its own `repo_init`, compared with those of another hub.

`koji_repos.json` has, for a tag, an event and options, the number of different lines and the beginning of the SHA-256 of the sorted
lines (joined by line feeds) of each arch's `pkglist`, of the `blocklist`, and of the groups (lines of group, package and type)."""

import hashlib
import json
import shutil
import xml.etree.ElementTree as tree
from pathlib import Path

from .hub import Fault, Hub
from .recorded import USERS

FILE = Path(__file__).with_name("koji_repos.json")


def digest(lines):
    """Number and digest of different lines."""
    return [len(set(lines)), hashlib.sha256("\n".join(sorted(set(lines))).encode()).hexdigest()[:20]]


def differences(url, topdir):
    """Has the hub make the same repositories, without metadata; returns how many are equal, and a line for each that differs."""
    records = json.loads(FILE.read_text())
    hub = Hub(url).login(*USERS["host"])
    hub.call("exclusiveSession", force=True)
    if hub.call("getEvent", max(record["event"] for record in records)) is None:
        return 0, []
    equal, lines = 0, []
    for record in records:
        name = f"{record['tag']} at event {record['event']} with {record.get('opts', {})}"
        try:
            found = lists(hub, topdir, record)
        except Fault as fault:
            found = {"fault": fault.faultString}
        wrong = [f"{key} {found.get(key)} instead of {record[key]}" for key in ("packages", "blocked", "groups") if found.get(key) != record[key]]
        equal += not wrong
        lines += [f"{name}: {found.get('fault', '')} {'; '.join(wrong)}"] if wrong else []
    return equal, lines


def lists(hub, topdir, record):
    """The digests of a repository that the hub begins."""
    tag = record["tag"]
    repo, _ = hub.call("host.repoInit", tag, event=record["event"], opts=record.get("opts"))
    home = Path(topdir, "repos", tag, str(repo))
    arches = {path.parent.name: digest(path.read_text().splitlines()) for path in home.glob("*/pkglist")}
    blocked = next(home.glob("*/blocklist")).read_text().splitlines()
    groups = [f"{group.find('id').text} {entry.text} {entry.get('type')}"
              for group in tree.parse(home / "groups/comps.xml").getroot().iter("group") for entry in group.iter("packagereq")]
    shutil.rmtree(home)
    return {"packages": arches, "blocked": digest(blocked), "groups": digest(groups)}
