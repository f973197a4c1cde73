"""Koji's own programs beside the client, unmodified: kojira, koji-gc, koji-shadow, koji-sweep-db."""

import re
from pathlib import Path

from harness import stock
from harness.gpg import Keyring
from harness.mailbox import Mailbox
from harness.postgres import Postgres
from harness.rpms import binary_rpm
from harness.server import Server
from harness.story import eq, has, that, story

# Texts of our own; the program fills in the builds.
NOTICE = "Nobody uses these builds any more. They will be deleted:\n\n${builds}\n"


def start(own, name="server", **more):
    """A server of the story's own with a world around it."""
    server = Server(own.toji, own.dir / name, **more).start()
    return own.world(server, f"{name}-world")


@story(own=True, slow=True)
def kojira(own):
    """kojira makes the repositories that are asked for, watches external ones, and removes what is out of date."""
    world = start(own, extra=["--no-repositories"])
    try:
        target = world.target("t")
        tag = f"{target}-build"
        world.server.set_password("kojira", "secret")
        source = world.topdir("repos")
        conf = stock.conf(world.dir / "kojira.conf", kojira={
            "server": world.ready["hub"], "topdir": world.topdir(), "user": "kojira", "password": "secret",
            "logfile": world.dir / "kojira.log", "sleeptime": 1, "repo_lifetime": 0, "expired_repo_lifetime": 0,
            "recheck_period": 0, "verbose": "true"})
        world.hub.call("repo.request", tag)
        eq(world.hub.call("getRepo", tag), None, "the repository while nobody makes any")
        daemon = stock.Daemon(world, "kojira", "-f", "-c", conf)
        try:
            first = daemon.until(lambda: world.hub.call("getRepo", tag), "repository")
            has(str(sorted(p.name for p in (source / tag).iterdir())), str(first["id"]))
            external = world.name("external")
            url = f"{world.ready['files']}/repos/{tag}/{first['id']}/$arch/"
            world.koji("add-external-repo", external, url, "-t", tag, "-p", "5")
            number = world.hub.call("getExternalRepo", external)["id"]
            known = lambda: (world.hub.call("repo.getExternalRepoData", number) or {}).get("max_ts")
            that(daemon.until(known, "time of the external repository") > 0, "no time of the external repository")
            world.koji("remove-external-repo", external, tag)
            newest = world.hub.call("tagLastChangeEvent", tag)
            world.koji("request-repo", "--wait", "--timeout", "2", "--current", tag)
            second = world.hub.call("getRepo", tag)
            that(second["id"] > first["id"] and second["create_event"] >= newest, f"{second} is not newer than {first}")
            task = world.hub.call("getTaskInfo", second["task_id"])
            eq(task["method"], "newRepo", "the method of the repository's task")
            gone = source / tag / str(first["id"])
            daemon.until(lambda: not gone.exists(), "removal of the older repository")
            eq(world.hub.call("repoInfo", first["id"])["state"], 3, "the state of the older repository")
            that((source / tag / str(second["id"])).is_dir(), "the newer repository is gone")
        finally:
            code = daemon.end()
        eq(code, 0, "kojira's exit code")
        log = (world.dir / "kojira.log").read_text()
        has(log, "Started rmtree", "Set repo", "Updating timestamp for external repo")
        # It says this at its end, in the one form or the other.
        stock.clean(re.sub(r"\[?WARNING\]?.*: Shutting down", "", log), "kojira")
    finally:
        world.server.stop()


class Rubbish:
    """Builds of one package in tags, imported, some of them signed."""

    def __init__(self, world):
        self.world, self.package = world, world.name("old")
        self.tag = world.name("f40-testing")
        self.keys = Keyring(world.dir / "keys")
        self.other = world.name("saved")
        for tag in ("trashcan", self.tag):
            world.koji("add-tag", tag)
            world.koji("add-pkg", "--owner", world.ready["admin_user"], tag, self.package, self.other)

    def make(self, version, key=None, tag=None, package=None):
        """Imports a build; returns its name."""
        package = package or self.package
        rpms = binary_rpm(self.world.dir, package, version)
        if key:
            self.keys.sign(key, *rpms)
        self.world.koji("import", "--create-build", *rpms)
        nvr = f"{package}-{version}-1"
        if tag:
            self.world.koji("call", "tagBuildBypass", tag, nvr)
        return nvr

    def tags(self, nvr):
        """The tags of a build."""
        return [tag["name"] for tag in self.world.hub.call("listTags", nvr)]

    def state(self, nvr):
        """The state of a build."""
        return self.world.hub.call("getBuild", nvr)["state"]

    def files(self, nvr):
        """Whether its files are there."""
        name, version, release = nvr.rsplit("-", 2)
        return self.world.topdir("packages", name, version, release).is_dir()


@story(own=True, slow=True)
def koji_gc(own):
    """koji-gc untags by policy, moves to the trash with a mail, salvages and deletes; what is signed or used stays."""
    world = start(own)
    try:
        with Mailbox(stock.python(world.koji_program), world.dir / "mail") as mail:
            gc_story(world, mail)
    finally:
        world.server.stop()


def gc_story(world, mail):
    """The steps of koji_gc."""
    heap = Rubbish(world)
    gold, test = heap.keys.make("gold"), heap.keys.make("test")
    policy = f"""
# the newest stays; what is signed with gold stays, too
sig {gold.lower()} fedora-gold :: keep
package {heap.package} && order < 1 :: keep
tag {heap.tag} && age > 0 seconds :: {{
    order >= 1 :: untag
}}
"""
    tpl = world.dir / "notice.tpl"
    tpl.write_text(NOTICE)
    main = {"server": world.ready["hub"], "weburl": f"{world.ready['url']}/koji", "email_domain": "example.org",
            "unprotected_keys": "test-key", "key_aliases": f"\n{test} test-key", "email_template": tpl,
            "smtp_host": mail.address, "lock_file": world.dir / "gc.lock"}
    conf = stock.conf(world.dir / "koji-gc.conf", main=main, prune={"policy": policy})

    def gc(action, *options):
        return stock.run_program(world, "koji-gc", "-c", conf, *stock.login(world.server), "--delay", "0 seconds",
                                 "--grace-period", "0 seconds", "--action", action, *options)

    first = heap.make("1", tag=heap.tag)
    signed = heap.make("2", key=gold, tag=heap.tag)
    latest = heap.make("3", tag=heap.tag)
    loose = heap.make("4")
    loose_test = heap.make("5", key=test, package=heap.other)
    loose_gold = heap.make("6", key=gold)

    has(gc("prune,trash,delete", "--test"), f"Would have untagged {first} from {heap.tag}",
        f"Would have moved to trashcan: {loose}")
    eq([heap.tags(nvr) for nvr in (first, loose)], [[heap.tag], []], "the tags after a test run")

    has(gc("prune"), f"Untagging build {first} from {heap.tag}")
    eq([heap.tags(nvr) for nvr in (first, signed, latest)], [[], [heap.tag], [heap.tag]], "the tags after pruning")

    said = gc("trash")
    has(said, f"Skipping build {loose_gold}")
    eq([heap.tags(nvr) for nvr in (first, loose, loose_test, loose_gold)], [["trashcan"]] * 3 + [[]], "the tags after trash")
    owner = f"{world.ready['admin_user']}@example.org"
    to, letter = mail.wait(lambda to, letter: True, "about the trash")
    eq((to, letter["Subject"]), ([owner], "3 builds marked for deletion"), "the message")
    has(letter.get_content(), first, loose, loose_test, "/buildinfo?buildID=")

    world.koji("call", "tagBuildBypass", heap.tag, loose_test)
    # The program asks for the tags of the last build in its list only, and takes them for those of all.
    has(gc("salvage", "--pkg", heap.other), f"Build {loose_test} tagged elsewhere: ['{heap.tag}']")
    eq(heap.tags(loose_test), [heap.tag], "the tags of the build that is used again")
    has(gc("delete"), f"Deleted build: {first}", f"Deleted build: {loose}")
    eq([heap.state(nvr) for nvr in (first, loose)], [2, 2], "the states of the deleted builds")
    eq([heap.files(nvr) for nvr in (first, loose, loose_test, loose_gold, latest)], [False, False, True, True, True], "the files")
    eq([heap.state(nvr) for nvr in (signed, latest, loose_test, loose_gold)], [1] * 4, "the states of the others")

    newest = heap.make("7", tag=heap.tag)
    has(gc("prune", "--purge"), f"Deleting untagged build: {latest}")
    eq((heap.state(latest), heap.state(newest)), (2, 1), "the states after purging")


@story(own=True, slow=True)
def koji_shadow(own):
    """koji-shadow brings a tag of one hub to another: it imports what is noarch and builds the rest in the same buildroot."""
    ours, theirs = start(own, "ours"), start(own, "theirs")
    try:
        lib, app = "shadowlib", "shadowapp"
        target = theirs.target("f40", [lib, app])
        theirs.build(target, theirs.srpm(lib))
        nodebug = {"arch": "x86_64", "header": "%global debug_package %{nil}\n"}
        theirs.hub.wait_repo(f"{target}-build", [lib])
        theirs.build(target, theirs.srpm(app, build_requires=[lib], build=f"cat /usr/share/{lib}/hello", **nodebug))
        ours.koji("add-tag", target)
        conf = stock.conf(ours.dir / "shadow.conf", main={
            "server": ours.ready["hub"], "remote": theirs.ready["hub"], "remote_topurl": theirs.ready["files"],
            "workpath": ours.dir / "work", "arches": "x86_64"})
        shadow = ["koji-shadow", "-c", conf, *stock.login(ours.server), "--import-noarch", "--tag-build", target]
        # Under Python 3 the program trips over a list of its own once a rebuild has ended, whatever the hub does.
        said = stock.run_program(ours, *shadow, code=1, trouble=False)
        eq(said.err.strip().splitlines()[-1], "RuntimeError: dictionary changed size during iteration", "how it ended")
        has(said, f"rebuild: {app}-1.0-1", f"complete (build {app}-1.0-1)", f"tagged {app}-1.0-1 to {target}")
        # The next run finds everything done.
        has(stock.run_program(ours, *shadow), f"Common build (rebuilt) {app}-1.0-1", "Rebuilt 0 builds")
        builds = {nvr: ours.hub.call("getBuild", nvr) for nvr in (f"{lib}-1.0-1", f"{app}-1.0-1")}
        eq([b and b["state"] for b in builds.values()], [1, 1], "the states of the builds")
        eq(builds[f"{lib}-1.0-1"]["task_id"], None, "the task of the imported build")
        task = builds[f"{app}-1.0-1"]["task_id"]
        eq(ours.hub.call("getTaskInfo", task)["state"], 2, "the state of the rebuild's task")
        has(str([t["name"] for t in ours.hub.call("listTags", f"{app}-1.0-1")]), target)
        rpms = ours.hub.call("listBuildRPMs", f"{app}-1.0-1")
        root = next(r["buildroot_id"] for r in rpms if r["arch"] == "x86_64")
        eq([r["name"] for r in ours.hub.call("listRPMs", componentBuildrootID=root)], [lib], "what the rebuild's buildroot had")
        eq(ours.hub.call("getBuildroot", root)["tag_name"], f"SHADOWBUILD-{target}-build", "the tag of the buildroot")
    finally:
        ours.server.stop()
        theirs.server.stop()


@story(own=True, slow=True)
def koji_sweep_db(own):
    """koji-sweep-db takes old sessions, reservations, scheduler's logs, tasks and buildroots out of a PostgreSQL database."""
    postgres = Server.postgres or Postgres(own.dir / "postgres").start()
    try:
        world = start(own, extra=[] if Server.postgres else ["--database", postgres.create("toji")])
        name = world.server.database_url().split("?")[0].split("/")[-1] if Server.postgres else "toji"
        try:
            target = world.target("t", ["swept"])
            srpm = world.srpm("swept")
            scratch = world.task_of(world.build(target, srpm, "--scratch"))
            world.build(target, srpm)
            kept = world.hub.call("getBuild", "swept-1.0-1")
            world.koji("call", "createNotification", world.hub.call("getLoggedInUser")["id"], "None", "None", "False",
                       "--python")
            world.koji("untag-build", target, "swept-1.0-1")
            world.hub.wait(world.hub.call("listTasks", {"method": "tagNotification"}, {"order": "-id"})[0]["id"])
            sweep_story(world, postgres, name, scratch, kept)
        finally:
            world.server.stop()
    finally:
        if postgres is not Server.postgres:
            postgres.stop()


def sweep_story(world, postgres, name, scratch, kept):
    """Makes everything old and sweeps it, first with a dry run."""
    def sql(text):
        return postgres.psql(name, text).strip()

    def count(table, where="true"):
        return int(sql(f"SELECT count(*) FROM {table} WHERE {where}"))

    user = world.hub.call("getLoggedInUser")["id"]
    sql(f"INSERT INTO sessions (user_id, key, authtype, hostip, update_time) "
        f"VALUES ({user}, 'old', 0, '127.0.0.1', now() - interval '2 days')")
    sql(f"INSERT INTO build_reservations (build_id, token, created) VALUES ({kept['id']}, 't', now() - interval '2 days')")
    sql("UPDATE scheduler_log_messages SET msg_time = now() - interval '8 days' WHERE task_id = %d" % scratch)
    sql("UPDATE task SET completion_time = now() - interval '3 years' WHERE completion_time IS NOT NULL")
    sessions, newer = count("sessions"), f"task_id = {kept['task_id']}"
    old_lines = count("scheduler_log_messages", f"task_id = {scratch}")
    roots, notes = count("buildroot"), count("task", "method = 'tagNotification'")
    that(old_lines > 0 and roots >= 4 and notes > 0, f"too little to sweep: {old_lines}, {roots}, {notes}")
    # The program removes tasks of this method without what the scheduler noted of them, which a Koji database refuses, too.
    for table in ("scheduler_task_runs", "scheduler_task_refusals", "scheduler_log_messages"):
        sql(f"DELETE FROM {table} WHERE task_id IN (SELECT id FROM task WHERE method = 'tagNotification')")
    conf = stock.conf(world.dir / "hub.conf", hub={"DBConnectionString": f"host={postgres.dir} dbname={name} user=toji"})
    library = Path(stock.__file__).with_name("hub_side")

    def sweep(*options):
        return stock.run_program(world, "koji-sweep-db", "-c", conf, "--config-dir", world.dir, "--verbose", *options,
                                 env={"PYTHONPATH": str(library)})

    everything = ["--force", "--tag-notifications", "--scratch-builds", "--buildroots"]
    has(sweep("--test", *everything), "Deleting 1 sessions", "Deleting 1 build reservations",
        f"Deleting {old_lines} scheduler log messages", f"Deleting {notes} tagNotification tasks", "Deleting 1 scratch build")
    eq((count("sessions"), count("buildroot"), count("task", f"id = {scratch}")), (sessions, roots, 1), "rows after a test")
    sweep(*everything)
    eq((count("sessions", "key = 'old'"), count("build_reservations")), (0, 0), "old sessions and reservations")
    eq(count("scheduler_log_messages", f"task_id = {scratch}"), 0, "old lines of the scheduler's log")
    that(count("scheduler_log_messages", newer) > 0, "new lines of the scheduler's log went")
    eq((count("task", "method = 'tagNotification'"), count("task", f"id = {scratch} OR parent = {scratch}")), (0, 0), "tasks")
    that(count("buildroot") < roots, "no buildroot went")
    eq(world.hub.call("getBuild", "swept-1.0-1")["state"], 1, "the state of the build")
    eq(world.hub.call("getTaskInfo", kept["task_id"])["state"], 2, "the state of the build's task")
    that(all(r["buildroot_id"] for r in world.hub.call("listBuildRPMs", "swept-1.0-1")), "its buildroots went")
