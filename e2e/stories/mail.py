"""Mail about builds and taggings, from subscriptions of the stock client to a real mail server."""

from harness import stock
from harness.mailbox import Mailbox
from harness.server import Server
from harness.story import eq, has, lacks, matches, story


@story(own=True, slow=True)
def mail(own):
    """Builds that end and builds that change tags are told to those who want to know, and to nobody else."""
    (own.dir / "mail").parent.mkdir(parents=True, exist_ok=True)
    with Mailbox(stock.python(own.koji_program), own.dir / "mail") as box:
        extra = ["--mail-server", box.address, "--mail-from", "Toji <toji@example.org>", "--email-domain", "example.org"]
        server = Server(own.toji, own.dir / "server", extra=extra).start()
        try:
            mail_story(own.world(server), box)
        finally:
            server.stop()


def subjects(box, to):
    """The subjects of the messages to an address."""
    return [letter["Subject"] for recipients, letter in box.letters() if to in recipients]


def mail_story(w, box):
    """The steps of mail."""
    pkg, admin = w.name("told"), f"{w.ready['admin_user']}@example.org"
    target = w.target("t", [pkg])
    for user in ("reader", "deaf"):
        w.koji("add-user", user)
        w.koji("add-notification", "--user", user, "--package", pkg)
    w.koji("block-notification", "--user", "deaf", "--package", pkg)
    nvr, task = f"{pkg}-1.0-1", w.task_of(w.build(target, w.srpm(pkg)))
    wanted = f"Package: {nvr} Tag: {target} Status: complete Built by: {w.ready['admin_user']}"
    to, letter = box.wait(lambda to, m: m["Subject"] == wanted, wanted)
    eq(sorted(to), sorted([admin, "reader@example.org"]), "who is told of the build")
    eq((letter["From"], letter["X-Koji-Tag"], letter["X-Koji-Status"]), ("Toji <toji@example.org>", target, "complete"), "heads")
    text = letter.get_content()
    has(text, f"/taskinfo?taskID={task}", "/buildinfo?buildID=", "Changes:", "- Make it")
    lacks(text, "Why it failed")

    w.koji("untag-build", target, nvr)
    wanted = f"{nvr} successfully untagged from {target} by {w.ready['admin_user']}"
    to, letter = box.wait(lambda to, m: m["Subject"] == wanted, wanted)
    eq(letter["X-Koji-Tag"], target, "the tag")
    w.koji("tag-build", "--wait", target, nvr)
    box.wait(lambda to, m: " successfully tagged into " in m["Subject"], "about the tagging")

    broken = w.srpm(pkg, version="2.0", build="echo the reason is here; exit 3")
    failed = w.task_of(w.build(target, broken, code=1))
    to, letter = box.wait(lambda to, m: "Status: failed" in m["Subject"], "about the failure")
    eq(sorted(to), sorted([admin, "reader@example.org"]), "who is told of the failure")
    text = letter.get_content().replace("\r\n", "\n")
    has(text, "Why it failed:", "Failed tasks:", "/getfile?taskID=", "build.log", f"taskID={failed}")
    matches(text, r"  buildArch \(.*\) on \S+:")
    note = w.hub.call("listTasks", {"method": "buildNotification"}, {"order": "-id"})[0]["id"]
    w.hub.wait(note)
    has(w.hub.call("getTaskResult", note), "sent notification of build", "reader@example.org")
    eq(subjects(box, "deaf@example.org"), [], "what the one who wants no messages got")
