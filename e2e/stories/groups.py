"""Package groups and package lists in full, with the stock client."""

from harness.story import eq, has, lacks, matches, story

COMPS = """<?xml version="1.0" encoding="UTF-8"?>
<comps>
  <group>
    <id>tools</id><name>Tools</name><description>What one needs</description>
    <default>true</default><uservisible>true</uservisible>
    <packagelist>
      <packagereq type="mandatory">make</packagereq>
      <packagereq type="default">patch</packagereq>
      <packagereq type="optional">gdb</packagereq>
    </packagelist>
  </group>
  <group>
    <id>docs</id><name>Docs</name><description>To read</description>
    <default>false</default><uservisible>false</uservisible>
    <packagelist><packagereq type="mandatory">man-pages</packagereq></packagelist>
  </group>
</comps>
"""


def groups_of(w, tag):
    """Names of the tag's groups with their packages and required groups."""
    return {g["name"]: (sorted(p["package"] for p in g["packagelist"]), sorted(r["name"] for r in g["grouplist"]))
            for g in w.hub.call("getTagGroups", tag)}


@story()
def group_blocks(w):
    """A group is blocked, unblocked and removed; so are its packages and the groups that it requires."""
    tag, child = w.name("groups"), w.name("groups-child")
    w.koji("add-tag", tag, "--arches", "x86_64")
    w.koji("add-tag", child, "--parent", tag)
    for group in ("build", "more"):
        w.koji("add-group", tag, group)
    w.koji("add-group-pkg", tag, "build", "bash", "make", "gcc")
    eq(w.koji("add-group-req", tag, "build", "more").out, "", "the output")
    has(w.koji("add-group-req", tag, "build", "no-such-group", code=1).err, "no-such-group")
    has(w.koji("add-group-req", tag, "no-such-group", "more", code=1).err, "no-such-group")
    has(w.anonymous("show-groups", "--comps", tag), '<groupreq type="mandatory">more</groupreq>')
    has(w.anonymous("list-groups", tag), f"@more  [{tag}]")

    w.koji("block-group-req", child, "build", "more")
    eq(groups_of(w, child)["build"][1], [], "the groups that are required")
    w.koji("unblock-group-req", child, "build", "more")
    eq(groups_of(w, child)["build"][1], ["more"], "the groups that are required")
    has(w.koji("unblock-group-req", child, "build", "more", code=1).err, "NOT blocked")

    w.koji("block-group-pkg", child, "build", "bash")
    eq(groups_of(w, child)["build"][0], ["gcc", "make"], "the packages")
    w.koji("unblock-group-pkg", child, "build", "bash")
    eq(groups_of(w, child)["build"][0], ["bash", "gcc", "make"], "the packages")
    has(w.koji("unblock-group-pkg", child, "build", "bash", code=1).err, "NOT blocked")

    w.koji("add-group", child, "more")
    w.koji("block-group", child, "more")
    lacks(w.anonymous("list-groups", child), "more  [")
    has(w.anonymous("list-groups", child, "--show-blocked"), f"more  [{child}]")
    has(w.koji("block-group", child, "no-such-group", code=1).err, f"Group no-such-group doesn't exist within tag {child}")
    has(w.koji("block-group", "no-such-tag", "more", code=1).err, "No such tag: no-such-tag")
    # What is unblocked is what the parents say.
    w.koji("unblock-group", child, "more")
    has(w.anonymous("list-groups", child), f"more  [{tag}]")
    has(w.koji("unblock-group", child, "more", code=1).err, "more")

    w.koji("remove-group-pkg", tag, "build", "make", "gcc")
    eq(groups_of(w, tag)["build"][0], ["bash"], "the packages")
    has(w.koji("remove-group-pkg", tag, "build", "make", code=1), "Package make is not included in this group")
    has(w.koji("remove-group-pkg", child, "build", "bash", code=1), f"The entry for package bash is inherited from {tag}.")
    w.koji("remove-group-req", tag, "build", "more")
    eq(groups_of(w, tag)["build"][1], [], "the required groups")
    has(w.koji("remove-group-req", tag, "build", "more", code=1), "more")
    w.koji("remove-group", tag, "more")
    eq(sorted(groups_of(w, tag)), ["build"], "the groups")
    has(w.koji("remove-group", tag, "more", code=1).err, f"Group more doesn't exist within tag {tag}")
    has(w.koji("remove-group", "no-such-tag", "more", code=1).err, "No such tag: no-such-tag")
    has(w.anonymous("list-history", "--tag", tag), f"group more added to tag {tag} by", f"group more removed from tag {tag} by",
        f"package gcc removed from group build in tag {tag} by", f"group dependency build->more dropped from tag {tag} by")


@story()
def import_comps(w):
    """A comps file becomes groups; what is shown of them is a comps file with the same content."""
    tag = w.name("comps")
    w.koji("add-tag", tag, "--arches", "x86_64")
    file = w.dir / "comps.xml"
    file.write_text(COMPS)
    said = w.koji("import-comps", str(file), tag)
    has(said, "Group: tools (Tools)\n", "  Package: make: {'basearchonly': False, 'type': 'mandatory'}\n",
        "  Package: gdb: {'basearchonly': False, 'type': 'optional'}\n", "Group: docs (Docs)\n")
    eq(groups_of(w, tag), {"tools": (["gdb", "make", "patch"], []), "docs": (["man-pages"], [])}, "the groups")
    shown = w.anonymous("show-groups", "--comps", tag)
    has(shown, "<id>tools</id>", "<name>Tools</name>", "<description>What one needs</description>", "<default>true</default>",
        '<packagereq type="default">patch</packagereq>', '<packagereq type="optional">gdb</packagereq>')
    w.koji("import-comps", "--force", str(file), tag)
    has(w.koji("import-comps", str(file), "no-such-tag", code=1).err, "No such tag: no-such-tag")


@story()
def package_lists(w):
    """A package's owner and arches are set in one tag and everywhere; a block is lifted."""
    tag, other, pkg, admin = w.name("plist"), w.name("plist-other"), w.name("pkg"), w.ready["admin_user"]
    name = w.user("owner")
    for one in (tag, other):
        w.koji("add-tag", one)
        w.koji("add-pkg", "--owner", admin, one, pkg, f"{pkg}-b")

    eq(w.koji("set-pkg-owner", name, tag, pkg).out, "", "the output")
    matches(w.anonymous("list-pkgs", "--tag", tag), rf"{pkg}\s+{tag}\s+{name}\s*")
    matches(w.anonymous("list-pkgs", "--tag", other), rf"{pkg}\s+{other}\s+{admin}\s*")
    has(w.koji("set-pkg-owner", "nobody-here", tag, pkg, code=1).err, "nobody-here")
    has(w.koji("set-pkg-owner", name, "no-such-tag", pkg, code=1).err, "no-such-tag")

    has(w.koji("set-pkg-owner-global", name, "no-such-package", code=1).err, "No such entry in table package: no-such-package")
    said = w.koji("set-pkg-owner-global", "--verbose", name, pkg)
    has(said, f"Preserving owner={name} for package {pkg} in tag {tag}\n",
        f"Changing owner for {pkg} in tag {other}: {admin} -> {name}\n")
    eq(w.koji("set-pkg-owner-global", "--test", "--from", name, admin).out.count("Would have changed owner for"), 2, "the changes")
    w.koji("set-pkg-owner-global", "--from", name, admin)
    eq({p["owner_name"] for p in w.hub.call("listPackages", pkgID=pkg, with_dups=True)}, {admin}, "the owners")
    has(w.koji("set-pkg-owner-global", "nobody-here", pkg, code=1).err, "No such user: nobody-here")
    has(w.koji("set-pkg-owner-global", "--from", name, admin, code=1).err, f"No data for user {name}")

    eq(w.koji("set-pkg-arches", "x86_64,aarch64", tag, pkg).out, "", "the output")
    matches(w.anonymous("list-pkgs", "--tag", tag, "--package", pkg), rf"{pkg}\s+{tag}\s+x86_64 aarch64\s+{admin}\s*")
    has(w.koji("set-pkg-arches", "x86_64", "no-such-tag", pkg, code=1).err, "no-such-tag")

    w.koji("block-pkg", tag, pkg)
    lacks(w.anonymous("list-pkgs", "--tag", tag), f"{pkg} ")
    eq(w.koji("unblock-pkg", tag, pkg).out, "", "the output")
    matches(w.anonymous("list-pkgs", "--tag", tag), rf"{pkg}\s+{tag}\s.*{admin}\s*")
    has(w.koji("unblock-pkg", tag, pkg, code=1).err, f"package {pkg} NOT blocked in tag {tag}")
    has(w.koji("unblock-pkg", "no-such-tag", pkg, code=1).err, "no-such-tag")

    denied = w.as_user(name, "set-pkg-owner", name, tag, pkg, code=1)
    has(denied.err, "ActionNotAllowed")
    eq(w.hub.call("getPackageConfig", tag, pkg)["owner_name"], admin, "the owner")
