"""Maven, Windows and image builds, and builds of content generators, with the stock client."""

import hashlib
import json
import tarfile
import zipfile

from harness.story import eq, has, matches, story, that

POM = """<?xml version="1.0"?>
<project><modelVersion>4.0.0</modelVersion>
<groupId>org.example</groupId><artifactId>{name}</artifactId><version>1.0</version></project>
"""


def maven_files(w, name):
    """A project file and a jar of an artifact; returns their paths."""
    pom, jar = w.dir / f"{name}-1.0.pom", w.dir / f"{name}-1.0.jar"
    pom.write_text(POM.format(name=name))
    with zipfile.ZipFile(jar, "w") as made:
        made.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        made.writestr("org/example/Main.class", b"\xca\xfe\xba\xbe")
    return pom, jar


@story()
def import_maven(w):
    """A jar and its project file become a Maven build, and what is in the jar is listed."""
    name = w.name("foo")
    pom, jar = maven_files(w, name)
    nvr = f"org.example-{name}-1.0-1"
    has(w.koji("import-archive", "--noprogress", "--type", "maven", "--type-info", pom, nvr, pom, code=2).err,
        f"No such build: {nvr}")
    said = w.koji("import-archive", "--noprogress", "--create-build", "--type", "maven", "--type-info", pom, nvr, pom, jar)
    has(said, f"Uploading archive: {pom.name}", f"Imported: {jar.name}")
    has(w.anonymous("buildinfo", nvr), "State: COMPLETE", "Maven archives:",
        f"/packages/org.example-{name}/1.0/1/maven/org/example/{name}/1.0/{jar.name}")
    home = w.topdir("packages", f"org.example-{name}", "1.0", "1", "maven", "org", "example", name, "1.0")
    eq((home / jar.name).read_bytes(), jar.read_bytes(), "the stored jar")
    eq((home / f"{jar.name}.md5").read_text(), hashlib.md5(jar.read_bytes()).hexdigest(), "the checksum beside it")
    build = w.hub.call("getBuild", nvr)
    found = {a["filename"]: a for a in w.hub.call("listArchives", build["id"])}
    eq(sorted(found), [jar.name, pom.name], "the archives")
    eq(found[jar.name]["checksum"], hashlib.sha256(jar.read_bytes()).hexdigest(), "the checksum of the jar")
    listed = w.anonymous("call", "--json-output", "listArchiveFiles", str(found[jar.name]["id"]))
    eq([f["name"] for f in json.loads(listed.out)], ["META-INF/MANIFEST.MF", "org/example/Main.class"], "the jar's files")
    shown = w.anonymous("call", "--json-output", "getArchive", str(found[pom.name]["id"]))
    eq(json.loads(shown.out)["artifact_id"], name, "what the archive is")
    has(w.koji("import-archive", "--noprogress", "--type", "maven", "--type-info", pom, nvr, jar, code=1).err, "already exists")
    tag = w.name("maven")
    w.koji("add-tag", tag)
    w.koji("edit-tag", "--maven-support", tag)
    w.koji("add-pkg", "--owner", w.ready["admin_user"], tag, f"org.example-{name}")
    w.koji("tag-build", "--wait", tag, nvr)
    has(w.anonymous("list-tagged", "--type", "maven", tag), nvr, "org.example", name)
    has(w.anonymous("latest-build", "--type", "maven", tag, f"org.example-{name}"), nvr)
    latest = w.hub.call("getLatestMavenArchives", tag)
    eq(sorted(a["filename"] for a in latest), [jar.name, pom.name], "what the tag offers")


@story()
def import_win_and_image(w):
    """Files for Windows and images go to their places."""
    win, image = w.name("win"), w.name("image")
    dll, disk = w.dir / "a.dll", w.dir / "disk.raw.xz"
    dll.write_bytes(b"MZ")
    disk.write_bytes(b"\xfd7zXZ\0")
    w.koji("import-archive", "--noprogress", "--create-build", "--type", "win", "--type-info", "bin/x64:i386 x86_64:fre",
           f"{win}-1-1", dll)
    that(w.topdir("packages", win, "1", "1", "win", "bin", "x64", "a.dll").is_file(), "the file for Windows is not in its place")
    has(w.anonymous("buildinfo", f"{win}-1-1"), "Windows archives:", f"{win}/1/1/win/bin/x64/a.dll")
    w.koji("import-archive", "--noprogress", "--create-build", "--type", "image", "--type-info", "aarch64", f"{image}-1-1", disk)
    that(w.topdir("packages", image, "1", "1", "images", "disk.raw.xz").is_file(), "the image is not in its place")
    has(w.anonymous("buildinfo", f"{image}-1-1"), "Image archives:", f"{image}/1/1/images/disk.raw.xz")
    name = w.user("plain")
    has(w.as_user(name, "import-archive", "--type", "image", "--type-info", "x86_64", f"{image}-1-1", dll, code=2).err,
        "This action requires the image-import privilege")


def generator_build(w, name, cg, more=()):
    """Metadata and files of a build with a tarball and a log; returns the metadata and the path of its file."""
    files = w.dir / f"cg-{name}"
    files.mkdir()
    with tarfile.open(files / "out.tar.gz", "w:gz") as made:
        made.add(__file__, "story.py")
    (files / "build.log").write_text("a log\n")

    def output(path, kind, **words):
        content = (files / path).read_bytes()
        return {"buildroot_id": 1, "filename": path, "filesize": len(content), "arch": "noarch", "checksum_type": "sha256",
                "checksum": hashlib.sha256(content).hexdigest(), "type": kind, **words}

    metadata = {
        "metadata_version": 0,
        "build": {"name": name, "version": "1.0", "release": "1", "source": "git://localhost/x#1", "start_time": 1700000000,
                  "end_time": 1700000060, "extra": {"typeinfo": {"tarballs": {"of": "a story"}}}, **dict(more)},
        "buildroots": [{
            "id": 1, "content_generator": {"name": cg, "version": "1"}, "container": {"type": "none", "arch": "x86_64"},
            "host": {"os": "any", "arch": "x86_64"}, "tools": [], "components": [
                {"type": "rpm", "name": "nowhere", "version": "1", "release": "1", "arch": "noarch", "epoch": None,
                 "sigmd5": "0", "signature": None}]}],
        "output": [output("out.tar.gz", "file", extra={"typeinfo": {"tarballs": {}}}), output("build.log", "log")],
    }
    path = w.dir / f"{name}.json"
    path.write_text(json.dumps(metadata))
    return metadata, path, files


@story()
def generator(w):
    """A content generator reserves a build and imports it; others may not."""
    cg, name, user = w.name("cg"), w.name("made"), w.user("maker")
    if not any(t["name"] == "tarballs" for t in w.hub.call("listBTypes")):
        w.koji("call", "addBType", "tarballs")
    has(w.koji("grant-cg-access", user, cg, code=1).err, f"No such entry in table content_generator: {cg}")
    w.koji("grant-cg-access", "--new", user, cg)
    eq(w.hub.call("listCGs")[cg]["users"], [user], "the users of the content generator")
    metadata, path, files = generator_build(w, name, cg)
    has(w.koji("import-cg", "--noprogress", path, files, code=1).err, f"Content generator access required ({cg})")
    w.as_user(user, "import-cg", "--noprogress", path, files)
    info = w.anonymous("buildinfo", f"{name}-1.0-1")
    has(info, "State: COMPLETE", f"Built by: {user}", f"/packages/{name}/1.0/1/files/tarballs/out.tar.gz")
    build = w.hub.call("getBuild", f"{name}-1.0-1")
    eq((build["cg_name"], build["source"]), (cg, "git://localhost/x#1"), "where the build comes from")
    archive = w.hub.call("listArchives", build["id"])[0]
    eq(archive["checksum"], metadata["output"][0]["checksum"], "the checksum")
    eq([f["name"] for f in w.hub.call("listArchiveFiles", archive["id"])], ["story.py"], "the files in the tarball")
    eq(w.hub.call("getBuildroot", archive["buildroot_id"])["cg_name"], cg, "who made the buildroot")
    home = w.topdir("packages", name, "1.0", "1")
    eq(json.loads((home / "metadata.json").read_text())["build"]["name"], name, "the stored metadata")
    has((home / "data/logs/cg_import.log").read_text(), "IGNORING unmatched rpm component", "CG import was SUCCESSFUL.")
    has(w.as_user(user, "import-cg", "--noprogress", path, files, code=1).err, f"Build already exists: {name}-1.0-1")

    second = w.name("kept")
    said = w.as_user(user, "reserve-cg", cg, f"{second}-1.0-1")
    reserved = w.hub.call("getBuild", f"{second}-1.0-1")
    eq(reserved["state"], 0, "the state of the reserved build")
    token = matches(said, rf"Reserved build {reserved['id']} with token '([0-9a-f]{{64}})'").group(1)
    _, path, files = generator_build(w, second, cg)
    has(w.as_user(user, "import-cg", "--noprogress", "--build-id", str(reserved["id"]), "--token", "x", path, files, code=1).err,
        f"Token doesn't match build ID {reserved['id']}")
    w.as_user(user, "import-cg", "--noprogress", "--build-id", str(reserved["id"]), "--token", token, path, files)
    eq(w.hub.call("getBuild", reserved["id"])["state"], 1, "the state of the imported build")

    broken = w.name("broken")
    _, path, files = generator_build(w, broken, cg)
    (files / "build.log").write_text("other\n")
    has(w.as_user(user, "import-cg", "--noprogress", path, files, code=1).err, "File checksum mismatch for build.log")
    eq(w.hub.call("getBuild", f"{broken}-1.0-1"), None, "the refused build")
    w.koji("revoke-cg-access", user, cg)
    has(w.as_user(user, "import-cg", "--noprogress", path, files, code=1).err, f"Content generator access required ({cg})")


def submitted(w, method, *argv):
    """Runs a command that submits a task; returns the task's arguments, and cancels it."""
    said = w.koji(*argv)
    task = int(matches(said, r"Created task: *([0-9]+)").group(1))
    info = w.hub.call("getTaskInfo", task, True)
    w.koji("cancel", str(task))
    eq(info["method"], method, "the method")
    return info["request"]


@story()
def submissions(w):
    """Each command for a build that is no RPM build makes the task that builders know."""
    target = w.target("content")
    ks = w.dir / "image.ks"
    ks.write_text("# kickstart\n")
    eq(submitted(w, "maven", "maven-build", "--nowait", target, "git://localhost/x#1"),
       ["git://localhost/x#1", target, {}], "the Maven build")
    chain = w.dir / "chain.ini"
    chain.write_text("[org.example-a]\nscmurl=git://localhost/a#1\n\n[org.example-b]\nscmurl=git://localhost/b#1\n"
                     "buildrequires=org.example-a\n")
    request = submitted(w, "chainmaven", "maven-chain", "--nowait", target, chain)
    eq((sorted(request[0]), request[1]), (["org.example-a", "org.example-b"], target), "the chain")
    request = submitted(w, "winbuild", "win-build", "--nowait", target, "git://localhost/x#1", "w10")
    eq(request[:3], ["w10", "git://localhost/x#1", target], "the Windows build")
    request = submitted(w, "image", "image-build", "--nowait", "--noprogress", "--distro", "Fedora-40", "--kickstart", ks,
                        "disk", "40", target, "http://localhost/tree", "x86_64")
    eq(request[:5], ["disk", "40", ["x86_64"], target, "http://localhost/tree"], "the image build")
    for kind in ["livecd", "livemedia", "appliance"]:
        more = ["--install-tree-url", "http://localhost/tree"] if kind == "livemedia" else []
        request = submitted(w, kind, f"spin-{kind}", "--nowait", "--noprogress", *more, "spin", "1", target, "x86_64", ks)
        eq((request[0], request[3]), ("spin", target), f"the {kind}")
    template = w.dir / "t.xml"
    template.write_text("<template/>")
    request = submitted(w, "indirectionimage", "image-build-indirection", "--nowait", "--noprogress", "--scratch", "--name", "i",
                        "--version", "1", "--arch", "x86_64", "--target", target, "--base-image-task", "1",
                        "--utility-image-task", "2", "--indirection-template", template, "--results-loc", "/r")
    eq((request[0]["name"], request[0]["scratch"]), ("i", True), "the indirection")
    request = submitted(w, "kiwiBuild", "kiwi-build", "--nowait", "--kiwi-profile", "Live", "--arch", "x86_64", target,
                        "git://localhost/d#1", "d/x.kiwi")
    eq(request, [target, ["x86_64"], "git://localhost/d#1", "d/x.kiwi", {"profile": "Live", "use_buildroot_repo": True}], "the image")
    request = submitted(w, "dudBuild", "dud-build", "--nowait", "--alldeps", target, "dud", "1", "bash")
    eq(request[:5], ["dud", "1", [], target, ["bash"]], "the driver update disk")
    eq(request[5]["alldeps"], True, "the option")
    name = w.name("bar")
    pom, _ = maven_files(w, name)
    nvr = f"org.example-{name}-1.0-1"
    w.koji("import-archive", "--noprogress", "--create-build", "--type", "maven", "--type-info", pom, nvr, pom)
    request = submitted(w, "wrapperRPM", "wrapper-rpm", "--nowait", target, nvr, "git://localhost/spec#1")
    eq((request[0], request[1]["name"], request[2]["nvr"]), ("git://localhost/spec#1", target, nvr), "the wrapper")


@story()
def no_vm_host(w):
    """A Windows build ends at once where no host has virtual machines, and so does a task of such a host that builders of Toji get."""
    target = w.target("windows")
    said = w.koji("win-build", "--wait", target, "git://localhost/x#1", "w10", code=1)
    has(said, "FAILED: BuildError: winbuild needs a VM host, a builder that runs kojivmd", "no host is in channel vm")
    task = w.hub.call("makeTask", "vmExec", ["w10", ["git://localhost/x#1", f"{target}-build", {}]])
    eq(w.hub.wait(task, 120, "FAILED")["state"], 5, "the task's state")
    has(w.hub.describe(task), "vmExec needs a VM host", "none is configured in channel default")
