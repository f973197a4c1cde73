"""Side tags, copies of tags, drafts and volumes, with the stock client."""

import os

from harness.story import eq, has, lacks, matches, story, that
from stories.imports import built_here


@story()
def add_sidetag(w):
    """A side tag is made of a tag, listed, changed and removed."""
    base = w.name("sidebase")
    w.koji("add-tag", base, "--arches", "x86_64", "-x", "sidetag_debuginfo_allowed=1", "-x", "sidetag_rpm_macros_allowed=dist")
    name = w.koji("add-sidetag", base).out.strip()
    info = w.hub.call("getTag", name)
    eq(name, f"{base}-side-{info['id']}", "the name")
    eq(w.hub.call("getBuildTarget", name)["build_tag"], info["id"], "the target")
    has(w.anonymous("list-sidetags", "--basetag", base), name)
    has(w.koji("list-sidetags", "--mine"), name)
    w.koji("edit-sidetag", name, "--debuginfo", "--rpm-macro", "dist=.side")
    extra = w.hub.call("getTag", name)["extra"]
    eq((extra["with_debuginfo"], extra["rpm.macro.dist"]), (True, ".side"), "the options")
    has(w.koji("edit-sidetag", name, "--rpm-macro", "other=1", code=1).err, "RPM macro other editing is not allowed via parent tag")
    w.koji("edit-sidetag", name, "--remove-rpm-macro", "dist")
    w.koji("remove-sidetag", name)
    eq(w.hub.call("getTag", name), None, "the removed side tag")
    lacks(w.anonymous("list-sidetags", "--basetag", base), name)
    has(w.koji("remove-sidetag", base, code=1).err, f"Not a sidetag: {base}")


def furnished(w, name):
    """A tag with packages, a build and a group."""
    source, binary = built_here(w, w.name(name + "pkg"))
    w.koji("import", source, binary)
    nvr = binary.name.removesuffix(".noarch.rpm")
    pkg = nvr.rsplit("-", 2)[0]
    tag = w.name(name)
    w.koji("add-tag", tag, "--arches", "x86_64", "-x", "a=1")
    w.koji("add-pkg", "--owner", w.ready["admin_user"], tag, pkg)
    w.koji("tag-build", "--wait", tag, nvr)
    w.koji("add-group", tag, "build")
    w.koji("add-group-pkg", tag, "build", "bash")
    return tag, pkg, nvr


@story()
def clone_tag(w):
    """A tag is cloned, changed, and its copy brought up to date."""
    tag, pkg, nvr = furnished(w, "cloned")
    copy = w.name("copy")
    w.koji("clone-tag", "--all", tag, copy)
    eq(w.hub.call("getTag", copy)["extra"], {"a": 1}, "the options")
    matches(w.anonymous("list-tagged", copy), rf"{nvr}\s+{copy}\s+{w.ready['admin_user']}")
    has(w.anonymous("list-groups", copy), "bash: None, mandatory")
    has(w.anonymous("list-pkgs", "--tag", copy), pkg)
    w.koji("untag-build", tag, nvr)
    w.koji("clone-tag", "--all", tag, copy)
    lacks(w.anonymous("list-tagged", copy, code=None), nvr)
    event = w.hub.call("getLastEvent")["id"]
    w.koji("tag-build", "--wait", tag, nvr)
    old = w.name("old")
    w.koji("clone-tag", "--all", "--event", str(event), tag, old)
    lacks(w.anonymous("list-tagged", old, code=None), nvr)


@story()
def set_build_volume(w):
    """A build moves to another volume and back; its files stay where everybody looks for them."""
    source, binary = built_here(w, w.name("moved"))
    w.koji("import", source, binary)
    nvr = binary.name.removesuffix(".noarch.rpm")
    pkg, volume = nvr.rsplit("-", 2)[0], w.name("vol")
    has(w.koji("add-volume", volume, code=1).err, "please create the volume directory first")
    w.topdir("vol", volume).mkdir(parents=True)
    has(w.koji("add-volume", volume), f"Added volume {volume}")
    has(w.anonymous("list-volumes"), "DEFAULT", volume)
    w.koji("set-build-volume", volume, nvr)
    has(w.anonymous("buildinfo", nvr), f"Volume: {volume}", f"vol/{volume}/packages/{pkg}/1.0/1/noarch/{binary.name}")
    base = w.topdir("packages", pkg, "1.0", "1")
    eq(os.readlink(base), f"../../../vol/{volume}/packages/{pkg}/1.0/1", "the link")
    eq((base / "noarch" / binary.name).read_bytes(), binary.read_bytes(), "the package")
    there = w.koji("set-build-volume", "--verbose", volume, nvr, code=None)
    has(there.out + there.err, "already on volume")
    w.koji("set-build-volume", "DEFAULT", nvr)
    that(not base.is_symlink() and not w.topdir("vol", volume, "packages", pkg, "1.0", "1").exists(), "the build is not back")


@story(slow=True)
def promote_build(w):
    """A draft is built beside the regular builds and promoted; its old path leads to the new one."""
    pkg = w.name("draft")
    target = w.target("d", [pkg])
    said = w.build(target, w.srpm(pkg), "--draft")
    has(said, "completed successfully")
    draft = w.hub.call("listBuilds", packageID=w.hub.call("getPackageID", pkg))[0]
    eq((draft["draft"], draft["release"]), (True, f"1,draft_{draft['build_id']}"), "the draft")
    has(w.anonymous("list-builds", "--package", pkg, "--draft-only"), draft["nvr"])
    has(w.koji("promote-build", draft["nvr"]), f"{draft['nvr']} has been promoted to {pkg}-1.0-1")
    info = w.anonymous("buildinfo", f"{pkg}-1.0-1")
    has(info, "State: COMPLETE", f"Promoted by: {w.ready['admin_user']}")
    eq(os.readlink(w.topdir("packages", pkg, "1.0", draft["release"])), "1", "the old path")
    that(w.topdir("packages", pkg, "1.0", "1", "noarch", f"{pkg}-1.0-1.noarch.rpm").is_file(), "no package at the new path")
    has(w.koji("promote-build", f"{pkg}-1.0-1", code=1).err, "Not a draft build")


@story()
def move_all_builds(w):
    """All builds of a package change tags one after the other."""
    tag, pkg, nvr = furnished(w, "from")
    other = w.name("to")
    w.koji("add-tag", other)
    w.koji("add-pkg", "--owner", w.ready["admin_user"], other, pkg)
    has(w.koji("move-build", "--wait", "--all", tag, other, pkg), "completed successfully")
    matches(w.anonymous("list-tagged", other), rf"{nvr}\s+{other}\s+{w.ready['admin_user']}")
    lacks(w.anonymous("list-tagged", tag, code=None), nvr)
