"""Kinds of tasks that only this worker knows: they use what the library offers to tasks of one's own."""

import base64
import hashlib
import os
import time

import koji
from koji.tasks import BaseTaskHandler, RefuseTask


class Square(BaseTaskHandler):
    """A child: the square of a number, and a fault for a negative one."""

    Methods = ["square"]
    _taskWeight = 0.1

    def handler(self, number, pause=0):
        time.sleep(pause)
        if number < 0:
            raise koji.GenericError(f"{number} is negative")
        return number * number


class SumOfSquares(BaseTaskHandler):
    """A parent: waits for the first child, then for all; one of them may fail."""

    Methods = ["sumOfSquares"]
    _taskWeight = 0.1

    def handler(self, numbers, options=None):
        options = options or {}
        tasks = {}
        for at, number in enumerate(numbers):
            place = {"label": f"n{at}", "channel": options.get("channel", "default"), "arch": "noarch"}
            tasks[self.subtask2(place, "square", number, pause=at * 0.2)] = number
        # A label names a child: asking again makes no second one.
        again = self.subtask("square", [numbers[0]], label="n0")
        if again not in tasks:
            raise koji.GenericError(f"the label gave another task: {again}")
        may_fail = [task for task, number in tasks.items() if number < 0] if options.get("canfail") else None
        self.wait(list(tasks), canfail=may_fail)
        results = self.wait(list(tasks), all=True, failany=True, canfail=may_fail)
        failed = [task for task, result in results.items() if isinstance(result, dict) and "faultCode" in result]
        return {"sum": sum(r for t, r in results.items() if t not in failed), "failed": len(failed)}


class Impatient(BaseTaskHandler):
    """A parent whose children take too long: they are cancelled."""

    Methods = ["impatient"]

    def handler(self, seconds):
        child = self.subtask("sleep", [3600], label="long", arch="noarch")
        return self.wait(child, all=True, timeout=seconds)


class Picky(BaseTaskHandler):
    """Refuses its task, softly from within, or by its check of the host."""

    Methods = ["picky", "neverHere"]

    def checkHost(self, host):
        """This host is no place for one of the two methods."""
        return self.method != "neverHere"

    def handler(self):
        raise RefuseTask("not today")


class Housekeeping(BaseTaskHandler):
    """Calls that builders make about themselves, and the slow way of uploading."""

    Methods = ["housekeeping"]
    Foreground = True

    def handler(self, tag):
        host = self.session.host
        data = {"methods": sorted(self.manager.handlers), "maxjobs": self.options.maxjobs}
        host.setHostData(data)
        hosts, tasks = host.getLoadData()
        policy = {"user_id": self.taskinfo["owner"], "tag": tag, "source": "x", "task_id": self.id}
        granted, _ = host.checkPolicy("build_rpm", policy, default="allow")
        content = b"line of a log\n" * 100
        for offset in range(0, len(content), 700):
            part = content[offset:offset + 700]
            if not self.session.uploadFile(self.getUploadDir(), "slow.log", len(part),
                                           ("sha256", hashlib.sha256(part).hexdigest()), offset,
                                           base64.b64encode(part).decode()):
                raise koji.GenericError("the part was not taken")
        path = os.path.join(self.workdir, "tree", "below", "whole.txt")
        os.makedirs(os.path.dirname(path))
        with open(path, "wb") as file:
            file.write(content)
        self.uploadTree(os.path.join(self.workdir, "tree"))
        return {"host": host.getID(), "enabled": host.isEnabled(), "hosts": len(hosts), "tasks": len(tasks),
                "granted": granted, "policy": host.evalPolicy("build_rpm", policy), "size": len(content),
                "mine": [task["id"] for task in host.getHostTasks()]}
