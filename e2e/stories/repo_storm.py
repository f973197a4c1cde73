"""Tags change in many sessions while their repositories are made: each repository is its tag at its event."""

import json
import os
import random
import shutil
import threading
import xml.etree.ElementTree as tree

from harness.command import run
from harness.hub import Fault
from harness.repodata import parts, unpack
from harness.rpms import binary_rpm
from harness.server import Server
from harness.story import eq, has, story, that

# How many operations there are in all (TOJI_STORM), and how many sessions do them.
OPERATIONS = int(os.environ.get("TOJI_STORM", "120"))
SESSIONS = 4
# Faults by which a hub says that another transaction was in the way (LockError), or that it has a defect.
WRONG = (1, 1001)
COMMON = "{http://linux.duke.edu/metadata/common}"


@story(own=True, slow=True)
def tags_and_repositories(own):
    """Taggings, blocks, groups, inheritance and external repositories change; every repository equals its tag, none is too old."""
    server = Server(own.toji, own.dir / "server", extra=["--builders", "2"]).start()
    try:
        Storm(own.world(server)).run()
    finally:
        server.stop()


class Storm:
    """Tags that inherit from each other, builds for them, and what goes on."""

    def __init__(self, w):
        self.w, self.hub = w, w.hub
        self.over, self.failures, self.seen, self.asked, self.done = threading.Event(), [], {}, 0, 0
        self.packages = [w.name(f"pkg{number}x") for number in range(4)]
        self.tags = {tag: w.name(tag) for tag in ("base", "side", "mid", "top")}
        self.groups, self.outside = ["build", "srpm-build", "tools"], w.name("outside")
        self.furnish()

    def furnish(self):
        """Tags, targets, builds of two versions, an external repository with one package."""
        w, hub, owner = self.w, self.hub, self.w.ready["admin_user"]
        for word, tag in self.tags.items():
            hub.call("createTag", tag, arches="x86_64", extra={"repo.opts": {"src": True}} if word == "mid" else {})
            for package in self.packages:
                hub.call("packageListAdd", tag, package, owner)
        self.ids = {tag: hub.call("getTag", tag)["id"] for tag in self.tags.values()}
        for word in ("mid", "top"):
            tag = self.tags[word]
            hub.call("createBuildTarget", tag, tag, tag)
        rpms = [path for name in self.packages for version in "12" for path in binary_rpm(w.dir / "rpms", name, version)]
        w.koji("import", "--create-build", *rpms)
        place = w.topdir("ext", self.outside)
        place.mkdir(parents=True)
        shutil.copy(binary_rpm(w.dir / "rpms", self.outside)[1], place)
        run(w.server.toji, "repo", "create", place)
        hub.call("createExternalRepo", self.outside, f"{w.ready['files']}/ext/{self.outside}/")

    def run(self):
        """All sessions at once, then the comparison."""
        each = OPERATIONS // SESSIONS
        workers = [threading.Thread(target=self.guard, args=(self.change, number, each)) for number in range(SESSIONS)]
        others = [threading.Thread(target=self.guard, args=(self.request, number)) for number in range(2)]
        others.append(threading.Thread(target=self.guard, args=(self.watch,)))
        for thread in workers + others:
            thread.start()
        for thread in workers:
            thread.join()
        self.over.set()
        for thread in others:
            thread.join()
        that(not self.failures, f"{len(self.failures)} failures, the first: {self.failures[:1]}")
        that(self.done > OPERATIONS // 3, f"only {self.done} of {OPERATIONS} operations changed something")
        self.last()
        self.forward()
        compared = self.compare()
        print(f"repo_storm ({self.w.server.engine()}): {OPERATIONS} operations ({self.done} changed something), {self.asked} requests, {compared} repositories compared, "
              f"{sum(map(len, self.seen.values()))} states of links")

    def guard(self, work, *args):
        """Runs a thread and keeps what fails."""
        try:
            work(*args)
        except Exception as error:
            self.failures.append(f"{work.__name__}: {type(error).__name__}: {error}")

    def session(self):
        """A session of the administrator."""
        return self.w.new_hub().login(self.w.ready["admin_user"], self.w.ready["admin_password"])

    def change(self, number, count):
        """Does so many operations by chance."""
        hub, dice = self.session(), random.Random(number)
        for _ in range(count):
            method, args, named = self.operation(dice)
            try:
                hub.call(method, *args, **named)
                self.done += 1
            except Fault as fault:
                if fault.faultCode in WRONG:
                    raise

    def operation(self, dice):
        """A call with its arguments."""
        tag, package = self.tags[dice.choice(list(self.tags))], dice.choice(self.packages)
        group, member = dice.choice(self.groups), dice.choice(["bash", "make", "gcc", "tar"])
        build, flag = f"{package}-{dice.choice('12')}-1", dice.random() < 0.5
        calls = [
            (6, "tagBuildBypass", [tag, build, flag], {}),
            (5, "untagBuildBypass", [tag, build], {}),
            (2, "packageListBlock", [tag, package], {"force": flag}),
            (2, "packageListUnblock", [tag, package], {"force": flag}),
            (1, "packageListAdd", [tag, package, self.w.ready["admin_user"]], {"force": True}),
            (2, "groupListAdd", [tag, group], {"description": f"{dice.randint(1, 99)} <&>", "force": True}),
            (1, "groupListBlock", [tag, group], {}),
            (1, "groupListUnblock", [tag, group], {}),
            (2, "groupPackageListAdd", [tag, group, member], {"type": dice.choice(["default", "optional"]), "force": True}),
            (1, "groupPackageListBlock", [tag, group, member], {}),
            (1, "groupPackageListUnblock", [tag, group, member], {}),
            (2, "setInheritanceData", [self.tags["mid"], self.parents(dice, "base", "side")], {"clear": True}),
            (2, "setInheritanceData", [self.tags["top"], self.parents(dice, "mid", "base", "side")], {"clear": True}),
            (2, "addExternalRepoToTag", [tag, self.outside, dice.randint(1, 9)], {"merge_mode": dice.choice(["koji", "simple"])}),
            (1, "removeExternalRepoFromTag", [tag, self.outside], {}),
            (1, "editTag2", [tag], {"extra": {"n": dice.randint(1, 99)}}),
        ]
        _, method, args, named = dice.choices(calls, [call[0] for call in calls])[0]
        return method, args, named

    def parents(self, dice, *words):
        """Some of the tags as parents, in some order."""
        chosen = dice.sample(words, dice.randint(0, len(words)))
        return [{
            "parent_id": self.ids[self.tags[word]], "priority": priority, "maxdepth": dice.choice([None, None, 0, 1]), "intransitive": False,
            "noconfig": dice.random() < 0.2, "pkg_filter": dice.choice(["", "", "^pkg[01]"]),
        } for priority, word in enumerate(chosen)]

    def request(self, number):
        """Asks for repositories and looks at what comes."""
        hub, dice = self.session(), random.Random(100 + number)
        while not self.over.is_set() or self.asked < 20:
            tag = self.tags[dice.choice(["mid", "top", "base"])]
            event = hub.call("getLastEvent")["id"]
            exact = dice.random() < 0.3
            named = {"at_event": event} if exact else {"min_event": event}
            if dice.random() < 0.3:
                named["opts"] = {"src": True}
            repo = hub.wait_request(hub.call("repo.request", tag, **named), timeout=600)
            if repo is None:
                # a request that is given up is only looked at, as the tag of the event may have no arches or not be there
                self.failures.append(f"{tag}: a request for {named} was given up")
                return
            right = repo["create_event"] == event if exact else repo["create_event"] >= event
            that(right and repo["tag_name"] == tag, f"{named} gave {repo}")
            self.asked += 1

    def watch(self):
        """Notes where the links lead, as often as it can."""
        links = {tag: self.w.topdir("repos", tag, "latest") for tag in self.tags.values()}
        while not self.over.wait(0.002):
            for tag, link in links.items():
                states = self.seen.setdefault(tag, [])
                if link.is_symlink():
                    now = int(os.readlink(link))
                    if not states or states[-1] != now:
                        states.append(now)

    def last(self):
        """The stock client's requests get what is not older than they want; the links lead to the newest."""
        for word in ("mid", "top"):
            tag = self.tags[word]
            event = self.hub.call("tagLastChangeEvent", tag)
            repo = self.w.koji("request-repo", "--wait", "--timeout", "2", "--min-event", str(event), tag).number(r"Got repo (\d+)")
            that(self.hub.call("repoInfo", repo)["create_event"] >= event, f"repository {repo} is older than event {event}")
            has(self.w.koji("request-repo", "--wait", "--current", tag), "Got repo")
            rows = self.hub.call("repo.query", [["tag_id", "=", self.ids[tag]], ["state", "=", 1], ["custom_opts", "=", "{}"]],
                                 ["id", "create_event"], {"order": "-create_event,-id"})
            eq(int(os.readlink(self.w.topdir("repos", tag, "latest"))), rows[0]["id"], f"the latest repository of {tag}")

    def forward(self):
        """No link led to an older state after a newer one."""
        for tag, states in self.seen.items():
            events = [self.hub.call("repoInfo", repo)["create_event"] for repo in states]
            eq(events, sorted(events), f"the events that the link of {tag} led to")

    def compare(self):
        """Compares each repository with its tag at its event; returns how many."""
        repos = self.hub.call("repo.query", [["state", "IN", [1, 2]], ["dist", "IS", False]], "**")
        for repo in repos:
            try:
                self.compare_one(repo)
            except AssertionError as error:
                raise AssertionError(f"repository {repo['id']} of {repo['tag_name']} at event {repo['create_event']}: {error}") from error
        return len(repos)

    def compare_one(self, repo):
        """Packages, blocks, groups and the external package of one repository."""
        tag, event = repo["tag_id"], repo["create_event"]
        home = self.w.topdir("repos", repo["tag_name"], str(repo["id"]))
        rpms, _ = self.hub.call("listTaggedRPMS", tag, event=event, inherit=True, latest=True)
        nvra = lambda rpm: f"{rpm['name']}-{rpm['version']}-{rpm['release']}.{rpm['arch']}"
        arches = ("noarch", "x86_64", "src") if repo["opts"]["src"] else ("noarch", "x86_64")
        wanted = sorted(nvra(rpm) for rpm in rpms if rpm["arch"] in arches)
        lines = (home / "x86_64/pkglist").read_text().splitlines()
        eq(sorted(line.rsplit("/", 1)[1].removesuffix(".rpm") for line in lines), wanted, "the list of packages")
        if self.hub.call("getExternalRepoList", tag, event=event):
            # Merging for an arch leaves sources out, as mergerepo_c does for kojid.
            wanted = sorted([*(name for name in wanted if not name.endswith(".src")), f"{self.outside}-1.0-1.noarch"])
        found = parts(home / "x86_64")
        eq(sorted(map(published, packages_of(found["primary"]))), wanted, "the published packages")
        blocked = [p["package_name"] for p in self.hub.call("listPackages", tagID=tag, inherited=True, event=event, with_blocked=True) if p["blocked"]]
        eq(sorted((home / "x86_64/blocklist").read_text().split()), sorted(blocked), "the blocked packages")
        groups = {g["name"]: (g["description"] or "", sorted(p["package"] for p in g["packagelist"]))
                  for g in self.hub.call("getTagGroups", tag, event=event)}
        comps = next(path for kind, path in found.items() if kind.startswith("group"))
        eq(groups_of(comps), groups, "the groups")
        eq(json.loads((home / "repo.json").read_text())["event_id"], event, "the event that repo.json names")


def packages_of(primary):
    """The packages of primary metadata."""
    return tree.fromstring(unpack(primary)).iter(f"{COMMON}package")


def published(package):
    """Name, version, release and arch of a package in the metadata."""
    version = package.find(f"{COMMON}version")
    return f"{package.find(f'{COMMON}name').text}-{version.get('ver')}-{version.get('rel')}.{package.find(f'{COMMON}arch').text}"


def groups_of(comps):
    """Description and packages of each group in comps.xml."""
    return {group.find("id").text: (group.find("description").text or "", sorted(p.text for p in group.iter("packagereq")))
            for group in tree.fromstring(unpack(comps)).iter("group")}
