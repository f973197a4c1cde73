"""Build repositories: waited for, asked for, made on demand; the stock client's view of them."""

from harness.story import eq, has, matches, story, that


@story(slow=True)
def request_repo(w):
    """A repository that is asked for is made, and the next request gets the same one until the tag changes."""
    target = w.target("t", [w.name("pkg")])
    tag = f"{target}-build"
    said = w.koji("request-repo", "--wait", "--timeout", "2", "--current", tag)
    repo = said.number(r"Got repo (\d+)")
    has(said, f"repoinfo?repoID={repo}")
    eq(w.koji("request-repo", "--wait", "--timeout", "2", "--current", tag).number(r"Got repo (\d+)"), repo, "the second answer")
    by_target = w.koji("request-repo", "--target", "--wait", "--timeout", "2", target)
    eq(by_target.number(r"Got repo (\d+)"), repo, "the repository by the target's name")
    w.koji("add-group-pkg", tag, "build", "bash")
    newer = w.koji("request-repo", "--wait", "--timeout", "2", "--current", tag).number(r"Got repo (\d+)")
    that(newer > repo, f"repository {newer} is not newer than {repo}")
    info = w.anonymous("repoinfo", str(newer))
    has(info, f"ID: {newer}", f"Tag name: {tag}", "State: READY", "Dist repo?: no", f"kojifiles/repos/{tag}/{newer}")
    asked = new_request(w, tag)
    waited = w.koji("wait-repo-request", "--timeout", "2", str(asked))
    last = waited.number(r"Got repo (\d+)")
    that(last > newer, f"repository {last} is not newer than {newer}")
    eq(w.koji("wait-repo-request", str(asked)).number(r"Got repo (\d+)"), last, "the repository of the request that is done")
    has(waited, f"repoinfo?repoID={last}")
    has(w.koji("wait-repo-request", "999999", code=1).err, "No such request")
    has(w.koji("request-repo", "nosuchtag", code=2).err, "No such tag: nosuchtag")


def new_request(w, tag):
    """The number of a request that is not answered yet; the repository maker is quick, so it may take more than one attempt."""
    for n in range(20):
        w.hub.call("groupPackageListAdd", tag, "build", f"make{n}")
        asked = w.hub.call("repo.request", tag, min_event=w.hub.call("tagLastChangeEvent", tag))
        if asked["repo"] is None:
            return asked["request"]["id"]
    raise AssertionError(f"every request was answered at once: {asked}")


@story(slow=True)
def regen_repo(w):
    """A repository is made on command, by request and by task, with its task shown."""
    target = w.target("t", [w.name("pkg")])
    tag = f"{target}-build"
    first = w.koji("regen-repo", "--wait", "--timeout", "2", tag).number(r"Got repo (\d+)")
    said = w.koji("regen-repo", "--make-task", "--wait", tag)
    has(said, f"Regenerating repo for tag: {tag}", "Created task: ", f"newRepo ({tag}) completed successfully")
    task = w.task_of(said)
    eq([c["method"] for c in w.hub.call("getTaskChildren", task)], ["createrepo"], "the children of newRepo")
    repo, event = w.hub.call("getTaskResult", task)
    that(repo > first, f"repository {repo} is not newer than {first}")
    eq(w.hub.call("repoInfo", repo)["create_event"], event, "the repository's event")
    eq(w.hub.call("getRepo", tag)["id"], repo, "the newest repository")
    has(w.anonymous("taskinfo", "-r", str(task)), "Type: newRepo", "Type: createrepo")


@story(slow=True)
def wait_repo(w):
    """Waiting for a repository that has a build returns when there is one, and at once the second time."""
    pkg = w.name("pkg")
    target = w.target("t", [pkg])
    w.build(target, w.srpm(pkg))
    for request in (["--request"], []):
        said = w.koji("wait-repo", "--timeout", "2", "--build", f"{pkg}-1.0-1", *request, f"{target}-build")
        repo = said.number(r"Got repo (\d+)")
    by_target = w.koji("wait-repo", "--timeout", "2", "--target", "--request", target)
    that(by_target.number(r"Got repo (\d+)") >= repo, "the repository by the target's name is older")
    base = w.topdir("repos", f"{target}-build", str(repo), "x86_64")
    has((base / "pkglist").read_text(), f"{pkg}-1.0-1.noarch.rpm")
    that((base / "repodata/repomd.xml").is_file(), "no repomd.xml")
    has(w.koji("wait-repo", "nosuchtag", code=2).err, "No such tag: nosuchtag")


@story(slow=True)
def without_polling(w):
    """Tagging a build makes the next repository although nobody asks and nothing polls."""
    pkg = w.name("pkg")
    target = w.target("t", [pkg])
    before = w.koji("request-repo", "--wait", "--timeout", "2", "--current", f"{target}-build").number(r"Got repo (\d+)")
    w.build(target, w.srpm(pkg))
    event = w.hub.call("tagLastChangeEvent", f"{target}-build")
    repo = w.hub.wait_repo(f"{target}-build", [f"{pkg}-1.0-1"], timeout=60)
    that(repo["id"] > before and repo["create_event"] >= event, f"the repository is {repo}")


@story()
def hosts(w):
    """The builder in the process is listed and described; whether it is ready depends on what the other stories do."""
    said = w.anonymous("list-hosts")
    row = matches(said, r"(\S+)\s+Y\s+[YN]\s+\d+\.\d/\d+\.\d\s+\S*x86_64\S*\s+\S.*")
    name = row.group(1)
    info = w.anonymous("hostinfo", name)
    has(info, f"Name: {name}", "Enabled: yes", "Ready: ", "Channels: ", "default", "createrepo", "Active Buildroots:")
    eq(w.hub.call("getHost", name)["enabled"], True, "enabled")
    has(w.anonymous("hostinfo", "no-such-host", code=1).err, "No such host: no-such-host")
    has(w.anonymous("list-hosts", "--channel", "createrepo"), name)
    has(w.anonymous("list-channels"), "default", "createrepo")


@story()
def more_hosts(w):
    """Hosts are added, changed, put into channels and disabled."""
    host = f"{w.name('builder')}.example.com"
    said = w.koji("add-host", host, "x86_64", "i686")
    matches(said, rf"{host} added: id \d+")
    has(w.anonymous("hostinfo", host), "Arches: x86_64 i686", "Ready: no", "Channels: default", "Last Update: never")
    w.koji("edit-host", host, "--capacity", "7", "--description", "an e2e host")
    has(w.anonymous("hostinfo", host), "Capacity: 7.0", "Description: an e2e host")
    w.koji("add-host-to-channel", host, "createrepo")
    has(w.anonymous("hostinfo", host), "Channels: default createrepo")
    w.koji("disable-host", host)
    has(w.anonymous("hostinfo", host), "Enabled: no")
    matches(w.anonymous("list-history", "--host", host), rf".* new host: {host} by {w.ready['admin_user']}")
