"""Builds from Subversion, Mercurial and CVS, as the builder's list and the hub's policy allow it."""

from harness.builders import TojiBuilder, add_host
from harness.scms import Cvs, Mercurial, Subversion
from harness.server import Server
from harness.story import eq, has, story

from .sources import GitHost, with_source

POLICY = """[policy]
build_from_scm =
    match scm_type SVN CVS :: allow use_common make sources
    match scm_type HG && match scm_host 127.0.0.1* :: allow none
    all :: deny no such sources here
"""
# Fetched by a makefile that all packages share.
SHARED = {"Makefile.common": "sources:\n\techo a source from the shared makefile > fetched.txt\n"}


def package(name, shared):
    """The files of a package whose second source comes from the makefile, where that is used."""
    text = with_source(name, build="cat %{SOURCE1}")
    files = {"notes.txt": "a source\n", f"{name}.spec": text.replace("Source0:", "Source1: fetched.txt\nSource0:")}
    return {**files, "Makefile": "include ../common/Makefile.common\n"} if shared else {**files, "fetched.txt": "a source of the package\n"}


@story(own=True, slow=True)
def other_scms(own):
    """Real servers of three kinds: builds from a revision of each, with and without the shared makefile; what is not allowed, and what is not there."""
    server = Server(own.toji, own.dir / "data", extra=["--no-builder"])
    server.data.mkdir(parents=True)
    (server.data / "hub.conf").write_text(POLICY)
    hosts, builder = [], None
    try:
        w = own.world(server.start())
        add_host(w, "checker")
        builder = TojiBuilder(w, "checker", own.toji, allowed_scms="127.0.0.1:* nobody.example.com:*", allowed_scms_use_policy="yes")
        hosts = [kind(own.dir / kind.scheme) for kind in (Subversion, Mercurial, Cvs)]
        target = w.target("t", [f"from-{host.scheme}" for host in hosts])
        for host in hosts:
            shared = host.scheme != "hg+http"
            if shared:
                host.add("common", SHARED)
            built(w, target, host.add(f"from-{host.scheme}", package(f"from-{host.scheme}", shared)), shared)
            missing(w, target, host)
        git = GitHost(own.dir / "git")
        hosts.append(git)
        refused(w, target, git.add("x", with_source("x")), "is not allowed, reason: no such sources here")
        refused(w, target, "svn://svn.example.com/pkgs?x#1", "svn.example.com:/pkgs is not in the list of allowed SCMs")
        refused(w, target, "hg+ssh://-oProxyCommand=x@127.0.0.1/x#1", "Invalid SCM URL")
        eq(server.stop(), 0, "the exit code after SIGTERM")
    finally:
        for host in hosts:
            host.close()
        if builder:
            builder.end()
        server.stop()


def built(w, target, url, shared):
    """A build from the URL, which remembers it."""
    name = f"from-{url.split('://')[0]}"
    said = w.koji("build", "--wait", "--noprogress", target, url)
    has(said, "buildSRPMFromSCM (", "completed successfully")
    build = w.hub.call("getBuild", f"{name}-1.0-1")
    eq((build["state"], build["source"]), (1, url), "the build")
    log = w.topdir("packages", name, "1.0/1/data/logs/noarch/build.log").read_text()
    has(log, "a source from the shared makefile" if shared else "a source of the package")


def missing(w, target, host):
    """A revision and a place that are not there."""
    url = host.add(f"other-{host.scheme}", package(f"other-{host.scheme}", True))
    start, kind = url.split("#")[0], host.scheme.split("+")[0].upper()
    refused(w, target, f"{start}#no-such-tag", f"Error running {kind} command", "see checkout.log for details")
    if kind == "CVS":
        refused(w, target, f"{start}#42.42", "has no files of revision 42.42")
    refused(w, target, start.replace("other-", "no-such-") + "#HEAD", f"Error running {kind} command")


def refused(w, target, url, *parts):
    """A build from the URL fails with a text that has the parts."""
    task = w.hub.call("build", url, target, {"scratch": True})
    eq(w.hub.wait(task, 300, "FAILED")["state"], 5, "the task's state")
    has(w.hub.describe(task), *parts)
