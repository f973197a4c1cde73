"""Images: made by the real KIWI in roots of the distribution's packages, imported, taken apart."""

from harness import kiwi, universe
from harness.builders import TojiBuilder, add_host
from harness.command import run
from harness.rpms import binary_rpm
from harness.server import Server
from harness.story import eq, has, lacks, story, that
from stories.chroots import log_of, task_of
from stories.sources import GitHost

DESCRIPTION = """<?xml version="1.0" encoding="utf-8"?>
<image schemaversion="8.0" name="tiny">
  <description type="system">
    <author>A Site</author>
    <contact>site@example.com</contact>
    <specification>A tiny root</specification>
  </description>
  <preferences>
    <version>1.0.0</version>
    <packagemanager>dnf4</packagemanager>
    <rpm-check-signatures>false</rpm-check-signatures>
    <type image="tbz"/>
  </preferences>
  <repository type="rpm-md">
    <source path="http://nowhere.example.com/"/>
  </repository>
  <include from="this://packages.xml"/>
</image>
"""
PACKAGES = """<image schemaversion="8.0" name="packages">
  <packages type="bootstrap">
    <package name="base-files"/>
    <package name="bash"/>
    <package name="coreutils"/>
    <package name="dash"/>
    <package name="greeting"/>
  </packages>
</image>
"""
# Runs in the image, as root there.
SCRIPT = """#!/bin/bash
set -e
head -c 4 /dev/urandom | wc -c > /etc/random
echo lost > /dev/null
id -u > /etc/who
for what in "mount -t tmpfs none /mnt" "mount --bind -o remount,rw /usr" "mount -t proc none /mnt" "unshare --mount true" "mknod /etc/disk b 8 0"; do
  $what 2>> /etc/refused && echo "$what" >> /etc/done
done
exit 0
"""
OWN = PACKAGES.split("\n", 1)[1].replace('    <package name="greeting"/>\n', "").replace("</image>\n", "")
INCLUDE = '  <include from="this://packages.xml"/>\n'
PROFILES = '  <profiles><profile name="small" description="A small one"/></profiles>\n'
PLAIN = DESCRIPTION.replace('name="tiny"', 'name="plain"').replace(INCLUDE, PROFILES + OWN)
FILES = {
    "images/tiny.kiwi": DESCRIPTION, "images/packages.xml": PACKAGES, "images/config.sh": SCRIPT, "images/plain.kiwi": PLAIN, "images/packages.txt": "packages",
    "images/empty.kiwi": "<picture/>", "images/bare.kiwi": '<image name="bare"/>', "images/unlisted.kiwi": DESCRIPTION.replace('name="tiny"', 'name="unlisted"'),
    "images/outside.kiwi": DESCRIPTION.replace('name="tiny"', 'name="outside"').replace("this://packages.xml", "file:///etc/passwd"),
    "images/Makefile": "prep:\n\tmkdir -p root/etc\n\techo made before > root/etc/prepared\n"}


class Place:
    """A hub, a builder for images, and a target with KIWI in its group."""

    def __init__(self, own, url, kind="chroot", **conf):
        self.server = Server(own.toji, own.dir / "data", extra=["--no-builder"]).start()
        self.w = w = own.world(self.server)
        add_host(w, "maker", "x86_64 i386", channels=["image"])
        self.builder = TojiBuilder(w, "maker", own.toji, own={"buildroot": kind}, allowed_scms="127.0.0.1:*:no", **conf)
        self.builder.says("live connection")
        self.host = GitHost(own.dir / "git")
        self.target = target = w.target("imaged", ["kiwi", "greeting", "tiny", "outside"])
        self.tag = f"{target}-build"
        w.koji("edit-tag", self.tag, "--arches", "x86_64 i386")
        w.koji("add-external-repo", "--tag", self.tag, "--mode", "bare", f"images-{target}", url)
        w.koji("import", *kiwi.packages(own.dir))
        w.koji("import", *binary_rpm(w.dir, "greeting"))
        w.koji("tag-build", "--wait", target, f"kiwi-{kiwi.VERSION}-1", "greeting-1.0-1")
        w.koji("add-group", self.tag, "kiwi-build")
        w.koji("add-group-pkg", self.tag, "kiwi-build", *kiwi.GROUP)
        w.koji("request-repo", "--wait", "--timeout", "5", "--current", self.tag)

    def make(self, url, path, *options, code=0):
        """Has an image made by the stock client's command; returns what it said."""
        return self.w.koji("kiwi-build", "--wait", *options, self.target, url, path, code=code, timeout=600)

    def end(self):
        """Stops everything."""
        self.host.close()
        self.builder.end()
        self.server.stop()


@story(own=True, slow=True)
def kiwi_makes_them(own):
    """The stock client's kiwi-build, KIWI from PyPI, a root of packages alone: the image, its packages and its description are the build's."""
    with universe.served(own.toji, "images") as url:
        place = Place(own, url)
        try:
            description = place.host.add("pictures", None, FILES)
            imported(place, description)
        finally:
            place.end()


@story(own=True, slow=True, hand=True)
def options(own):
    """All options of kiwi-build, an arch that may fail, and what is refused."""
    with universe.served(own.toji, "images") as url:
        place = Place(own, url)
        try:
            description = place.host.add("pictures", None, FILES)
            scratch(place, description, url)
            refused(place, description)
        finally:
            place.end()


def imported(place, description):
    """A build with everything that is recorded of it; what is in the image."""
    w = place.w
    said = place.make(description, "images/tiny.kiwi", "--arch", "x86_64", "--make-prep")
    task = w.task_of(said)
    has(w.hub.call("getTaskResult", task), "image build results in: ", "/packages/tiny/1.0.0/1/images")
    child = task_of(w, task, "createKiwiImage")["id"]
    (root,) = w.hub.call("listBuildroots", taskID=child)
    eq((root["state"], root["arch"]), (3, "x86_64"), "the buildroot's state and arch")
    has(log_of(w, child, "root.log"), "kind chroot", " kiwi-")
    has(log_of(w, child, "image-root.x86_64.log"), "mount -n --bind /dev", "kiwi-ng exited with status 0")
    build = w.hub.call("getBuild", "tiny-1.0.0-1")
    eq(build["state"], 1, "the build's state")
    has(w.koji("list-tagged", "--latest", place.target, "tiny"), "tiny-1.0.0-1")
    archives = {archive["filename"]: archive for archive in w.hub.call("listArchives", buildID=build["id"], type="image")}
    name = "tiny.x86_64-1.0.0-1"
    eq(set(archives), {f"{name}.{end}" for end in ("tar.xz", "tar.xz.sha256", "packages", "verified", "changes.xz")}, "the files")
    image = archives[f"{name}.tar.xz"]
    eq((image["arch"], image["type_name"]), ("x86_64", "tar"), "the image's arch and type")
    logs = {log["name"] for log in w.hub.call("getBuildLogs", build["id"])}
    that({"image-root.x86_64.log", "kiwi-result-bundle.x86_64.log", "root.log"} <= logs, f"the logs are {sorted(logs)}")
    has(log_of(w, child, "tiny.x86_64.kiwi"), "<release-version>1.0.0</release-version>", f"/repos/{place.tag}/")
    parts = {f"{rpm['name']}-{rpm['version']}-{rpm['release']}.{rpm['arch']}": rpm for rpm in w.hub.call("listRPMs", imageID=image["id"])}
    (own,) = [rpm for rpm in parts.values() if rpm["name"] == "greeting"]
    eq(own["external_repo_name"], "INTERNAL", "where the tag's own package is from")
    eq({rpm["external_repo_name"] for rpm in parts.values() if rpm is not own}, {f"images-{place.target}"}, "where the others are from")
    inside(w, w.topdir("packages", "tiny", "1.0.0", "1", "images", image["filename"]), set(parts))


def inside(w, archive, parts):
    """The packages of the image are those that are recorded; it works, and what it did on its way was held."""
    tree = w.dir / "unpacked"
    tree.mkdir()
    run("tar", "-C", tree, "-xf", archive)
    listed = run("rpm", "--dbpath", tree / "var/lib/rpm", "-qa", "--qf", "%{name}-%{version}-%{release}.%{arch}\\n").out.split()
    eq(set(listed), parts, "the packages in the image")
    read = {name: (tree / "etc" / name).read_text() for name in ("prepared", "random", "who", "refused")}
    eq((read["prepared"], read["random"], read["who"]), ("made before\n", "4\n", "0\n"), "what was made in the image")
    that(not (tree / "etc/done").exists(), "something was done that must be refused")
    has(read["refused"], "mount", "mknod")
    said = run("bwrap", "--ro-bind", tree, "/", "--proc", "/proc", "--dev", "/dev", "--unshare-all", "/bin/bash", "-c", "cat /usr/share/greeting/hello; test -x /bin/cat && echo whole")
    has(said, "greeting 1.0\nwhole\n")


def scratch(place, description, url):
    """A scratch build with all options; an arch that may fail does."""
    w = place.w
    said = place.make(
        description, "images/plain.kiwi", "--scratch", "--arch", "x86_64", "--arch", "i386", "--can-fail", "i386", "--repo", url, "--repo-releasever", "12", "--version", "7.1.0",
        "--release", "3", "--kiwi-profile", "small", "--type", "tbz", "--type-attr", "publisher=Nobody", "--result-bundle-name-format", "%N-%A-%I")
    task = w.task_of(said)
    has(w.hub.call("getTaskResult", task), "Scratch image build results in: ")
    children = {child["label"]: child for child in w.hub.call("getTaskDescendents", task)[str(task)]}
    eq((children["x86_64"]["state"], children["i386"]["state"]), (2, 5), "the states of the arches")
    result = w.hub.call("getTaskResult", children["x86_64"]["id"])
    eq((result["name"], result["version"], result["release"], result["rpmlist"]), ("plain-small", "7.1.0", "3", []), "the result")
    that("plain-small-x86_64-3.tar.xz" in result["files"], f"the files are {result['files']}")
    text = log_of(w, children["x86_64"]["id"], "plain.x86_64.kiwi")
    has(text, "<version>7.1.0</version>", "<release-version>12</release-version>", f'<source path="{url}"/>', 'name="plain-small"')
    # The command leaves the tag's repository to the hub, whose default, as in Koji, is to take it.
    has(text, f"/repos/{place.tag}/")
    lacks(text, "nowhere.example.com")
    has(log_of(w, children["x86_64"]["id"], "image-root.x86_64.log"), "--set-type-attr publisher=Nobody", "--profile small --type tbz")
    that(any(w.topdir("scratch").rglob("plain-small-x86_64-3.tar.xz")), "the image is not among the scratch builds")


def refused(place, description):
    """What cannot be made says why, and leaves a failed build or none."""
    w = place.w
    for path, text in (("images/packages.txt", "FAILED: GenericError: Kiwi description packages.txt can't be parsed as XML."),
                       ("images/empty.kiwi", "FAILED: GenericError: Kiwi description empty.kiwi doesn't contain <image> tag."),
                       ("images/bare.kiwi", "FAILED: BuildError: Description file doesn't contain preferences/version"),
                       ("images/unlisted.kiwi", f"FAILED: BuildError: package (image) unlisted not in list for tag {place.target}"),
                       ("images/missing.kiwi", "FAILED: GenericError: read images/missing.kiwi"),
                       ("../../secret", "FAILED: GenericError: read ../../secret")):
        has(place.make(description, path, "--arch", "x86_64", code=1), text)
    has(place.make(description, "images/tiny.kiwi", "--arch", "s390x", code=1), "FAILED: BuildError: Invalid arch for build tag: s390x")
    has(place.make("git+http://other.example.com/x#1", "x.kiwi", code=1), "other.example.com:/x is not in the list of allowed SCMs")
    said = place.make(description, "images/outside.kiwi", "--arch", "x86_64", "--release", "9", code=1)
    has(said, "Unhandled include protocol in include path: file:///etc/passwd.")
    eq(w.hub.call("getBuild", "outside-1.0.0-9")["state"], 3, "the state of the build")
