"""Packages around builds that are no RPMs, with the stock client: `wrapper-rpm`, and the spec file of a Maven target."""

from harness.command import run
from harness.server import Server
from harness.story import eq, has, story, that

from .archives import maven_files
from .maven import POM, prepare
from .sources import GitHost

# Loops, conditions and what a template is told of the build; the archives are the sources.
TEMPLATE = """#set $main = $maven_info['artifact_id']
Name: ${main}-rpm
Version: $version
Release: 1
Summary: ${maven_info['group_id']} in a package
License: MIT
BuildArch: noarch
#for $n, $file in $enumerate($all_artifacts)
Source${n}: $file
#end for
Source100: extra.txt

%description
$name as it was built.

%install
mkdir -p %{buildroot}/usr/share/${main}-rpm
#for $file in $artifacts['.pom']
install -m 644 %{_sourcedir}/$file %{buildroot}/usr/share/${main}-rpm/
#end for
install -m 644 %{SOURCE100} %{buildroot}/usr/share/${main}-rpm/
#for $place in $all_artifacts_with_path
echo '$place' >> %{buildroot}/usr/share/${main}-rpm/places
#end for

%files
/usr/share/${main}-rpm
"""


def wrapper(host, name, template=TEMPLATE):
    """A repository with a template; returns its URL."""
    return host.add(name, "", {f"{name}.spec.tmpl": template, "extra.txt": "from the wrapper's repository\n"})


def content(path, file):
    """The text of a file of a package."""
    packed = f"rpm2cpio '{path}' | cpio -i --quiet --to-stdout './usr/share/*/{file}'"
    return run("sh", "-c", packed).out


@story(own=True, slow=True)
def around_archives(own):
    """Builds of archives get packages: into themselves once, as scratch results, as a build of their own, by a Maven build's spec file; bad templates are refused."""
    server = Server(own.toji, own.dir / "data").start()
    host = GitHost(own.dir / "git")
    try:
        w = own.world(server)
        for builder in w.hub.call("listHosts"):
            w.koji("add-host-to-channel", builder["name"], "maven")
        imported(w, host)
        maven_target(w, host)
        eq(server.stop(), 0, "the exit code after SIGTERM")
    finally:
        host.close()
        server.stop()


def imported(w, host):
    """Packages around an imported Maven build."""
    name = "lib"
    target = w.target("wrap", [f"{name}-rpm"])
    pom, jar = maven_files(w, name)
    nvr = f"org.example-{name}-1.0-1"
    w.koji("import-archive", "--noprogress", "--create-build", "--type", "maven", "--type-info", pom, nvr, pom, jar)
    url = wrapper(host, f"{name}-wrapper")
    scratch = w.koji("wrapper-rpm", "--wait", "--scratch", target, nvr, url)
    has(scratch, "wrapperRPM (", "completed successfully")
    found = [p for p in w.topdir("scratch").rglob(f"{name}-rpm-1.0-1.noarch.rpm") if f"task_{w.task_of(scratch)}" in str(p)]
    that(len(found) == 1, f"the scratch results: {found}")
    eq(w.hub.call("listBuildRPMs", nvr), [], "the packages of the build after a scratch build")
    own = w.koji("wrapper-rpm", "--wait", "--create-build", target, nvr, url)
    has(own, "completed successfully")
    build = w.hub.call("getBuild", f"{name}-rpm-1.0-1")
    eq((build["state"], build["source"], build["task_id"]), (1, url, w.task_of(own)), "the build of its own")
    eq([t["name"] for t in w.hub.call("listTags", build["id"])], [target], "its tags")
    into(w, host, target, nvr, name)
    refused(w, host, target, nvr)


def into(w, host, target, nvr, name):
    """Packages of another name become part of the build that they are about, once."""
    url = wrapper(host, f"{name}-inside", TEMPLATE.replace("${main}-rpm", "${main}-inside"))
    said = w.koji("wrapper-rpm", "--wait", target, nvr, url)
    has(said, "completed successfully")
    build = w.hub.call("getBuild", nvr)
    rpms = {f"{r['name']}.{r['arch']}": r for r in w.hub.call("listBuildRPMs", build["id"])}
    eq(sorted(rpms), [f"{name}-inside.noarch", f"{name}-inside.src"], "the packages of the build")
    path = w.topdir("packages", f"org.example-{name}", "1.0/1/noarch", f"{name}-inside-1.0-1.noarch.rpm")
    eq(content(path, "extra.txt"), "from the wrapper's repository\n", "the wrapper's own file")
    eq(content(path, f"{name}-1.0.pom"), (w.dir / f"{name}-1.0.pom").read_text(), "the archive in the package")
    places = sorted(content(path, "places").split())
    eq(places, [f"org/example/{name}/1.0/{name}-1.0.{end}" for end in ("jar", "pom")], "the places of the archives")
    root = rpms[f"{name}-inside.noarch"]["buildroot_id"]
    eq(w.hub.call("getBuildroot", root)["task_id"], w.task_of(said), "the task of the buildroot")
    task = w.hub.call("getTaskResult", w.task_of(said))
    eq((task["srpm"], task["rpms"]), (f"{name}-inside-1.0-1.src.rpm", [f"{name}-inside-1.0-1.noarch.rpm"]), "the result")
    that({"checkout.log", "build.log", "root.log", f"{name}-inside.spec"} <= set(task["logs"]), f"the logs: {task['logs']}")
    has(w.koji("wrapper-rpm", target, nvr, url, code=1).err, "have already been built")


def refused(w, host, target, nvr):
    """What is no template, what fails, what the sandbox keeps, what a spec file must not say."""
    cases = {
        "none": ("no-template.txt", "", "no spec file template found at URL"),
        "broken": (None, "Name: $no_such_value\n", "error filling broken.spec.tmpl"),
        "curious": (None, "#import urllib.request\n$urllib.request.urlopen('http://127.0.0.1:1').read()\n", "error filling curious.spec.tmpl"),
        "vendor": (None, TEMPLATE.replace("License:", "Vendor: me\nLicense:"), "Vendor is not allowed to be set in spec file"),
        "spec": (None, TEMPLATE.replace("%install", "%install\nexit 3"), "see build.log for more information"),
    }
    for name, (file, text, reason) in cases.items():
        url = host.add(f"{w.name(name)}", "", {file or f"{name}.spec.tmpl": text, "extra.txt": "x\n"})
        task = w.hub.call("wrapperRPM", nvr, url, target, opts={"scratch": True})
        eq(w.hub.wait(task, 300, "FAILED")["state"], 5, f"the state of the task: {name}")
        has(w.hub.describe(task), reason)


def maven_target(w, host):
    """A Maven build with a spec file: its artifacts are wrapped by a child before the build is complete, also as scratch."""
    target = prepare(w, ["org.example-thing"])
    url = host.add("thing", "", {"pom.xml": POM.format(name="thing", version="1.0", parent="")})
    spec = wrapper(host, "thing-wrapper")
    scratch = w.koji("maven-build", "--wait", "--scratch", "--specfile", spec, target, url)
    has(scratch, "buildMaven (", "wrapperRPM (", "completed successfully")
    that(any(w.topdir("scratch").rglob("thing-rpm-1.0-1.noarch.rpm")), "no scratch package")
    said = w.koji("maven-build", "--wait", "--specfile", spec, target, url)
    has(said, "buildMaven (", "wrapperRPM (", "completed successfully")
    build = w.hub.call("getBuild", "org.example-thing-1.0-1")
    eq(build["state"], 1, "the state of the build")
    eq(sorted(f"{r['name']}.{r['arch']}" for r in w.hub.call("listBuildRPMs", build["id"])), ["thing-rpm.noarch", "thing-rpm.src"],
       "the packages beside the archives")
    path = w.topdir("packages/org.example-thing/1.0/1/noarch/thing-rpm-1.0-1.noarch.rpm")
    has(content(path, "places"), "work/tasks/", "org/example/thing/1.0/thing-1.0.pom")
