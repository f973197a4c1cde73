"""A builder that is stopped or killed: the hub notices, its task goes to another one, and its late result is refused."""

import signal
import time
import urllib.request

from harness.builders import TojiBuilder, add_host
from harness.hub import TASK_STATES
from harness.server import Server
from harness.story import eq, has, story, that

# Until a host is marked as not ready, and until its task is given to another one, in seconds.
FOUND, FREED = 30, 60


def started(own, world, name):
    """A `toji builder`, once the hub knows that it is ready."""
    add_host(world, name)
    builder = TojiBuilder(world, name, own.toji)
    until(lambda: world.hub.call("getHost", name)["ready"], f"{name} is not ready", 60)
    return builder


def until(held, what, patience):
    """Seconds until the condition holds."""
    begin = time.monotonic()
    while not held():
        that(time.monotonic() - begin < patience, f"{what} after {patience} s")
        time.sleep(0.05)
    return time.monotonic() - begin


def holder(hub, task):
    """State and host of a task."""
    info = hub.call("getTaskInfo", task)
    return TASK_STATES[info["state"]], info["host_id"]


def lost(own, number):
    """Takes a builder away by a signal while it works; returns the hub, the builder, the other one, the task and both times."""
    server = Server(own.toji, own.dir / "data", extra=["--no-builder"]).start()
    builders = []
    try:
        world = own.world(server)
        hub = world.hub
        first = started(own, world, "first")
        builders.append(first)
        task = hub.call("makeTask", "sleep", [20], arch="x86_64")
        one = hub.call("getHost", "first")["id"]
        until(lambda: holder(hub, task) == ("OPEN", one), "the task is not open", 60)
        builders.append(started(own, world, "second"))
        two = hub.call("getHost", "second")["id"]
        first.signal(number)
        found = until(lambda: not hub.call("getHost", "first")["ready"], "the host is still ready", FOUND)
        freed = found + until(lambda: holder(hub, task)[1] == two, "the task is still with the first builder", FREED - found)
        print(f"    found after {found:.1f} s, given to another builder after {freed:.1f} s", flush=True)
        messages = [m["msg"] for m in hub.call("scheduler.getLogMessages", [["task_id", task]])]
        has(messages, "Freeing task from lost host")
        if number == signal.SIGSTOP:
            first.signal(signal.SIGCONT)
        info = hub.wait(task)
        eq(info["host_id"], two, "the host that finished the task")
        that(sum(r["active"] for r in hub.call("scheduler.getTaskRuns", [["task_id", task]])) <= 1, "more than one active run")
        if number == signal.SIGSTOP:
            # It is back, and what it had is taken from it.
            until(lambda: hub.call("getHost", "first")["ready"], "the first builder does not come back", 60)
            again = hub.call("makeTask", "sleep", [0], arch="x86_64", assign="first")
            eq(hub.wait(again)["host_id"], one, "the host of the next task")
    finally:
        for builder in builders:
            builder.end()
        server.stop()


@story(own=True, slow=True)
def a_stopped_builder_is_lost(own):
    """A builder stops for longer than the time-out and goes on: its task was given away and its late result counts for nothing."""
    lost(own, signal.SIGSTOP)


@story(own=True, slow=True)
def a_killed_builder_is_lost(own):
    """A builder is killed: its task is given away at once."""
    lost(own, signal.SIGKILL)


@story(own=True)
def reasons(own):
    """Every task that does not run has a reason, and a builder tells what its machine has left."""
    server = Server(own.toji, own.dir / "data", extra=["--no-builder"]).start()
    builder = None
    try:
        world = own.world(server)
        hub = world.hub
        task = hub.call("makeTask", "sleep", [0], arch="s390x")
        that(hub.call("scheduler.explain", task)["reason"], "a reason without a builder")
        builder = started(own, world, "only")
        said = hub.call("scheduler.explain", task)
        eq(said["reason"], "no enabled host of the channel has the arch", "the reason")
        eq([h["reason"] for h in said["hosts"] if h["name"] == "only"], ["does not have the arch"], "the host's reason")
        page = urllib.request.urlopen(server.ready["url"].rstrip("/") + "/metrics").read().decode()
        has(page, "toji_builders_connected 1\n", 'what="memory_free_mib"', 'what="ready"} 1\n', "toji_database_statements_total ")
        builder.signal(signal.SIGTERM)
        builder.wait(30)
        until(lambda: not hub.call("getHost", "only")["ready"], "the host is still ready", FOUND)
    finally:
        if builder:
            builder.end()
        server.stop()
