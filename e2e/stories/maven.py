"""Maven builds with the stock client, on a builder that runs the distribution's Maven in its buildroot."""

import xml.etree.ElementTree as tree
import zipfile
from pathlib import Path

from harness.command import run
from harness.server import Server
from harness.story import eq, has, story, that

from .sources import GitHost

# Where the distribution keeps Maven's own plugins.
REPOSITORY = Path("/usr/share/maven-repo")
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>{parent}
<groupId>org.example</groupId><artifactId>{name}</artifactId><version>{version}</version><packaging>pom</packaging>
<description>as it was</description>
</project>
"""
SETTINGS = """<settings><mirrors><mirror><id>all</id><url>file://{from_}</url><mirrorOf>*</mirrorOf></mirror></mirrors>
<profiles><profile><id>out</id><properties><altDeploymentRepository>out::default::file://{to}</altDeploymentRepository>
</properties></profile></profiles><activeProfiles><activeProfile>out</activeProfile></activeProfiles></settings>
"""


def needed(w):
    """What Maven fetches for a deployment: group, artifact and version with their files, in the order of their names."""
    place = w.dir / "plain"
    place.mkdir()
    (place / "pom.xml").write_text(POM.format(name="plain", version="1.0", parent=""))
    (place / "settings.xml").write_text(SETTINGS.format(from_=REPOSITORY, to=place / "out"))
    run("mvn", "-B", "-q", "-c", "-s", place / "settings.xml", "-f", place / "pom.xml", f"-Dmaven.repo.local={place / 'repo'}", "deploy",
        timeout=300)
    found = {}
    for file in sorted((place / "repo").rglob("*")):
        if file.suffix in (".pom", ".jar") and "org/example" not in str(file):
            group = ".".join(file.relative_to(place / "repo").parts[:-3])
            found.setdefault((group, file.parent.parent.name, file.parent.name), []).append(file)
    return found


def prepare(w, packages):
    """A target whose build tag offers Maven's plugins; returns its name."""
    target = w.target("java", packages)
    tag = f"{target}-build"
    w.koji("edit-tag", "--maven-support", "--include-all", tag)
    w.koji("add-group", tag, "maven-build")
    for (group, artifact, version), files in needed(w).items():
        pom = next(f for f in files if f.suffix == ".pom")
        nvr = f"{group}-{artifact}-{version.replace('-', '_')}-1"
        w.koji("import-archive", "--noprogress", "--create-build", "--type", "maven", "--type-info", pom, nvr, *files)
        w.hub.call("packageListAdd", tag, f"{group}-{artifact}", w.ready["admin_user"])
        w.hub.call("tagBuildBypass", tag, nvr)
    w.hub.wait_repo(tag)
    return target


def add(host, name, version="1.0", parent=""):
    """A repository with a project; returns its URL with the commit."""
    return host.add(name, "", {"pom.xml": POM.format(name=name, version=version, parent=parent)})


@story(own=True, slow=True)
def builds(own):
    """Maven builds from git: patched, refused, broken, in a chain; Maven's own plugins come from the tag's repository."""
    server = Server(own.toji, own.dir / "data").start()
    host = GitHost(own.dir / "git")
    try:
        w = own.world(server)
        for builder in w.hub.call("listHosts"):
            w.koji("add-host-to-channel", builder["name"], "maven")
        target = prepare(w, [f"org.example-{name}" for name in ("thing", "soon", "base", "top")])
        build(w, host, target)
        refused(w, host, target)
        chain(w, host, target)
        eq(server.stop(), 0, "the exit code after SIGTERM")
    finally:
        host.close()
        server.stop()


def build(w, host, target):
    """A Maven build from git with a patch becomes a build with its artifacts; what Maven fetched is in the buildroot's list."""
    patch = "--- a/pom.xml\n+++ b/pom.xml\n@@ -2,3 +2,3 @@\n <groupId>org.example</groupId><artifactId>thing</artifactId><version>1.0</version>" \
        "<packaging>pom</packaging>\n-<description>as it was</description>\n+<description>as it is patched</description>\n </project>\n"
    patches = host.add("thing-patches", "", {"one.patch": patch})
    url = add(host, "thing")
    said = w.koji("maven-build", "--wait", "--patches", patches, "-D", "some.flag=1", target, url)
    has(said, "buildMaven (", "completed successfully")
    build = w.hub.call("getBuild", "org.example-thing-1.0-1")
    eq((build["state"], [t["name"] for t in w.hub.call("listTags", build["id"])]), (1, [target]), "the build and its tags")
    archives = {a["filename"]: a for a in w.hub.call("listArchives", build["id"])}
    eq(sorted(archives), ["thing-1.0-patches.zip", "thing-1.0-scm-sources.zip", "thing-1.0.pom"], "the archives")
    home = w.topdir("packages/org.example-thing/1.0/1/maven/org/example/thing/1.0")
    eq(tree.parse(home / "thing-1.0.pom").getroot().findtext("{*}description"), "as it is patched", "the project that was deployed")
    sources = next(w.topdir("packages/org.example-thing").rglob("thing-1.0-scm-sources.zip"))
    with zipfile.ZipFile(sources) as packed:
        names = packed.namelist()
        has(packed.read("thing/pom.xml").decode(), "as it was")
    that(not any("/.git/" in n for n in names), "git's own files are among the sources")
    root = archives["thing-1.0.pom"]["buildroot_id"]
    used = {a["filename"] for a in w.hub.call("listArchives", componentBuildrootID=root)}
    that(any(n.startswith("maven-deploy-plugin-") for n in used), f"the plugin is not in the buildroot: {used}")
    log = w.topdir("packages/org.example-thing/1.0/1/data/logs/maven/build.log").read_text()
    has(log, "-Dsome.flag=1", "BUILD SUCCESS")


def refused(w, host, target):
    """A version that may still change is for scratch builds only, a broken project fails with Maven's words."""
    url = add(host, "soon", "1.0-SNAPSHOT")
    has(w.koji("maven-build", "--wait", target, url, code=1).out, "-SNAPSHOT versions are only supported in scratch builds")
    scratch = w.koji("maven-build", "--wait", "--scratch", target, url)
    task = w.task_of(scratch)
    that(list(w.topdir("scratch").rglob(f"task_{task}/**/soon-*.pom")), "the scratch build left no project file")
    broken = host.add("broken", "", {"pom.xml": "<project><modelVersion>4.0.0</modelVersion></project>"})
    said = w.koji("maven-build", "--wait", "--scratch", target, broken, code=1)
    has(said.out + said.err, "error building Maven package, mvn exited with status 1", "Maven says: ")


def chain(w, host, target):
    """A chain builds in the order of needs, one project finds the other, and done ones are not done again."""
    base = add(host, "base")
    parent = "<parent><groupId>org.example</groupId><artifactId>base</artifactId><version>1.0</version></parent>"
    top = add(host, "top", parent=parent)
    ini = w.dir / "chain.ini"
    ini.write_text(f"[org.example-top]\nscmurl={top}\nbuildrequires=org.example-base\n\n[org.example-base]\nscmurl={base}\n")
    task = w.task_of(w.koji("maven-chain", "--wait", target, ini))
    eq(sorted(w.hub.call("getTaskResult", task)),
       sorted(f"org.example-{n}-1.0-1 built from {u}" for n, u in (("base", base), ("top", top))), "what was built")
    again = w.task_of(w.koji("maven-chain", "--wait", target, ini))
    eq(sorted(w.hub.call("getTaskResult", again)),
       sorted(f"org.example-{n}-1.0-1 previously built from {u}" for n, u in (("base", base), ("top", top))), "what was built before")
    eq(w.hub.call("getTaskChildren", again), [], "the children of a chain that is done already")
