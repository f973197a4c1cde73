"""Hosts and channels, with the stock client."""

from harness.story import eq, has, lacks, matches, story


def add_host(w, base="builder"):
    """Makes a host that no builder stands behind."""
    host = f"{w.name(base)}.example.com"
    w.koji("add-host", host, "x86_64")
    return host


@story()
def channels(w):
    """A channel is made, described, renamed, disabled and enabled."""
    name, other = w.name("chan"), w.name("chan-new")
    said = w.koji("add-channel", name, "--description", "for the story")
    number = w.hub.call("getChannel", name)["id"]
    eq(said.out, f"{name} added: id {number}\n", "the output")
    eq(w.koji("add-channel", name, code=1).err, f"channel {name} already exists\n", "the refusal")
    matches(w.anonymous("list-channels", "--description"), rf"{name}\s+0\s+0\s+0\s+0\s+0\s+0%\s+for the story\s*")
    eq(w.koji("edit-channel", name, "--name", other, "--comment", "renamed").out, "", "the output")
    eq({k: w.hub.call("getChannel", number)[k] for k in ("name", "description", "comment", "enabled")},
       {"name": other, "description": "for the story", "comment": "renamed", "enabled": True}, "the channel")
    has(w.koji("edit-channel", name, "--name", "x", code=1).err, f"No such channel: {name}")
    has(w.koji("edit-channel", other, "--name", "default", code=1).err, "channel default already exists", "No changes made")

    w.koji("disable-channel", other, "--comment", "closed")
    has(w.anonymous("list-channels", "--disabled"), f"{other} [disabled]")
    lacks(w.anonymous("list-channels", "--enabled"), other)
    eq(w.hub.call("getChannel", number)["comment"], "closed", "the comment")
    w.koji("enable-channel", other, "--comment", "open")
    matches(w.anonymous("list-channels", "--simple", "--enabled"), other)
    eq(w.hub.call("getChannel", number)["comment"], "open", "the comment")
    for command in ("enable-channel", "disable-channel"):
        said = w.koji(command, "nosuchchannel", other, code=1)
        has(said.out, "No such channel: nosuchchannel")
        has(said.err, "No changes made. Please correct the command line.")
    eq(w.hub.call("getChannel", number)["enabled"], True, "the channel after the refused command")


@story()
def membership(w):
    """A host goes into channels and out of them; the history tells."""
    host, chan, admin = add_host(w), w.name("chan"), w.ready["admin_user"]
    has(w.koji("add-host-to-channel", host, chan, code=1).err, f"No such channel: {chan}")
    w.koji("add-host-to-channel", "--new", host, chan)
    has(w.anonymous("hostinfo", host), f"Channels: default {chan}\n")
    matches(w.anonymous("list-channels"), rf"{chan}\s+1\s+0\s+0\s+0\s+2\s+0%")
    has(w.koji("add-host-to-channel", host, chan, code=1).err, f"host {host} is already subscribed to the {chan} channel")
    w.koji("remove-host-from-channel", host, chan)
    has(w.anonymous("hostinfo", host), "Channels: default\n")
    has(w.koji("remove-host-from-channel", host, chan, code=1).err, f"Host {host} is not a member of channel {chan}")
    has(w.koji("remove-host-from-channel", "no-such-host", chan, code=1).err, "No such host: no-such-host")
    when = r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} "
    said = w.anonymous("list-history", "--channel", chan)
    matches(said, when + rf"host {host} added to channel {chan} by {admin}")
    matches(said, when + rf"host {host} removed from channel {chan} by {admin}")


@story()
def switched(w):
    """A host is disabled and enabled with a comment, changed and listed."""
    host, other = add_host(w, "onoff"), add_host(w, "onoff-other")
    has(w.koji("add-host", host, "x86_64", code=1).err, f"{host} is already in the database")
    w.koji("disable-host", host, other, "--comment", "broken")
    eq([w.hub.call("getHost", h)["enabled"] for h in (host, other)], [False, False], "the hosts")
    has(w.anonymous("list-hosts", "--disabled", "--comment"), host, "broken")
    lacks(w.anonymous("list-hosts", "--enabled"), host)
    w.koji("enable-host", host, "--comment", "mended")
    info = w.hub.call("getHost", host)
    eq((info["enabled"], info["comment"]), (True, "mended"), "the host")
    has(w.koji("edit-host", host, "--arches", "x86_64,i686", "--capacity", "3.5"), f"Edited {host}\n")
    eq(w.koji("edit-host", host, "--capacity", "3.5").out, f"No changes made to {host}\n", "the second change")
    info = w.hub.call("getHost", host)
    eq((info["arches"], info["capacity"]), ("x86_64 i686", 3.5), "the host")
    for command in ("enable-host", "disable-host"):
        said = w.koji(command, "no-such-host", host, code=1)
        has(said.out, "No such host: no-such-host")
        has(said.err, "No changes made. Please correct the command line.")
    said = w.koji("edit-host", "no-such-host", host, "--capacity", "9", code=1)
    has(said.err, "No such host: no-such-host", "No changes made, please correct the command line")
    eq(w.hub.call("getHost", host)["capacity"], 3.5, "the capacity after the refused command")


@story()
def restart_hosts(w):
    """A restart is asked of every host of a channel that no builder serves, and a second one only by force."""
    chan = w.name("restarts")
    host = add_host(w, "restarted")
    w.koji("add-host-to-channel", "--new", host, chan)
    w.koji("restart-hosts", "--nowait", "--channel", chan, "--timeout", "3600", "--force")
    task = w.hub.call("listTasks", {"method": "restartHosts"}, {"order": "-id", "limit": 1})[0]["id"]
    eq(w.hub.call("getTaskRequest", task), [{"channel": chan, "timeout": 3600}], "the request")
    again = w.koji("restart-hosts", "--nowait", "--channel", chan, code=1)
    has(again.err, "Found other restartHosts tasks running.", f"{task}", "Use --force to run anyway")
    w.koji("cancel", str(task))
