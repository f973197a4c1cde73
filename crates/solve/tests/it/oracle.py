"""Answers from dnf itself: one long-lived process that resolves many requests on the same repositories."""

import json
import sys
import time

import dnf
import dnf.exceptions
import dnf.goal
import dnf.selector
import dnf.subject


def nevra(package):
    """As Toji writes it: the epoch only if it is not 0."""
    epoch = "" if package.epoch == 0 else f"{package.epoch}:"
    return f"{package.name}-{epoch}{package.version}-{package.release}.{package.arch}"


def load(setup):
    """A base with the repositories of the request, in their order."""
    base = dnf.Base()
    conf = base.conf
    conf.installroot = setup["root"]
    conf.cachedir = setup["cache"]
    conf.logdir = setup["cache"]
    conf.persistdir = setup["cache"]
    conf.pluginpath = []
    conf.plugins = False
    conf.gpgcheck = False
    conf.module_platform_id = "platform:none"
    conf.substitutions["arch"] = setup["arch"]
    conf.substitutions["basearch"] = setup["arch"]
    conf.substitutions["releasever"] = "1"
    conf.multilib_policy = "best"
    for repo in setup["repos"]:
        made = base.repos.add_new_repo(repo["id"], conf, baseurl=["file://" + repo["path"]],
                                       priority=repo["priority"], cost=repo["cost"])
        made.enable()
    base.fill_sack(load_system_repo=True)
    return base


def require(base, text):
    """What `dnf builddep` does for a BuildRequires; false if nothing matches."""
    selector = dnf.selector.Selector(base.sack)
    selector.set(provides=text)
    found = selector.matches()
    if not found and text.startswith("/"):
        selector = dnf.selector.Selector(base.sack)
        selector.set(file=text)
        found = selector.matches()
    if not found and not text.startswith("("):
        return False
    base._goal.install(select=selector, optional=False)
    return True


def group(base, want):
    """What a group's package does when the group is installed."""
    query = base.sack.query().filterm(name=want["name"]).apply()
    query.filterm(arch__neq=["src", "nosrc"])
    if not query:
        return
    selector = dnf.selector.Selector(base.sack)
    if want.get("with"):
        selector.set(provides=f"({want['name']} if {want['with']})")
    else:
        selector.set(pkg=query.union(base.sack.query().filterm(obsoletes=query)))
    base._goal.install(select=selector, optional=want["optional"])


def answer(base, request):
    """Resolves one request."""
    begin = time.perf_counter()
    base.reset(goal=True)
    base._goal = dnf.goal.Goal(base.sack)
    base.sack.reset_excludes()
    for pattern in request["exclude"]:
        subject = dnf.subject.Subject(pattern)
        base.sack.add_excludes(subject.get_best_query(base.sack, with_nevra=True, with_provides=False, with_filenames=False))
    missing = []
    for want in request["wants"]:
        if want["kind"] == "install":
            try:
                base.install(want["text"], strict=not want["optional"])
            except dnf.exceptions.MarkingError:
                if not want["optional"]:
                    missing.append(want["text"])
        elif want["kind"] == "require":
            if not require(base, want["text"]):
                missing.append(want["text"])
        else:
            group(base, want)
    if missing:
        return {"missing": missing}
    solved = base._goal.run(allow_uninstall=False, force_best=request["best"], ignore_weak_deps=not request["weak"])
    if not solved:
        rules = base._goal.problem_rules()
        return {"problems": [[str(rule) for rule in problem] for problem in rules]}
    installs = sorted(nevra(package) for package in base._goal.list_installs())
    return {"packages": installs, "seconds": time.perf_counter() - begin}


def main():
    """A line with the repositories, then a line for each request."""
    begin = time.perf_counter()
    base = load(json.loads(sys.stdin.readline()))
    print(json.dumps({"loaded": time.perf_counter() - begin, "count": len(base.sack)}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(base, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
