"""What tags inherit, locks, copies and ends of tags and targets, with the stock client."""

from harness.story import eq, has, lacks, matches, story


@story()
def links(w):
    """A parent is added, its link changed, and removed."""
    tag, one, two = w.name("heir"), w.name("parenta"), w.name("parentb")
    for name in (tag, one, two):
        w.koji("add-tag", name)
    eq(w.koji("add-tag-inheritance", tag, one).out, "", "the output")
    w.koji("add-tag-inheritance", tag, two, "--priority", "5", "--maxdepth", "3", "--intransitive", "--pkg-filter", "^a")
    link = {d["parent_id"]: d for d in w.hub.call("getInheritanceData", tag)}[w.hub.call("getTagID", two)]
    eq({k: link[k] for k in ("priority", "maxdepth", "intransitive", "noconfig", "pkg_filter", "name")},
       {"priority": 5, "maxdepth": 3, "intransitive": True, "noconfig": False, "pkg_filter": "^a", "name": two}, "the link")
    info = w.anonymous("taginfo", tag)
    has(info, f"  0    .... {one} [", f"  5    MFI. {two} [", "    maxdepth: 3", "    package filter: ^a")
    has(w.anonymous("list-tag-inheritance", tag), f"├─{one} (", f"└─{two} (")
    eq(w.anonymous("list-tag-inheritance", "--reverse", two).out.split()[0:1], [w.hub.call("getTag", two)["name"]], "the first line")
    has(w.koji("add-tag-inheritance", tag, one, code=1).err, "Please use --force if this is what you really want to do.")
    has(w.koji("add-tag-inheritance", tag, "no-such-tag", code=2).err, "No such tag: no-such-tag")
    other = w.name("parentc")
    w.koji("add-tag", other)
    has(w.koji("add-tag-inheritance", tag, other, "--priority", "5", code=1).err,
        f"There is already an active inheritance with that priority on {tag}")

    w.koji("edit-tag-inheritance", tag, two, "--priority", "9", "--maxdepth", "none", "--noconfig")
    has(w.anonymous("taginfo", tag), f"  9    .FIN {two} [")
    has(w.koji("edit-tag-inheritance", tag, one, "--priority", "9", code=1).err, "already an active inheritance with that priority")
    has(w.koji("edit-tag-inheritance", tag, other, code=1).err, "No inheritance link found")
    eq(w.koji("remove-tag-inheritance", tag, two).out, "", "the output")
    eq([d["name"] for d in w.hub.call("getInheritanceData", tag)], [one], "the parents")
    has(w.koji("remove-tag-inheritance", tag, two, code=1).err, "No inheritance link found to remove")
    w.koji("remove-tag-inheritance", tag)
    eq(w.hub.call("getInheritanceData", tag), [], "the parents")
    history = w.anonymous("list-history", "--tag", tag)
    has(history, f"inheritance line {tag}->{one} added by", f"inheritance line {tag}->{two} updated by", f"inheritance line {tag}->{two} removed by")


@story()
def locks(w):
    """A locked tag takes nothing, one with a permission only from those who have it."""
    tag, pkg, admin = w.name("locked"), w.name("pkg"), w.ready["admin_user"]
    name = w.user()
    w.koji("grant-permission", "tag", name)
    w.koji("add-tag", tag)
    eq(w.koji("lock-tag", "--master", "--test", tag).out, f"Would have set master lock for: {tag}\n", "the output")
    eq(w.koji("lock-tag", "--master", tag).out, "", "the output")
    has(w.anonymous("taginfo", tag), "LOCKED")
    eq(w.koji("lock-tag", "--master", tag).out, f"Tag {tag}: master lock already set\n", "the output")
    eq(w.koji("unlock-tag", "--test", tag).out, f"Tag {tag}: skipping changes: {{'locked': False}}\n", "the output")
    w.koji("unlock-tag", tag)
    lacks(w.anonymous("taginfo", tag), "LOCKED")
    eq(w.koji("unlock-tag", tag).out, f"Tag {tag}: not locked\n", "the output")
    w.koji("lock-tag", "--perm", "sign", tag)
    has(w.anonymous("taginfo", tag), "Required permission: 'sign'")
    eq(w.koji("lock-tag", "--perm", "sign", "--glob", f"{tag[:-1]}[{tag[-1]}]").out, f"Tag {tag}: sign permission already required\n", "the output")
    w.koji("add-pkg", "--owner", admin, tag, pkg)
    w.koji("unlock-tag", "--glob", f"{tag}*")
    eq(w.hub.call("getTag", tag)["perm"], None, "the permission")
    has(w.koji("lock-tag", "no-such-tag", code=1).err, "No such tagInfo: 'no-such-tag'")
    has(w.koji("unlock-tag", "no-such-tag", code=2).err, "No such tag: no-such-tag")
    eq(w.koji("lock-tag", "--glob", "no-such-*").out, "No tags matched\n", "the output")


@story()
def targets(w):
    """A target is changed, renamed and removed; a tag goes away with its name for a new one."""
    name, other, tag = w.target("edited"), w.name("renamed"), w.name("dest")
    w.koji("add-tag", tag)
    eq(w.koji("edit-target", name, "--rename", other, "--dest-tag", tag).out, "", "the output")
    info = w.hub.call("getBuildTarget", other)
    eq((info["build_tag_name"], info["dest_tag_name"]), (f"{name}-build", tag), "the target")
    eq(w.hub.call("getBuildTarget", name), None, "the old name")
    has(w.koji("edit-target", name, "--dest-tag", tag, code=1).err, f"No such build target: {name}")
    has(w.koji("edit-target", other, "--dest-tag", "no-such-tag", code=1).err, "No such destination tag: no-such-tag")
    has(w.koji("edit-target", other, "--build-tag", tag, code=1).err, f"Build tag has no arches: {tag}")
    eq(w.koji("remove-target", other).out, "", "the output")
    eq(w.hub.call("getBuildTarget", other), None, "the target")
    has(w.koji("remove-target", other, code=1).err, f"No such build target: {other}")
    has(w.anonymous("list-history", "--target", other), f"new build target: {other} by", f"build target deleted: {other} by")

    old = w.hub.call("getTag", tag)["id"]
    eq(w.koji("remove-tag", tag).out, "", "the output")
    has(w.anonymous("taginfo", tag, code=1).err, f"No such tagInfo: '{tag}'")
    has(w.koji("remove-tag", tag, code=1).err, f"No such tag: {tag}")
    has(w.anonymous("list-history", "--tag", tag), f"tag deleted: {tag} by")
