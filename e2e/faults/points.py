"""Named moments of a task's life at which a fault strikes.

Two of them are held open by a lock on the task's row, so that the fault strikes within the call: `opening` and `closing`."""

import os
import time

from .sql import Gone

NAMES = ["made", "assigned", "opening", "opened", "uploading", "waiting", "closing", "closed", "random"]
# What is tried until it is seen, at most for so long: a task may be through before.
PATIENCE = 3.0


def reach(farm, name, since, build=False):
    """Returns when a task with a number above `since` is at this point; tells whether it was seen."""
    if name == "made":
        return True
    if name == "random":
        time.sleep(farm.dice.uniform(0, 2.0 if build else 0.6))
        return True
    if name == "uploading":
        return until(lambda: uploaded(farm, since))
    if name in ("opening", "closing"):
        return hold(farm, name, since)
    where = {
        "assigned": "state = 4",
        "opened": "state = 1",
        "waiting": "state = 1 AND waiting",
        "closed": "state = 2",
    }[name]
    return until(lambda: farm.ask(f"SELECT 1 FROM task WHERE id > {since} AND {where} LIMIT 1") == "1")


def until(seen):
    """Looks as often as possible."""
    deadline = time.monotonic() + PATIENCE
    while not seen():
        if time.monotonic() > deadline:
            return False
    return True


def uploaded(farm, since):
    """Whether a task has put anything into its directory."""
    tasks = farm.topdir / "work" / "tasks"
    for _, folders, files in os.walk(tasks):
        if files and any(True for _ in files):
            return newest_upload(tasks) > since
    return False


def newest_upload(tasks):
    """The highest number of a task with files."""
    found = [int(entry) for top in os.listdir(tasks) for entry in os.listdir(tasks / top) if entry.isdigit()]
    return max(found, default=0)


def hold(farm, name, since):
    """Locks a task before its move, and returns when a call of a builder waits for that lock."""
    state = {"opening": 4, "closing": 1}[name]
    holder = farm.holder
    try:
        holder.close()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            holder.rows("BEGIN")
            held = holder.rows(f"SELECT id FROM task WHERE id > {since} AND state = {state} AND method = 'sleep' "
                               "ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED")
            if held:
                break
            holder.rows("ROLLBACK")
        else:
            return False
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%'"
        return until(lambda: farm.ask(waiting, "0") != "0")
    except Gone:
        return False


def release(farm):
    """Gives back what `hold` has locked."""
    farm.holder.close()
