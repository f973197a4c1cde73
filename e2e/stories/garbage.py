"""Garbage collection by `toji gc` on a running server, with the configuration of koji-gc."""

from harness import stock
from harness.command import run
from harness.gpg import Keyring
from harness.mailbox import Mailbox
from harness.rpms import binary_rpm
from harness.server import Server
from harness.story import eq, has, lacks, that, story


@story(own=True, slow=True)
def builds(own):
    """A dry run gives the reasons and changes nothing; a run prunes, moves to the trash with a mail, and deletes with the files."""
    server = Server(own.toji, own.dir / "server").start()
    try:
        w = own.world(server)
        with Mailbox(stock.python(w.koji_program), w.dir / "mail") as box:
            garbage_story(own, w, box)
    finally:
        server.stop()


def garbage_story(own, w, box):
    """The steps of builds."""
    pkg, keys = w.name("heap"), Keyring(w.dir / "keys")
    gold = keys.make("gold")
    for tag in ("trashcan", "f40-testing"):
        w.koji("add-tag", tag)
        w.koji("add-pkg", "--owner", w.ready["admin_user"], tag, pkg)
    nvrs = {}
    for version, tagged in (("1", True), ("2", True), ("3", False), ("4", False)):
        rpms = binary_rpm(w.dir, pkg, version)
        if version == "4":
            keys.sign(gold, *rpms)
        w.koji("import", "--create-build", *rpms)
        nvrs[version] = f"{pkg}-{version}-1"
        if tagged:
            w.koji("call", "tagBuildBypass", "f40-testing", nvrs[version])
    main = {"unprotected_keys": "test-key", "smtp_host": box.address, "email_domain": "example.org"}
    conf = stock.conf(w.dir / "koji-gc.conf", main=main, prune={"policy": "\ntag *-testing && order >= 1 :: untag"})
    database = ["--database", w.server.database_url()] if Server.postgres else []

    def gc(*words):
        return run(own.toji, "gc", "-c", conf, "--data", w.server.data, *database, "--delay", "0 seconds", "--grace-period",
                   "0 seconds", *words)

    tags = lambda version: [t["name"] for t in w.hub.call("listTags", nvrs[version])]
    said = gc("--dry-run", "--verbose", "prune", "trash")
    has(said, f"would untag {nvrs['1']} (f40-testing): tag *-testing && order >= 1 :: untag",
        f"would move to the trash {nvrs['3']}: never tagged", f"keep {nvrs['4']}: signed with the protected key {gold}")
    eq([tags(v) for v in "134"], [["f40-testing"], [], []], "the tags after a dry run")
    said = gc("prune", "trash")
    has(said, f"untagged {nvrs['1']}", f"moved to the trash {nvrs['3']}")
    lacks(said, "would", "keep")
    eq([tags(v) for v in "1234"], [["trashcan"], ["f40-testing"], ["trashcan"], []], "the tags")
    owner = f"{w.ready['admin_user']}@example.org"
    to, letter = box.wait(lambda to, m: m["Subject"] == "2 builds marked for deletion", "about the trash")
    eq((to, nvrs["1"] in letter.get_content()), ([owner], True), "the message")
    w.koji("call", "tagBuildBypass", "f40-testing", nvrs["1"])
    has(gc("delete"), f"taken out of the trash {nvrs['1']}: tagged with f40-testing", f"deleted {nvrs['3']}")
    eq([w.hub.call("getBuild", nvrs[v])["state"] for v in "1234"], [1, 1, 2, 1], "the states")
    that(not w.topdir("packages", pkg, "3", "1").exists(), "the files of a deleted build are there")
    that(w.topdir("packages", pkg, "1", "1").is_dir(), "the files of a kept build are gone")
    gc("sweep-db", "--scratch-builds", "--buildroots", "--tag-notifications")
