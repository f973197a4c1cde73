"""First contact of the stock client: who am I, what is there, what can be called."""

import json

from harness.story import eq, has, matches, story, that


@story()
def moshimoshi(w):
    """The client logs in and is told where it is and who."""
    for word in ("moshimoshi", "hello"):
        said = w.koji(word)
        matches(said, rf".+, {w.ready['admin_user']}!")
        has(said, f"You are using the hub at {w.ready['hub']} (Koji 1.3", "Authenticated via password")
    has(w.anonymous("moshimoshi"), "Not authenticated", "anonymous user!")


@story()
def wrong_password(w):
    """A wrong password is refused with a clear text, and nothing else happens."""
    conf = ["-c", w.ready["koji_conf"], "--user", w.ready["admin_user"]]
    from harness.command import run
    said = run(w.koji_program, *conf, "--password", "not-the-one", "moshimoshi", code=None, cwd=w.dir)
    that(said.code != 0, f"a wrong password logged in:\n{said}")
    has(said.err, "AuthError", "invalid username or password")
    unknown = run(w.koji_program, "-c", w.ready["koji_conf"], "--user", "nobody-here", "--password", "x", "moshimoshi",
                  code=None, cwd=w.dir)
    that(unknown.code != 0, f"an unknown user logged in:\n{unknown}")
    has(unknown.err, "AuthError", "invalid username or password")


@story()
def list_api(w):
    """The calls are listed with their parameters and described one by one."""
    said = w.anonymous("list-api")
    has(said, "getBuild(buildInfo, strict=False)", "listTagged(tag, event=None", "createTag(name", "host.taskSetWait(parent, tasks)")
    that(len(said.out.splitlines()) > 200, f"only {len(said.out.splitlines())} lines")
    one = w.anonymous("list-api", "getBuild")
    has(one, "getBuild(buildInfo, strict=False)", "description: ")


@story()
def call(w):
    """Any call by name, in Python's and JSON's notation, with named arguments."""
    eq(w.anonymous("call", "echo", "1", "two", "3.5").out, "[1, 'two', 3.5]\n", "echo")
    user = json.loads(w.koji("call", "--json-output", "getLoggedInUser").out)
    eq((user["name"], user["status"], user["usertype"]), (w.ready["admin_user"], 0, 0), "the logged-in user")
    tag = w.name("call")
    w.koji("call", "createTag", tag, "arches=x86_64 aarch64")
    found = json.loads(w.anonymous("call", "--json-output", "getTag", tag).out)
    eq((found["name"], found["arches"], found["locked"], found["perm"]), (tag, "x86_64 aarch64", False, None), "the tag")
    has(w.anonymous("call", "nosuchcall", code=1).err, "Invalid method: nosuchcall")
    has(w.anonymous("call", "createTag", w.name("denied"), code=1).err, "ActionNotAllowed")
    eq(w.hub.call("getTag", w.name("denied")), None, "a refused tag")


@story()
def version(w):
    """The client shows its version and the hub's."""
    said = w.anonymous("version")
    matches(said, r"Client: 1\.36\.1")
    matches(said, r"Hub:\s+1\.36\.\d+")


@story(own=True)
def without_namespaces(own):
    """Where the kernel refuses namespaces to builds, the start says so."""
    from harness.command import run
    script = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$0" "$@"'
    limited = ["unshare", "--user", "--map-root-user", "sh", "-c", script, own.toji, "up", "--data", own.dir / "data"]
    said = run(*limited, "--listen", "127.0.0.1:0", code=1)
    has(said.err, "this machine cannot build", "--no-builder", "user.max_user_namespaces")
