"""Named moments of a task's life at which a fault strikes.

Two of them are held open by a lock on the task's row, so that the fault strikes within the call: `opening` and `closing`."""

import os
import time

from .sql import Gone

NAMES = ["made", "assigned", "opening", "opened", "uploading", "waiting", "closing", "closed", "random"]
# What is tried until it is seen, at most for so long: a task may be through before.
PATIENCE = 4.0


def reach(farm, name, since, build=False, struck=()):
    """Returns when a task with a number above `since` is at this point, and not on a host that was struck.

    Tells whether it was seen, and the name of the task's host, if it has one."""
    if name == "made":
        return True, None
    if name == "random":
        time.sleep(farm.dice.uniform(0, 2.0 if build else 0.6))
        return True, None
    if name == "uploading":
        return found(lambda: uploading(farm, since, struck))
    if name in ("opening", "closing"):
        return hold(farm, name, since, struck)
    where = {
        "assigned": "t.state = 4",
        "opened": "t.state = 1",
        "waiting": "t.state = 1 AND t.waiting",
        "closed": "t.state = 2",
    }[name]
    return found(lambda: host_of(farm, f"t.id > {since} AND {where}", struck))


def host_of(farm, where, struck):
    """The name of a host with such a task."""
    query = f"SELECT h.name FROM task t JOIN host h ON h.id = t.host_id WHERE {where} {others(struck)} ORDER BY t.id DESC LIMIT 1"
    return farm.ask(query)


def others(struck):
    """The condition that a host was not struck."""
    listed = ", ".join(f"'{name}'" for name in struck)
    return f"AND h.name NOT IN ({listed})" if listed else ""


def found(look):
    """Looks as often as possible."""
    deadline = time.monotonic() + PATIENCE
    while True:
        host = look()
        if host:
            return True, host
        if time.monotonic() > deadline:
            return False, None
        time.sleep(0.0005)


def uploading(farm, since, struck):
    """The host of a task that has put anything into its directory."""
    tasks = farm.topdir / "work" / "tasks"
    numbers = [int(entry) for top in listed(tasks) for entry in listed(tasks / top) if entry.isdigit() and int(entry) > since]
    fed = [number for number in numbers if any(files for _, _, files in os.walk(tasks / str(number % 10000) / str(number)))]
    if not fed:
        return None
    return host_of(farm, f"t.id IN ({','.join(map(str, fed))}) AND t.state = 1", struck)


def listed(directory):
    """The entries of a directory that may not be there."""
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def hold(farm, name, since, struck):
    """Locks a task before its move, and returns when a call of a builder waits for that lock."""
    state = {"opening": 4, "closing": 1}[name]
    holder = farm.holder
    try:
        holder.close()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            holder.rows("BEGIN")
            held = holder.rows(f"SELECT t.id, h.name FROM task t JOIN host h ON h.id = t.host_id WHERE t.id > {since} AND t.state = {state} "
                               f"AND t.method = 'sleep' {others(struck)} ORDER BY t.id LIMIT 1 FOR UPDATE OF t SKIP LOCKED")
            if held:
                break
            holder.rows("ROLLBACK")
        else:
            return False, None
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%'"
        seen, _ = found(lambda: farm.ask(waiting, "0") != "0")
        return seen, held[0][1]
    except Gone:
        return False, None


def release(farm):
    """Gives back what `hold` has locked."""
    farm.holder.close()
