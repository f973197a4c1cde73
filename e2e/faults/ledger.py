"""What the driver asked for, and what the hub has acknowledged: the record that must hold after any fault."""

import threading
import time

from harness.hub import Fault, Hub

from .farm import ADMIN


class Ledger:
    """Calls in a thread of its own while the fault strikes; `tasks` and `tags` are those that were acknowledged."""

    def __init__(self, farm, prefix):
        self.farm, self.prefix = farm, prefix
        self.tasks, self.tags, self.lost_answers, self.stopped = [], [], 0, threading.Event()
        self.thread = None

    def start(self, count):
        """Begins to make `count` calls."""
        self.thread = threading.Thread(target=self.run, args=(count,), daemon=True)
        self.thread.start()
        return self

    def run(self, count):
        """Makes tasks and tags; a call without an answer may or may not have happened, and is not repeated."""
        hub = None
        for number in range(count):
            if self.stopped.is_set():
                return
            try:
                if hub is None:
                    hub = Hub(self.farm.dice.choice(self.farm.hubs).url, timeout=3).login(*ADMIN)
                if number % 4 == 3:
                    name = f"{self.prefix}-{number}"
                    hub.call("createTag", name)
                    self.tags.append(name)
                else:
                    self.tasks.append(hub.call("makeTask", "sleep", [0], arch="noarch"))
            except (OSError, RuntimeError, Fault):
                self.lost_answers += 1
                hub = None
                time.sleep(0.02)
            except Exception:
                # Half an answer.
                self.lost_answers += 1
                hub = None

    def join(self):
        """Waits until all calls are made."""
        self.thread.join(60)
        self.stopped.set()


def missing(sql, ledger):
    """What was acknowledged and is not there."""
    gone = []
    if ledger.tasks:
        listed = ",".join(map(str, ledger.tasks))
        found = {int(row[0]) for row in sql.rows(f"SELECT id FROM task WHERE id IN ({listed})")}
        gone += [f"task {task}" for task in ledger.tasks if task not in found]
    if ledger.tags:
        listed = ",".join(f"'{tag}'" for tag in ledger.tags)
        found = {row[0] for row in sql.rows(f"SELECT name FROM tag WHERE name IN ({listed})")}
        gone += [f"tag {tag}" for tag in ledger.tags if tag not in found]
    return gone
