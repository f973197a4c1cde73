"""Runs in the stock client's interpreter: many of its sessions call the hubs at the same time.

Reads JSON: `sessions`, each with `hub`, `user`, `password` and `steps`; a step is a list of a method, positional and named
arguments. `upload` sends a file; `nextbuild` makes builds of a name until `count` of them had a release of their own.
Writes JSON: for each session a list of [method, answer, fault code, fault text]."""

import json
import sys
import threading

import koji


def next_builds(session, name, count):
    """Takes the next release of a name and makes the build with it, again until it was the first to do so."""
    made = []
    while len(made) < count:
        info = {"name": name, "version": "1"}
        release = session.getNextRelease(info)
        try:
            session.createEmptyBuild(name, "1", release, None)
        except koji.GenericError as error:
            if "already exists" not in str(error):
                raise
        else:
            made.append(release)
    return made


def step(session, method, args, named):
    """Does one step and returns its answer."""
    if method == "upload":
        return session.uploadWrapper(*args)
    if method == "nextbuild":
        return next_builds(session, *args)
    return session.callMethod(method, *args, **named)


def work(plan, start, report):
    """One session: logs in, waits for the others, does its steps."""
    session = koji.ClientSession(plan["hub"], {"user": plan["user"], "password": plan["password"]})
    session.login()
    if plan.get("exclusive"):
        session.exclusiveSession()
    start.wait()
    for method, args, named in plan["steps"]:
        try:
            answer = step(session, method, args, named)
            report.append([method, answer, None, None])
        except Exception as error:
            report.append([method, None, getattr(error, "faultCode", None), f"{type(error).__name__}: {error}"])
    session.logout()


def main():
    """Starts a thread for each session and waits for all."""
    plans = json.load(sys.stdin)["sessions"]
    start, reports = threading.Barrier(len(plans)), [[] for _ in plans]
    threads = [threading.Thread(target=work, args=(plan, start, report)) for plan, report in zip(plans, reports)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump(reports, sys.stdout)


if __name__ == "__main__":
    main()
