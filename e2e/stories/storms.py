"""Two `toji hub` processes on one PostgreSQL database, and many sessions of the stock client at both of them at once."""

import json
import random
import re
from pathlib import Path

from harness.command import run
from harness.hub import BUILD_STATES, TASK_STATES
from harness.rpms import binary_rpm
from harness.site import ADMIN, Site
from harness.stock import python
from harness.story import eq, story, that

HERE = Path(__file__).resolve().parent.parent
DONE = "<?xml version='1.0'?>\n<methodResponse><params><param><value><int>0</int></value></param></params></methodResponse>"
# Faults by which a hub says that another transaction was in the way (LockError), or that it has a defect.
WRONG = (1, 1001)


class Storm:
    """Two hubs of a site, and what was refused in the storms so far."""

    def __init__(self, site, other):
        self.site, self.hubs = site, [site.hub.ready["hub"], other.ready["hub"]]

    def rage(self, plans, allowed=()):
        """Lets a session do each plan, every second one at the other hub; only faults that match `allowed` may come."""
        sessions = []
        for number, plan in enumerate(plans):
            user, password = plan.get("login", ADMIN)
            steps = [[words[0], list(words[1]), dict(words[2]) if len(words) > 2 else {}] for words in plan["steps"]]
            sessions.append({"hub": self.hubs[number % 2], "user": user, "password": password, "steps": steps,
                             "exclusive": plan.get("exclusive", False)})
        said = run(python(self.site.koji_program), "-W", "ignore", HERE / "harness" / "stormer.py",
                   stdin=json.dumps({"sessions": sessions}).encode())
        reports = json.loads(said.out)
        for plan, report in zip(plans, reports):
            eq(len(report), len(plan["steps"]), "the steps that a session did")
            for method, _, code, text in report:
                fine = text is None or (code not in WRONG and any(re.search(pattern, text) for pattern in allowed))
                that(fine, f"{method} gave {code}: {text}")
        return reports

    def sound(self):
        """The rules that hold in every database at rest, as in `schema/`: one active row for each key, no overlaps."""
        for table, keys in versioned_tables():
            keys = ", ".join(keys)
            for what, sql in (
                ("several active rows", f"SELECT 1 FROM {table} WHERE active GROUP BY {keys} HAVING count(*) > 1"),
                ("overlaps", f"SELECT 1 FROM (SELECT revoke_event r, lead(create_event) OVER (PARTITION BY {keys} ORDER BY "
                             f"create_event) n FROM {table}) l WHERE n IS NOT NULL AND (r IS NULL OR r > n)"),
                ("rows that end before they begin", f"SELECT 1 FROM {table} WHERE revoke_event < create_event"),
                ("rows both active and ended", f"SELECT 1 FROM {table} WHERE (active IS NULL) <> (revoke_event IS NOT NULL)"),
            ):
                eq(self.site.sql(sql), "", f"{table}: {what}")
        eq(self.site.sql("SELECT name, version, release FROM build JOIN package ON package.id = pkg_id "
                         "GROUP BY 1, 2, 3 HAVING count(*) > 1"), "", "builds of the same name")
        eq(self.site.sql("SELECT 1 FROM build WHERE (state = 0) AND (start_time IS NULL AND completion_time IS NULL)"), "",
           "complete builds without their times")
        eq(self.site.sql("SELECT id FROM task WHERE (state = 0 AND host_id IS NOT NULL) OR (state IN (1, 4) AND host_id IS NULL) "
                         "OR (state IN (2, 3, 5) AND completion_time IS NULL)"), "", "tasks in no legal state")


def versioned_tables():
    """Tables with history and the columns that name an object in them, as the schema says."""
    found, table = [], None
    for file in sorted((HERE.parent / "schema").glob("*.sql")):
        for line in file.read_text().splitlines():
            if line.startswith("CREATE TABLE "):
                table = re.split(r"[ (]", line)[2]
            elif line.startswith("--:versioned "):
                found.append((table, [key.strip() for key in line.split(" ", 1)[1].strip(", ").split(",")]))
    that(len(found) > 10, f"the schema has versioned tables: {found}")
    return found


@story(own=True, slow=True)
def two_processes(own):
    """Tags, lists, hosts, people, releases, imports and cancellations at once: nothing is lost, twice or half done."""
    with Site(own) as site:
        conf = {section: dict(options) for section, options in site.hub.conf.items()}
        other = type(site.hub)(own.toji, own.dir / "hub2", conf)
        try:
            storm = Storm(site, other.start())
            furnish(site.admin())
            edits(storm)
            storm.sound()
            taggings(storm)
            storm.sound()
            releases(storm)
            imports(storm)
            storm.sound()
            cancellations(storm)
            storm.sound()
            for hub in (site.hub, other):
                that("panicked" not in hub.log_tail(2000), f"a hub panicked\n{hub.log_tail()}")
        finally:
            eq(other.stop(), 0, "the exit code of the second hub")


def furnish(hub):
    """What the storms are about."""
    for tag in ("a", "b", "t"):
        hub.call("createTag", tag, arches="x86_64")
        hub.call("packageListAdd", tag, "thing", "admin")
    for version in ("1", "2", "3"):
        hub.call("createEmptyBuild", "thing", version, "1", None)
    for user in ("alice", "bob"):
        hub.call("createUser", user)
    hub.call("newGroup", "team")
    hub.call("groupListAdd", "t", "build")
    hub.call("groupPackageListAdd", "t", "build", "bash")
    hub.call("addHost", "h1", ["x86_64"])
    hub.call("createExternalRepo", "far", "http://far/")
    hub.call("addExternalRepoToTag", "t", "far", 5)
    hub.call("createBuildTarget", "goal", "a", "b")


def edits(storm):
    """Each session edits a part of an object that others edit parts of: what each wrote last is there in the end."""
    rounds = 15

    def each(make):
        return {"steps": [make(number) for number in range(rounds)]}

    def flag(number):
        return number % 2 == 0

    storm.rage([
        each(lambda n: ("editHost", ["h1"], {"arches": f"a{n}"})),
        each(lambda n: ("editHost", ["h1"], {"comment": f"c{n}"})),
        each(lambda n: ("disableHost" if flag(n) else "enableHost", ["h1"])),
        each(lambda n: ("editChannel", ["default"], {"comment": f"c{n}"})),
        each(lambda n: ("editChannel", ["default"], {"description": f"d{n}"})),
        each(lambda n: ("editTag2", ["t"], {"arches": f"a{n}"})),
        each(lambda n: ("editTag2", ["t"], {"extra": {"k": n}})),
        each(lambda n: ("editTag2", ["t"], {"locked": flag(n)})),
        each(lambda n: ("packageListSetOwner", ["t", "thing", "alice" if flag(n) else "bob", True])),
        each(lambda n: ("packageListSetArches", ["t", "thing", f"a{n}", True])),
        each(lambda n: ("groupListAdd", ["t", "build"], {"description": f"d{n}"})),
        each(lambda n: ("groupListAdd", ["t", "build"], {"uservisible": flag(n)})),
        each(lambda n: ("groupPackageListAdd", ["t", "build", "bash"], {"requires": f"r{n}"})),
        each(lambda n: ("groupPackageListAdd", ["t", "build", "bash"], {"type": "optional" if flag(n) else "default"})),
        each(lambda n: ("editTagExternalRepo", ["t", "far"], {"priority": n})),
        each(lambda n: ("editTagExternalRepo", ["t", "far"], {"merge_mode": "bare" if flag(n) else "simple"})),
        each(lambda n: ("editExternalRepo", ["far"], {"url": f"http://{n}/"})),
        each(lambda n: ("editBuildTarget", ["goal", "goal", "a", "b" if flag(n) else "t"])),
    ])
    hub, last = storm.site.admin(), rounds - 1
    host = hub.call("getHost", "h1")
    eq((host["arches"], host["comment"], host["enabled"]), (f"a{last}", f"c{last}", False), "the host")
    channel = hub.call("getChannel", "default")
    eq((channel["comment"], channel["description"]), (f"c{last}", f"d{last}"), "the channel")
    tag = hub.call("getTag", "t")
    eq((tag["arches"], tag["extra"], tag["locked"]), (f"a{last}", {"k": last}, True), "the tag")
    package = hub.call("getPackageConfig", "t", "thing")
    eq((package["owner_name"], package["extra_arches"]), ("alice", f"a{last}"), "the package's entry")
    group = hub.call("getTagGroups", "t")[0]
    eq((group["description"], group["uservisible"]), (f"d{last}", True), "the group")
    member = group["packagelist"][0]
    eq((member["requires"], member["type"]), (f"r{last}", "optional"), "the group's package")
    used = hub.call("getTagExternalRepos", "t")[0]
    eq((used["priority"], used["merge_mode"], used["url"]), (last, "bare", f"http://{last}/"), "the external repository")
    eq(hub.call("getBuildTarget", "goal")["dest_tag_name"], "b", "the target")


def taggings(storm):
    """Builds go in and out of tags, users in and out of groups, permissions come and go, in any order."""
    plans = []
    for number in range(10):
        dice, steps = random.Random(number), []
        for _ in range(25):
            tag, build = dice.choice("ab"), f"thing-{dice.randint(1, 3)}-1"
            steps.append(dice.choice([
                ("tagBuildBypass", [tag, build]), ("tagBuildBypass", [tag, build, True]), ("untagBuildBypass", [tag, build]),
                ("grantPermission", ["alice", "tag"]), ("revokePermission", ["alice", "tag"]),
                ("addGroupMember", ["team", "bob"]), ("dropGroupMember", ["team", "bob"]),
                ("addHostToChannel", ["h1", "createrepo"]), ("removeHostFromChannel", ["h1", "createrepo"]),
                ("packageListBlock", ["a", "other"]), ("packageListAdd", ["b", "other", "bob"]),
            ]))
        plans.append({"steps": steps})
    reports = storm.rage(plans, (
        "already tagged", "not in tag", "already has permission", "does not have permission", "already in group",
        "No such user in group", "already subscribed", "not subscribed", "not in tag listing", "No such entry in table package"))
    # Each tagging and untagging that was answered is in the history, and nothing else.
    done = [report for session in reports for report in session if report[3] is None]
    tagged = sum(method == "tagBuildBypass" for method, *_ in done)
    untagged = sum(method == "untagBuildBypass" for method, *_ in done)
    rows = int(storm.site.sql("SELECT count(*) FROM tag_listing"))
    active = int(storm.site.sql("SELECT count(*) FROM tag_listing WHERE active"))
    eq(rows, tagged, "entries of the tags, one for each tagging")
    # A build that is tagged again ends its entry too, so there may be more ends than untaggings.
    that(rows - active >= untagged, f"{untagged} untaggings, {rows - active} entries that ended")


def releases(storm):
    """Whoever takes the next release and is the first to make the build has it: no release twice, none left out."""
    workers, each = 8, 3
    reports = storm.rage([{"steps": [("nextbuild", ["counted", each])]} for _ in range(workers)])
    made = sorted(int(release) for report in reports for release in report[0][1])
    eq(made, list(range(1, workers * each + 1)), "the releases")


def imports(storm):
    """The same packages are imported by many sessions at once: one does it, and the files are whole."""
    workers = 8
    built = [binary_rpm(storm.site.dir / "rpms", f"twice{number}") for number in range(2)]
    plans = []
    for number in range(workers):
        steps = []
        # Half of them begin with the other build.
        for source, binary in built if number % 4 < 2 else built[::-1]:
            for path in (source, binary):
                steps.append(("upload", [str(path), f"storm/{number}"]))
                steps.append(("importRPM", [f"storm/{number}", path.name]))
        plans.append({"steps": steps})
    reports = storm.rage(plans, ("already", "exists"))
    done = [report for session in reports for report in session if report[0] == "importRPM"]
    eq(sum(text is None for *_, text in done), 4, "the imports that were done")
    hub, packages = storm.site.admin(), storm.site.topdir / "packages"
    for number, (source, binary) in enumerate(built):
        build = hub.call("getBuild", f"twice{number}-1.0-1")
        eq(BUILD_STATES[build["state"]], "COMPLETE", "the state of the build")
        eq(sorted(rpm["arch"] for rpm in hub.call("listRPMs", build["id"])), ["noarch", "src"], "its packages")
        home = packages / f"twice{number}" / "1.0" / "1"
        for path, arch in ((source, "src"), (binary, "noarch")):
            eq((home / arch / path.name).read_bytes(), path.read_bytes(), "the stored file")
        eq(sorted(p.name for p in home.rglob("*.rpm")), sorted(p.name for p in (source, binary)), "the stored files")
    eq(storm.site.sql("SELECT count(*) FROM toji_import"), "0", "imports that are not ended")


def cancellations(storm):
    """Tasks are cancelled while their builder completes them: one of both happens, as both are told."""
    site, each, hosts = storm.site, 8, 3
    admin = site.admin()
    plans, tasks = [], []
    for number in range(hosts):
        name = f"worker{number}"
        admin.call("addHost", name, ["x86_64"])
        site.sql(f"UPDATE users SET password = 'x' WHERE name = '{name}'")
        host = site.sql(f"SELECT id FROM host WHERE name = '{name}'")
        own = []
        for _ in range(each):
            task = admin.call("makeTask", "sleep", [0], arch="noarch")
            site.sql(f"UPDATE task SET state = 1, host_id = {host}, start_time = now() WHERE id = {task}")
            own.append(task)
        tasks += own
        plans.append({"login": (name, "x"), "exclusive": True, "steps": [("host.closeTask", [task, DONE]) for task in own]})
    for number in range(3):
        order = random.Random(number).sample(tasks, len(tasks))
        plans.append({"steps": [("cancelTask", [task]) for task in order]})
    reports = storm.rage(plans, ("(?i)cancel", "not open", "(?i)state", "(?i)task"))
    for plan, report in zip(plans[:hosts], reports):
        for (_, (task, _)), (_, _, _, refusal) in zip(plan["steps"], report):
            state = TASK_STATES[admin.call("getTaskInfo", task)["state"]]
            eq(state, "CLOSED" if refusal is None else "CANCELED", f"the state of task {task} ({refusal})")
