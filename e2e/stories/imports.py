"""Packages that were built elsewhere, imported with the stock client."""

from harness.command import run
from harness.story import eq, has, matches, story, that


def built_here(w, name, **words):
    """Builds a package with rpmbuild outside Toji; returns the paths of the source and the binary package."""
    source = w.srpm(name, **words)
    top = w.dir / f"outside-{name}"
    run("rpmbuild", "--rebuild", "--define", f"_topdir {top}", source)
    return source, next((top / "RPMS").rglob("*.rpm"))


@story()
def import_both(w):
    """A source and a binary package become a complete build with its files in place."""
    pkg = w.name("imported")
    source, binary = built_here(w, pkg)
    said = w.koji("import", source, binary)
    has(said, f"uploading {source}... done", f"importing {source}... done", f"importing {binary}... done")
    nvr = f"{pkg}-1.0-1"
    info = w.anonymous("buildinfo", nvr)
    has(info, "State: COMPLETE", f"packages/{pkg}/1.0/1/noarch/{nvr}.noarch.rpm", f"packages/{pkg}/1.0/1/src/{nvr}.src.rpm", "Task: none")
    eq(w.topdir("packages", pkg, "1.0", "1", "noarch", binary.name).read_bytes(), binary.read_bytes(), "the stored package")
    has(w.koji("import", source), "RPM already imported: ", "Skipping import")
    eq(w.anonymous("list-untagged", pkg).out, f"{nvr}\n", "the untagged builds")
    has(w.anonymous("list-untagged", "--paths", pkg), f"/packages/{pkg}/1.0/1\n")
    has(w.anonymous("list-untagged", "--show-references", pkg), f"(Showing build references)\n{nvr} ")
    has(w.anonymous("list-untagged", "no-such-package", code=1).err, "No such package: no-such-package")
    tag = w.name("imports")
    w.koji("add-tag", tag)
    w.koji("add-pkg", "--owner", w.ready["admin_user"], tag, pkg)
    w.koji("tag-build", "--wait", tag, nvr)
    matches(w.anonymous("list-tagged", tag), rf"{nvr}\s+{tag}\s+{w.ready['admin_user']}")
    eq(w.anonymous("list-untagged", pkg).out, "", "the untagged builds")


@story()
def import_without_source(w):
    """A binary package alone needs a build; --create-build makes it."""
    pkg = w.name("alone")
    _, binary = built_here(w, pkg)
    has(w.koji("import", binary), f"Missing build or srpm: {pkg}-1.0-1", "Aborting import")
    eq(w.hub.call("getBuild", f"{pkg}-1.0-1"), None, "the build")
    has(w.koji("import", "--create-build", binary), f"Creating empty build: {pkg}-1.0-1", "done")
    eq([r["nvr"] for r in w.hub.call("listRPMs", w.hub.call("getBuild", f"{pkg}-1.0-1")["id"])], [f"{pkg}-1.0-1"], "the packages")


@story()
def import_another_of_the_name(w):
    """Another package of a name that is taken is refused, and the first stays as it is."""
    pkg = w.name("taken")
    source, binary = built_here(w, pkg)
    w.koji("import", source, binary)
    kept = w.topdir("packages", pkg, "1.0", "1", "noarch", binary.name)
    first = kept.read_bytes()
    other = w.dir / "other"
    other.mkdir()
    run("rpmbuild", "--rebuild", "--define", f"_topdir {other}", "--define", "_buildhost elsewhere.example.com", source)
    second = next((other / "RPMS").rglob("*.rpm"))
    that(second.read_bytes() != first, "the second package is the same")
    said = w.koji("import", second)
    has(said.err, "digest mismatch for", "A different rpm with the same name has already been imported")
    # The client checks; the hub must refuse too when a client does not.
    from harness.hub import Fault
    w.hub.upload(second, f"cli-import/{pkg}")
    try:
        w.hub.call("importRPM", f"cli-import/{pkg}", second.name)
        that(False, "the hub imported a second package of the name")
    except Fault as fault:
        has(fault.faultString, "already")
    eq(kept.read_bytes(), first, "the stored package")
