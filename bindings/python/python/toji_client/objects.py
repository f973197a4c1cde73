"""Builds, tasks, packages and channels: what the hub sent, as attributes, and what the library knows of it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Optional

from . import task_states
from ._munch import Rich, both


def _moment(seconds: Optional[float]) -> Optional[datetime]:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


class _Timed(Rich):
    """Something that begins and ends."""

    _kind = ""

    def _facts(self) -> dict:
        hub = self._connection._hub
        return getattr(hub, f"{self._kind}_facts")(dict(self))

    @property
    def created(self) -> Optional[datetime]:
        """When it was made, in UTC."""
        return _moment(self._facts()["created"])

    @property
    def started(self) -> Optional[datetime]:
        """When it was begun, in UTC."""
        return _moment(self._facts()["started"])

    @property
    def completed(self) -> Optional[datetime]:
        """When it ended, in UTC; None before that."""
        return _moment(self._facts()["completed"])

    @property
    def duration(self) -> Optional[timedelta]:
        """How long it took, or has taken until now; None before it was begun."""
        facts = self._facts()
        if facts["started"] is None:
            return None
        end = facts["completed"]
        end = datetime.now(timezone.utc).timestamp() if end is None else end
        return timedelta(seconds=max(end - facts["started"], 0))

    @property
    def url(self) -> Optional[str]:
        """The page in the web UI."""
        return self._facts()["url"]

    @property
    def state_name(self) -> Optional[str]:
        """The state as a word."""
        return self._facts()["state_name"]

    @both
    async def estimate_completion(self) -> Optional[datetime]:
        """When it ended or will end; None when nobody can know."""
        found = await self._connection._do("estimate", self._kind, dict(self))
        return None if found is None else _moment(found[1])


class Build(_Timed):
    """A build."""

    _kind = "build"

    @property
    def task_id(self) -> Optional[int]:
        """The task that made it, also that of a container build."""
        return self._facts()["task_id"]

    @property
    def gitbuildhash(self) -> Optional[str]:
        """The commit at the end of the source's URL."""
        return self._facts()["commit"]

    @both
    async def tags(self) -> list:
        """The tags that it has."""
        return await self._connection._call("listTags", self.get("build_id", self.get("id")))

    @both
    async def task(self) -> Optional["Task"]:
        """The task that made it."""
        task_id = self.task_id
        return await self._connection._task(task_id) if task_id else None

    @both
    async def target(self) -> Any:
        """The target it was built for, as its task says."""
        task_id = self.task_id
        task = await self._connection._task(task_id) if task_id else None
        return task.target if task else None


class Task(_Timed):
    """A task; its properties are the same for every method."""

    _kind = "task"

    @property
    def params(self) -> list:
        """The arguments."""
        return self._facts()["params"]

    @property
    def tag(self) -> Any:
        """The tag it works for, by name or number."""
        return self._facts()["tag"]

    @property
    def target(self) -> Any:
        """The build target, by name or number."""
        return self._facts()["target"]

    @property
    def package(self) -> Optional[str]:
        """The package that is built."""
        return self._facts()["package"]

    @property
    def arch(self) -> Optional[str]:
        """The arch it builds for."""
        return self._facts()["arch"]

    @property
    def arches(self) -> list[str]:
        """All arches it builds for."""
        return self._facts()["arches"]

    @property
    def is_scratch(self) -> bool:
        """Whether the result goes nowhere but to its maker."""
        return self._facts()["is_scratch"]

    @property
    def build_id(self) -> Optional[int]:
        """The build that it is about, as its request says."""
        return self._facts()["build_id"]

    @property
    def channel(self) -> "Channel":
        """The channel whose hosts may take it."""
        return Channel({"id": self.channel_id}, self._connection)

    @both
    async def estimate_duration(self) -> Optional[timedelta]:
        """How long it takes from its beginning; None when nobody can know."""
        found = await self._connection._do("estimate", "task", dict(self))
        return None if found is None else timedelta(seconds=found[0])

    @both
    async def build_time(self) -> Optional[timedelta]:
        """The time of its longest buildArch."""
        found = await self._connection._do("build_time", dict(self))
        return None if found is None else timedelta(seconds=found)

    @both
    async def descendents(self, method: Optional[str] = None, state: Optional[int] = None) -> list["Task"]:
        """The tasks below it, of one method and state if asked for."""
        found = await self._connection._descendents(self.id)
        return [t for t in found if method in (None, t.method) and state in (None, t.state)]


class Package(Rich):
    """A package."""

    @property
    def url(self) -> str:
        """The page in the web UI."""
        return f"{self._connection.weburl}/packageinfo?packageID={self.id}"


class Channel(Rich):
    """A channel, to which hosts and tasks belong."""

    @both
    async def hosts(self, **kwargs: Any) -> list:
        """Its hosts; keywords are those of the call `listHosts`."""
        return await self._connection._call("listHosts", channelID=self.id, **kwargs)

    @both
    async def tasks(self, **opts: Any) -> list[Task]:
        """Its tasks, as they will be taken; keywords are those of the call `listTasks`."""
        return await self._connection._tasks({**opts, "channel_id": self.id}, {"order": "priority,create_time"})

    @both
    async def total_capacity(self) -> float:
        """The weight of tasks that its enabled hosts can take together."""
        hosts = await self._connection._call("listHosts", channelID=self.id, enabled=True)
        return sum(host.capacity for host in hosts)


__all__ = ["Build", "Channel", "Package", "Task", "task_states"]
