"""Tasks handled by administrators, and what the scheduler says of them, with the stock client."""

from harness.story import eq, has, matches, story, that

from .hosts import add_host


def make(w, channel, *argv):
    """Makes a task in a channel that no builder serves."""
    return w.koji("make-task", "--channel", channel, "--arch", "noarch", *argv).number(r"Created task id (\d+)")


@story()
def by_hand(w):
    """A task is made, given another priority, assigned, freed, assigned to a builder, and done."""
    chan, host, name = w.name("byhand"), add_host(w, "idle"), w.user()
    w.koji("add-channel", chan)
    task = make(w, chan, "--priority", "9", "sleep", "1")
    info = w.hub.call("getTaskInfo", task, request=True)
    eq({k: info[k] for k in ("method", "arch", "state", "priority", "request", "label", "host_id")},
       {"method": "sleep", "arch": "noarch", "state": 0, "priority": 9, "request": [1], "label": None, "host_id": None}, "the task")
    has(w.as_user(name, "make-task", "sleep", "1", code=1).err, f"ActionNotAllowed: admin permission required (logged in as {name})")
    has(w.koji("make-task", "--channel", "no-such-channel", "sleep", "1", code=1).err, "no-such-channel")

    eq(w.koji("set-task-priority", "--priority", "7", str(task)).out, "", "the output")
    eq(w.hub.call("getTaskInfo", task)["priority"], 7, "the priority")
    has(w.as_user(name, "set-task-priority", "--priority", "1", str(task), code=1).err, f"admin permission required (logged in as {name})")

    eq(w.koji("assign-task", str(task), host).out, f"assigned task {task} to host {host}\n", "the output")
    info = w.hub.call("getTaskInfo", task)
    eq((info["state"], info["host_id"]), (4, w.hub.call("getHost", host)["id"]), "the task")
    has(w.koji("taskinfo", str(task)), "State: assigned", f"Host: {host}")
    has(w.as_user(name, "assign-task", str(task), host, code=2).err, "This action requires admin privileges")
    has(w.as_user(name, "free-task", str(task), code=1).err, "ActionNotAllowed")
    eq(w.koji("free-task", str(task)).out, "", "the output")
    info = w.hub.call("getTaskInfo", task)
    eq((info["state"], info["host_id"]), (0, None), "the task")

    has(w.koji("assign-task", str(task), "builder.localdomain"), f"assigned task {task} to host builder.localdomain")
    w.hub.wait(task, 60)
    has(w.anonymous("taskinfo", str(task)), "State: closed", "Host: builder.localdomain")
    has(w.koji("free-task", str(task), code=1).err, f"Cannot free task {task}, state is CLOSED")
    has(w.koji("set-task-priority", "--priority", "7", str(task)).err, f"Can't update task priority on closed task: {task}")
    eq(w.koji("assign-task", str(task), host).out, f"failed to assign task {task} to host {host}\n", "the output")
    has(w.koji("assign-task", "999999", host, code=1).err, "No such task: 999999")
    has(w.koji("assign-task", str(task), "no-such-host", code=1).err, "No such host: no-such-host")
    has(w.koji("free-task", "999999", code=1).err, "query returned no rows")


@story()
def scheduling(w):
    """What the scheduler decided of a task is shown with its runs and reasons."""
    task = w.koji("make-task", "--arch", "noarch", "sleep", "0").number(r"Created task id (\d+)")
    w.hub.wait(task, 60)
    host = w.hub.call("getHost", w.hub.call("getTaskInfo", task)["host_id"])["name"]
    when = r"\d\d-\d\d-\d\d \d\d:\d\d:\d\d"
    said = w.anonymous("scheduler-info", "--task", str(task))
    matches(said, r"Task      Host                 State   Created           Started           Ended\s*")
    matches(said, rf"{task}\s+{host}\s+CLOSED\s+{when} {when} {when}")
    of_host = w.anonymous("scheduler-info", "--host", str(w.hub.call("getHost", host)["id"]), "--limit", "3")
    has(of_host, "Host data for ")
    that(len(of_host.out.splitlines()) <= 7, f"more than three runs:\n{of_host}")
    has(w.anonymous("scheduler-info", "--host", "no-such-host", code=1).err, "no-such-host")
    logs = w.koji("scheduler-logs", "--task", str(task))
    matches(logs, r"Task       Host                 Time                      Message\s*")
    matches(logs, rf"{task}\s+{host}\s+\w{{3}} \w{{3}} [ \d]\d \S+ \d{{4}}\s+Assigning task\s*")
    eq(len(w.koji("scheduler-logs", "--limit", "1", "--host", host).out.splitlines()), 3, "the lines")
    has(w.koji("scheduler-logs", "--from", "1", "--to", "2", "--limit", "3", code=2).err, "--limit shouldn't be used")
    eq(len(w.koji("scheduler-logs", "--from", "1", "--to", "2").out.splitlines()), 2, "the lines")
