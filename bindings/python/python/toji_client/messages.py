"""Messages of a hub's buses: `protonmsg`, `messagebus`, `koji-fedoramessaging` and Toji's own."""

from __future__ import annotations

import json
from typing import Any, Optional, Union

from ._munch import Munch, both, munchify
from .objects import Build, Task


class Message(Munch):
    """What happened; the members depend on `type`."""

    def __init__(self, facts: dict, connection: Any) -> None:
        super().__init__(munchify(facts))
        object.__setattr__(self, "_connection", connection)
        if "build" in facts:
            self["build"] = Build(facts["build"], connection)
        if "task" in facts:
            self["task"] = Task(facts["task"], connection)

    @classmethod
    def from_frame(cls, frame: Any, connection: Any) -> "Message":
        """Reads a frame with `headers` and `body`, as the clients of STOMP and AMQP hand them out."""
        headers = dict(frame.headers)
        return parse(headers.get("destination", ""), headers, frame.body, connection)

    @property
    def url(self) -> Optional[str]:
        """The page in the web UI of what it happened to."""
        about = self.get("build") or self.get("task")
        return about.url if about else None

    @both
    async def user(self) -> Optional[str]:
        """The name of the user who did it, or owns what it happened to."""
        known = self.get("user")
        if known is None and "build" in self:
            known = self["build"].get("owner_name")
        if known is None and "task" in self:
            task = self["task"]
            known = task.get("owner_name")
            owner = task.get("owner", task.get("owner_id"))
            if known is None and owner is not None:
                known = await self._connection._do("name", "user", owner)
        return known


class BuildStateChange(Message):
    """A build is in another state; `event` is its name."""


class TaskStateChange(Message):
    """A task is in another state; `event` is its name."""

    @both
    async def tag(self) -> Optional[str]:
        """The name of the task's tag."""
        tag = self["task"].tag
        return await self._connection._do("name", "tag", tag) if isinstance(tag, int) else tag


class TagUntag(Message):
    """A build got or lost a tag; `event` is `Tag` or `Untag`."""


_CLASSES = {"BuildStateChange": BuildStateChange, "TaskStateChange": TaskStateChange, "TagUntag": TagUntag}


def parse(topic: str, headers: dict, body: Union[str, bytes, dict], connection: Any) -> Message:
    """Reads a message of any bus; raises `ValueError` when it is none."""
    if isinstance(body, dict):
        body = json.dumps(body)
    data = body.encode() if isinstance(body, str) else bytes(body)
    plain = {str(name): value for name, value in headers.items() if isinstance(value, (str, int, float, bool, type(None)))}
    facts = connection._hub.event(topic, plain, data)
    return _CLASSES.get(facts["type"], Message)(facts, connection)
