"""Readers of a tag's latest repository while it changes: dnf and a plain reader see published states only, each whole."""

import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.request
import xml.etree.ElementTree as tree
from pathlib import Path

from harness.dnf import dnf
from harness.hub import Fault
from harness.rpms import binary_rpm
from harness.server import Server
from harness.story import eq, story, that

# As many as 2 ** BITS states can be told apart by the packages that they hold.
BITS = 8
PUBLICATIONS = int(os.environ.get("TOJI_PUBLICATIONS", "40"))
SPACE = "{http://linux.duke.edu/metadata/repo}"


@story(own=True, slow=True)
def published_in_a_row(own):
    """A tag is published many times in a row (TOJI_PUBLICATIONS); what it replaces is expired and deleted at once. No reader fails."""
    server = Server(own.toji, own.dir / "server").start()
    try:
        readers_story(own.world(server))
    finally:
        server.stop()


def readers_story(w):
    """The steps of published_in_a_row."""
    tag, packages = furnish(w)
    publish(w, tag, packages, 0)
    url = f"{w.ready['files']}/repos/{tag}/latest/x86_64"
    readers = [Reader(w.dir / mode, url, mode) for mode in ("own", "shared")]
    plain = PlainReader(url, w.topdir("repos", tag, "latest"))
    begin, by_program = time.monotonic(), []
    try:
        for number in range(1, PUBLICATIONS + 1):
            publish(w, tag, packages, number)
            plain.check()
            if number % 20 == 0:
                said = dnf(w.dir / f"program{number}", url, "-q", "repoquery", "--qf", "%{name}")
                by_program.append(state_of(said.out.split(), packages))
                eq(by_program[-1], number, "what the program dnf sees")
    finally:
        seconds = time.monotonic() - begin
        found = [reader.end() for reader in readers]
        plain.end()
    for reader, lines in zip(readers, found):
        states = [checked(line, packages) for line in lines]
        eq(states, sorted(states), f"the order of what dnf read with its cache {reader.mode}")
        eq(states[-1], PUBLICATIONS, "the last state")
        that(len(set(states)) > 3, f"dnf saw too little: {states}")
        print(f"latest: dnf with cache {reader.mode}: {len(states)} readings, {len(set(states))} states")
    that(plain.whole > PUBLICATIONS // 2, f"only {plain.whole} readings across a publication")
    print(f"latest: {PUBLICATIONS} publications in {seconds:.0f} s, {plain.whole} readings of replaced states, {len(by_program)} runs of dnf")


def furnish(w):
    """A tag with BITS packages of one build each and a group; returns its name and the packages' names."""
    tag, packages = w.name("f"), [w.name(f"bit{number}x") for number in range(BITS)]
    w.koji("add-tag", "--arches", "x86_64", tag)
    w.koji("add-pkg", "--owner", w.ready["admin_user"], tag, *packages)
    rpms = [path for name in packages for path in binary_rpm(w.dir / "rpms", name)]
    w.koji("import", "--create-build", *rpms)
    return tag, packages


def state_of(names, packages):
    """The number that a set of packages stands for."""
    that(set(names) <= set(packages) and len(names) == len(set(names)), f"odd packages: {names}")
    return sum(1 << bit for bit, name in enumerate(packages) if name in names)


def checked(line, packages):
    """The state that dnf saw; packages, files and group must be of the same one."""
    that("error" not in line, f"dnf failed: {line}")
    state = state_of(line["packages"], packages)
    eq(line["group"], f"state {state}", "the group's description beside these packages")
    paths = [f"/usr/share/{name}{end}" for name in line["packages"] for end in ("", "/hello")]
    eq(line["files"], sorted(paths), "the files of the packages")
    return state


def publish(w, tag, packages, number):
    """Makes the tag hold what `number` says, in one step, and waits for its repository; what older ones are goes, but for the last."""
    held = {build["package_name"] for build in w.hub.call("listTagged", tag)}
    wanted = {name for bit, name in enumerate(packages) if number >> bit & 1}
    calls = [("tagBuildBypass", [tag, f"{name}-1.0-1"]) for name in sorted(wanted - held)]
    calls += [("untagBuildBypass", [tag, f"{name}-1.0-1"]) for name in sorted(held - wanted)]
    calls.append(("groupListAdd", [tag, "build", {"__starstar": True, "description": f"state {number}", "force": True}]))
    answers = w.hub.call("multiCall", [{"methodName": method, "params": args} for method, args in calls])
    for answer in answers:
        that(isinstance(answer, list), f"{answer}")
    repo = w.hub.wait_request(w.hub.call("repo.request", tag, min_event="last"))
    for old in w.hub.call("repo.query", [["tag_id", "=", repo["tag_id"]], ["state", "IN", [1, 2]]]):
        if old["id"] >= repo["id"]:
            continue
        remove(w, tag, old["id"])


def remove(w, tag, repo):
    """Expires and deletes a repository as a repository daemon without patience."""
    for state in ("EXPIRED", "DELETED"):
        try:
            w.hub.call("repo.setState", repo, state)
        except Fault as fault:
            that("is deleted" in fault.faultString or "transition" in fault.faultString, fault.faultString)
    shutil.rmtree(w.topdir("repos", tag, str(repo)), ignore_errors=True)


class Reader:
    """dnf's library in a process of its own, which reads all the time."""

    def __init__(self, directory, url, mode):
        self.mode, directory = mode, Path(directory)
        directory.mkdir(parents=True)
        script = Path(__file__).resolve().parent.parent / "harness/dnf_reader.py"
        self.out = open(directory / "out", "w+")
        self.process = subprocess.Popen([interpreter(), "-I", "-W", "ignore", str(script), url, str(directory), mode],
                                        stdin=subprocess.PIPE, stdout=self.out, stderr=open(directory / "err", "w"))

    def end(self):
        """Lets it read once more and returns all lines."""
        self.process.stdin.close()
        code = self.process.wait(120)
        eq(code, 0, f"the end of a reader, see {self.out.name}")
        self.out.seek(0)
        return [json.loads(line) for line in self.out]


def interpreter():
    """The interpreter that the program dnf runs in."""
    return Path(shutil.which("dnf")).read_text().split("\n", 1)[0].removeprefix("#!").split()[0]


class PlainReader:
    """Fetches `repomd.xml`, and the files that it names once the repository was replaced and deleted."""

    def __init__(self, url, link):
        self.url, self.link, self.whole = url, link, 0
        self.failure, self.ending = None, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        """Reads until the end."""
        try:
            while not self.ending.is_set():
                self.once()
        except Exception as error:
            self.failure = error

    def once(self):
        """One reading, half before and half after the next publication."""
        before = os.readlink(self.link)
        repomd = fetch(f"{self.url}/repodata/repomd.xml")
        while os.readlink(self.link) == before or self.link.with_name(before).exists():
            if self.ending.wait(0.01):
                return
        for data in tree.fromstring(repomd).iter(f"{SPACE}data"):
            href = data.find(f"{SPACE}location").get("href")
            eq(hashlib.sha256(fetch(f"{self.url}/{href}")).hexdigest(), data.find(f"{SPACE}checksum").text, f"the checksum of {href}")
        self.whole += 1

    def check(self):
        """No reading has failed."""
        that(self.failure is None, f"a reading failed: {self.failure}")

    def end(self):
        """Stops reading."""
        self.ending.set()
        self.thread.join()
        self.check()


def fetch(url):
    """The content of a file."""
    with urllib.request.urlopen(url) as answer:
        return answer.read()
