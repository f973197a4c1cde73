"""Tags, targets, package lists and groups, made and read with the stock client."""

from harness.story import eq, has, lacks, matches, story, that


@story()
def add_tag(w):
    """A tag with a parent, arches and options, and its place in the inheritance."""
    base, child = w.name("base"), w.name("child")
    eq(w.koji("add-tag", base).out, "", "the output")
    w.koji("add-tag", child, "--parent", base, "--arches", "x86_64,aarch64", "-x", "rpm.macro.dist=.e2e", "-x", "number=5")
    info = w.hub.call("getTag", child)
    eq((info["name"], info["arches"]), (child, "x86_64 aarch64"), "the tag")
    eq(w.hub.call("getBuildConfig", child)["extra"], {"rpm.macro.dist": ".e2e", "number": 5}, "the options")
    tree = w.anonymous("list-tag-inheritance", child)
    has(tree, f"{child} (", f"└─{base} (")
    has(w.anonymous("list-tags", f"{child}"), child)
    said = w.anonymous("taginfo", child)
    has(said, f"Tag: {child} [{info['id']}]", "Arches: x86_64 aarch64", "rpm.macro.dist : '.e2e'", f"0    .... {base} [")


@story()
def add_tag_twice(w):
    """A name is used once; a bad parent makes nothing."""
    tag = w.name("twice")
    w.koji("add-tag", tag)
    has(w.koji("add-tag", tag, code=1).err, f"A tag with the name '{tag}' already exists")
    orphan = w.name("orphan")
    that("nosuchparent" in w.koji("add-tag", orphan, "--parent", "nosuchparent", code=1).err, "the parent is not named")
    eq(w.hub.call("getTag", orphan), None, "the orphan")


@story()
def add_target(w):
    """A target joins a build tag and a destination."""
    name = w.target("target")
    matches(w.anonymous("list-targets", "--name", name), rf"{name}\s+{name}-build\s+{name}\s*")
    info = w.hub.call("getBuildTarget", name)
    eq((info["build_tag_name"], info["dest_tag_name"]), (f"{name}-build", name), "the target")
    has(w.koji("add-target", name, "nosuch", name, code=1).err, "No such tag: nosuch")
    has(w.koji("add-target", w.name("other"), name, name, code=1).err, f"Build tag has no arches: {name}")
    again = w.koji("add-target", name, f"{name}-build", name, code=1)
    has(again.err, f"A build target with the name '{name}' already exists")


@story()
def add_pkg(w):
    """A package is listed for a tag and inherited by its children."""
    base, child, pkg = w.name("base"), w.name("child"), w.name("pkg")
    w.koji("add-tag", base)
    w.koji("add-tag", child, "--parent", base)
    has(w.koji("add-pkg", "--owner", w.ready["admin_user"], base, pkg), f"Adding 1 packages to tag {base}")
    has(w.koji("add-pkg", "--owner", w.ready["admin_user"], base, pkg), f"Package {pkg} already exists in tag {base}")
    matches(w.anonymous("list-pkgs", "--tag", child), rf"{pkg}\s+{base}\s+{w.ready['admin_user']}\s*")
    lacks(w.anonymous("list-pkgs", "--tag", child, "--noinherit", code=None), pkg)
    has(w.koji("add-pkg", "--owner", "nobody-here", base, "x", code=1).err, "No such user: nobody-here")
    has(w.koji("add-pkg", "--owner", w.ready["admin_user"], "nosuch", "x", code=1).err, "No such tag: nosuch")
    w.koji("block-pkg", child, pkg)
    has(w.anonymous("list-pkgs", "--tag", child, "--show-blocked"), "[BLOCKED]")
    lacks(w.anonymous("list-pkgs", "--tag", child, code=None), pkg)


@story()
def add_group(w):
    """Groups and their packages are made, inherited and shown as comps."""
    base, child = w.name("base"), w.name("child")
    w.koji("add-tag", base, "--arches", "x86_64")
    w.koji("add-tag", child, "--parent", base)
    w.koji("add-group", base, "build")
    w.koji("add-group-pkg", base, "build", "bash", "make")
    w.koji("add-group-pkg", child, "build", "gcc")
    said = w.anonymous("list-groups", child)
    has(said, "build  [", f"bash: None, mandatory  [{base}]", f"gcc: None, mandatory  [{child}]")
    has(w.koji("add-group", base, "build", code=1).err, f"Group build already exists for tag {base}")
    comps = w.anonymous("show-groups", "--comps", child)
    has(comps, "<id>build</id>", '<packagereq type="mandatory">bash</packagereq>', '<packagereq type="mandatory">gcc</packagereq>')
    w.koji("block-group-pkg", child, "build", "bash")
    lacks(w.anonymous("show-groups", "--comps", child), ">bash<")


@story()
def list_history(w):
    """Who did what to a tag, in order, with what was taken back."""
    tag, pkg, admin = w.name("history"), w.name("pkg"), w.ready["admin_user"]
    w.koji("add-tag", tag, "--arches", "x86_64")
    w.koji("add-pkg", "--owner", admin, tag, pkg)
    w.koji("add-group", tag, "build")
    w.koji("edit-tag", tag, "--arches", "x86_64 aarch64")
    w.koji("remove-pkg", tag, pkg)
    said = w.anonymous("list-history", "--tag", tag)
    when = r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} "
    matches(said, when + rf"new tag: {tag} by {admin}")
    matches(said, when + rf"package list entry created: {pkg} in {tag} by {admin}")
    matches(said, when + rf"package list entry revoked: {pkg} in {tag} by {admin}")
    matches(said, when + rf"group build added to tag {tag} by {admin} \[still active\]")
    matches(said, when + rf"tag configuration for {tag} altered by {admin} \[still active\]")
    matches(w.anonymous("list-history", "--package", pkg), when + rf"package list entry created: {pkg} in {tag} by {admin}")
    matches(w.anonymous("list-history", "--tag", tag, "--events"), r"\(eid \d+\) .*|.*\(eid \d+\).*")


@story()
def search(w):
    """Patterns, exact names and regular expressions over each kind."""
    tag, pkg = w.name("searched"), w.name("found-me")
    w.koji("add-tag", tag)
    w.koji("add-pkg", "--owner", w.ready["admin_user"], tag, pkg)
    eq(w.anonymous("search", "package", f"{pkg[:-2]}*{pkg[-1]}").out.count(pkg), 1, "packages found by pattern")
    eq(w.anonymous("search", "--exact", "tag", tag).out, f"{tag}\n", "the tag")
    eq(w.anonymous("search", "--regex", "tag", f"^{tag}$").out, f"{tag}\n", "the tag by expression")
    eq(w.anonymous("search", "--exact", "package", "no-such-one").out, "", "nothing")
    eq(w.anonymous("search", "user", w.ready["admin_user"]).out, f"{w.ready['admin_user']}\n", "the user")
    has(w.anonymous("search", "nosuchkind", "x", code=2).err, "No such search type: nosuchkind")
