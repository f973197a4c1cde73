"""External repositories, with the stock client."""

from harness.story import eq, has, lacks, matches, story


@story()
def external_repos(w):
    """A repository is made, given to tags with priorities and modes, changed, inherited and taken away."""
    repo, tag, child, admin = w.name("ext"), w.name("extbase"), w.name("extchild"), w.ready["admin_user"]
    url = f"http://repos.example.com/{repo}/$arch/"
    w.koji("add-tag", tag, "--arches", "x86_64")
    w.koji("add-tag", child, "--parent", tag)
    said = w.koji("add-external-repo", "--tag", f"{tag}::7", "--mode", "bare", "--arches", "x86_64", repo, url)
    number = w.hub.call("getExternalRepo", repo)["id"]
    eq(said.out, f"Created external repo {number}\nAdded external repo {repo} to tag {tag} (priority 7)\n", "the output")
    matches(w.anonymous("list-external-repos", "--name", repo), rf"{repo}\s+http://repos\.example\.com/{repo}/\$arch/")
    matches(w.anonymous("list-external-repos", "--tag", tag), rf"7   {repo}\s+bare\s+http://\S+")
    matches(w.anonymous("list-external-repos", "--tag", child, "--inherit"), rf"{tag}\s+7\s+bare\s+{repo}")
    lacks(w.anonymous("list-external-repos", "--tag", child), repo)
    matches(w.anonymous("list-external-repos", "--used", "--name", repo, "--quiet"), rf"{tag}\s+7\s+bare\s+{repo}")
    has(w.anonymous("taginfo", tag), "External repos:", f"  7 {repo} ({url}, merge mode: bare), arches: x86_64")

    has(w.koji("add-external-repo", "--tag", child, repo), f"Added external repo {repo} to tag {child} (priority 5)")
    has(w.koji("add-external-repo", repo, url, code=1).err, f'An external repo named "{repo}" already exists')
    has(w.koji("add-external-repo", "--tag", tag, repo, "--priority", "9", code=1).err,
        f"tag {tag} already associated with external repo {repo}")
    has(w.koji("add-external-repo", "--tag", tag, "--mode", "nosuch", repo, code=2).err, "Invalid mode: nosuch")
    has(w.koji("add-external-repo", "no-such-repo", code=1).err, "No such repo: no-such-repo")

    eq(w.koji("edit-external-repo", "--tag", tag, "--priority", "8", "--mode", "koji", repo).out, "", "the output")
    matches(w.anonymous("list-external-repos", "--tag", tag), rf"8   {repo}\s+koji\s+http://\S+")
    new = w.name("renamed")
    w.koji("edit-external-repo", "--name", new, "--url", "http://repos.example.com/new/", repo)
    eq(w.hub.call("getExternalRepo", number), {"id": number, "name": new, "url": "http://repos.example.com/new/"}, "the repository")
    has(w.koji("edit-external-repo", "--tag", tag, "--priority", "1", "no-such-repo", code=1).err, "no-such-repo")
    has(w.koji("edit-external-repo", new, code=2).err, "No changes specified")

    has(w.koji("remove-external-repo", new, code=1).err, f"Error: external repo {new} used by tag(s): ", tag, child,
        "Use --force to remove anyway")
    eq(w.koji("remove-external-repo", new, child, "no-such-tag").out, f"External repo {new} not associated with tag no-such-tag\n",
       "the output")
    lacks(w.anonymous("list-external-repos", "--tag", child), new)
    w.koji("remove-external-repo", "--alltags", new)
    eq(w.hub.call("getTagExternalRepos", tag), [], "the tag's repositories")
    has(w.koji("remove-external-repo", "--alltags", new).err, f"External repo {new} not associated with any tags")
    w.koji("remove-external-repo", new)
    eq(w.hub.call("getExternalRepo", number), None, "the repository")
    has(w.koji("remove-external-repo", "no-such-repo", code=1).err, "no-such-repo")
    history = w.anonymous("list-history", "--external-repo", new)
    has(history, f"new external repo: {new} by {admin}", f"external repo entry for {new} added to tag {tag} by {admin}",
        f"external repo entry for {new} removed from tag {child} by {admin}", f"external repo deleted: {new} by {admin}")
