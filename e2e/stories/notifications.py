"""Notifications of builds and blocks of them, with the stock client."""

from harness.story import eq, has, matches, story


@story()
def notifications(w):
    """A user adds, changes and removes notifications and blocks; nobody touches another's."""
    tag, pkg, admin = w.name("noted"), w.name("pkg"), w.ready["admin_user"]
    name, other = w.user("reader"), w.user("other")
    w.koji("add-tag", tag)
    w.koji("add-pkg", "--owner", admin, tag, pkg)
    eq(w.as_user(name, "list-notifications", "--mine").out, "No notifications\n\nNo notification blocks\n", "the output")

    eq(w.as_user(name, "add-notification", "--tag", tag, "--package", pkg).out, "", "the output")
    said = w.as_user(name, "list-notifications", "--mine")
    row = matches(said, rf"\s*(\d+) {tag}\s+{pkg}\s+{name}@\S+\s+no\s*")
    number = row.group(1)
    eq(w.anonymous("list-notifications", "--user", name).out, said.out, "what others see")
    has(w.as_user(name, "add-notification", "--tag", tag, "--package", pkg, code=1).err, "notification already exists")
    has(w.as_user(name, "add-notification", "--tag", "no-such-tag", code=2).err, "No such tag: no-such-tag")
    has(w.as_user(name, "add-notification", "--package", "no-such-package", code=2).err, "No such package: no-such-package")
    has(w.as_user(name, "add-notification", "--user", other, "--tag", tag, code=2).err, "--user requires admin permission")

    w.as_user(name, "edit-notification", "--package", "*", "--success-only", number)
    matches(w.as_user(name, "list-notifications", "--mine"), rf"\s*{number} {tag}\s+\*\s+{name}@\S+\s+yes\s*")
    has(w.as_user(other, "edit-notification", "--no-success-only", number, code=1).err, "user")
    w.as_user(other, "remove-notification", number, code=1)
    eq(w.hub.call("getBuildNotification", int(number))["success_only"], True, "the notification")
    eq(w.as_user(name, "remove-notification", number).out, f"Notification {number} successfully removed.\n", "the output")
    has(w.as_user(name, "remove-notification", number, code=1).err, f"{number}")
    has(w.as_user(name, "remove-notification", "x", code=2).err, "All notification ids has to be integers")

    w.as_user(name, "block-notification", "--tag", tag)
    w.koji("block-notification", "--user", name, "--package", pkg)
    w.as_user(name, "block-notification", "--all")
    blocks = w.as_user(name, "list-notifications", "--mine")
    has(blocks, "Notification blocks")
    first = matches(blocks, rf"\s*(\d+) {tag}\s+\*\s*").group(1)
    second = matches(blocks, rf"\s*(\d+) \*\s+{pkg}\s*").group(1)
    third = matches(blocks, r"\s*(\d+) \*\s+\*\s*").group(1)
    has(w.as_user(name, "block-notification", "--tag", tag, code=2).err, "Notification already exists.")
    has(w.as_user(name, "block-notification", "--user", other, "--tag", tag, code=2).err, "--user requires admin permission")
    w.as_user(other, "unblock-notification", first, code=1)
    eq(w.as_user(name, "unblock-notification", first, second, third).out.count("successfully removed"), 3, "the output")
    eq(w.as_user(name, "list-notifications", "--mine").out, "No notifications\n\nNo notification blocks\n", "the output")
