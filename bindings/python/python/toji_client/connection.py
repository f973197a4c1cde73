"""The connection to a hub: any call as a method, and the calls whose results are objects."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Callable, Optional
from urllib.parse import parse_qs, urlparse

from ._munch import Munch, both, drive, munchify
from ._native import Hub
from .objects import Build, Channel, Package, Task


class Call:
    """A call of the hub, also one with a dot in its name."""

    def __init__(self, connection: "Connection", name: str) -> None:
        self._connection, self._name = connection, name

    def __getattr__(self, name: str) -> "Call":
        if name.startswith("__"):
            raise AttributeError(name)
        return Call(self._connection, f"{self._name}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._connection.call(self._name, *args, **kwargs)


class Result:
    """The result of a call in a multicall, once that was sent."""

    def __init__(self) -> None:
        self._entry: Any = None
        self._there = False

    def _set(self, entry: Any) -> None:
        self._entry, self._there = entry, True

    @property
    def result(self) -> Any:
        """The result; raises what the hub said against the call."""
        if not self._there:
            raise RuntimeError("the multicall was not sent yet")
        if isinstance(self._entry, Exception):
            raise self._entry
        return self._entry


class MultiCall:
    """Calls that are collected, and sent as one at the end of the `with`."""

    def __init__(self, connection: "Connection", strict: bool = False, batch: Optional[int] = None) -> None:
        self._connection, self._strict, self._batch = connection, strict, batch
        self._calls: list = []
        self._results: list[Result] = []

    def call(self, method: str, *args: Any, **kwargs: Any) -> Result:
        """Adds a call."""
        self._calls.append((method, args, kwargs))
        self._results.append(Result())
        return self._results[-1]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Call(self, name)  # type: ignore[arg-type]

    @both
    async def call_all(self) -> list:
        """Sends the calls; with `strict` the first fault is raised."""
        calls, self._calls = self._calls, []
        results, self._results = self._results, []
        entries = await self._connection._do("multicall", calls, self._batch)
        for result, entry in zip(results, entries):
            result._set(entry if isinstance(entry, Exception) else munchify(entry))
        for entry in entries:
            if self._strict and isinstance(entry, Exception):
                raise entry
        return results

    def __enter__(self) -> "MultiCall":
        if not self._connection._blocking:
            raise TypeError("use `async with`")
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        if kind is None:
            self.call_all()

    async def __aenter__(self) -> "MultiCall":
        return self

    async def __aexit__(self, kind: Any, value: Any, trace: Any) -> None:
        if kind is None:
            await self.call_all()


class Cache:
    """Names of users and tags by their numbers, kept on the disk."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection

    @both
    async def user_name(self, id_: int) -> Optional[str]:
        """The name of a user."""
        return await self._connection._do("name", "user", id_)

    @both
    async def tag_name(self, id_: int) -> Optional[str]:
        """The name of a tag."""
        return await self._connection._do("name", "tag", id_)


class Connection:
    """A hub by the name of its profile; `Connection.to(url)` by its address.

    Any call of the hub is a method that is to be awaited.
    """

    _blocking = False

    def __init__(self, profile: str, *, hub: Optional[Hub] = None) -> None:
        self._hub = hub or Hub.of_profile(profile)
        self.profile = profile
        self.url, self.weburl = self._hub.url, self._hub.weburl
        self.cache = Cache(self)
        self.session_id: Optional[int] = None
        self.session_key: Optional[str] = None

    @property
    def _connection(self) -> "Connection":
        return self

    @classmethod
    def to(cls, url: str, **options: Any) -> "Connection":
        """A hub by its URL; the keywords are those of `Hub`."""
        return cls("", hub=Hub(url, **options))

    @classmethod
    def connect_from_web(cls, url: str) -> Optional["Connection"]:
        """The hub whose web UI has this page, of all that the configuration knows."""
        profile = None if re.search(r"\s", url) else Hub.profile_of_page(url)
        return cls(profile) if profile else None

    def lookup(self, profile: str, setting: str) -> Optional[str]:
        """An option of a profile, as it is written."""
        hub = self._hub if profile == self.profile else Hub.of_profile(profile)
        return hub.settings.get(setting)

    async def _do(self, deed: str, *args: Any) -> Any:
        done = getattr(self._hub, deed)(*args, self._blocking)
        return done if self._blocking else await done

    async def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return munchify(await self._do("call", method, args, kwargs))

    async def _one(self, make: Callable, method: str, *args: Any, **kwargs: Any) -> Any:
        info = await self._do("call", method, args, kwargs)
        return None if info is None else make(info, self)

    async def _many(self, make: Callable, method: str, *args: Any, **kwargs: Any) -> list:
        return [make(info, self) for info in await self._do("call", method, args, kwargs)]

    async def _task(self, task_id: int, **kwargs: Any) -> Optional[Task]:
        return await self._one(Task, "getTaskInfo", task_id, **{**kwargs, "request": True})

    async def _tasks(self, opts: dict, query: dict) -> list[Task]:
        return await self._many(Task, "listTasks", {**opts, "decode": True}, query)

    async def _descendents(self, task_id: int, **kwargs: Any) -> list[Task]:
        kwargs["request"] = True
        families = await self._do("call", "getTaskDescendents", (task_id,), kwargs)
        found = {info["id"]: info for children in families.values() for info in children}
        return [Task(found[id_], self) for id_ in sorted(found)]

    @both
    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Makes a call by its name."""
        return await self._call(method, *args, **kwargs)

    def __getattr__(self, name: str) -> Call:
        if name.startswith("_"):
            raise AttributeError(name)
        return Call(self, name)

    def multicall(self, strict: bool = False, batch: Optional[int] = None) -> MultiCall:
        """Collects calls that are sent as one: `async with hub.multicall() as calls: …`."""
        return MultiCall(self, strict, batch)

    @both
    async def login(self, user: Optional[str] = None, password: Optional[str] = None, token: Optional[str] = None) -> bool:
        """Logs in as the profile says, or by what is given."""
        await self._do("login", user, password, token)
        session = await self._do("session")
        if session:
            self.session_id, self.session_key = session
        return True

    @both
    async def logout(self) -> bool:
        """Ends the session."""
        await self._do("logout")
        self.session_id = self.session_key = None
        return True

    @both
    async def getAverageBuildDuration(self, package: str, **kwargs: Any) -> Optional[timedelta]:
        """The average time in which a package is built."""
        seconds = await self._do("call", "getAverageBuildDuration", (package,), kwargs)
        return None if seconds is None else timedelta(seconds=seconds)

    @both
    async def getBuild(self, build_id: Any, **kwargs: Any) -> Optional[Build]:
        """A build by number or name-version-release."""
        return await self._one(Build, "getBuild", build_id, **kwargs)

    @both
    async def getChannel(self, channel_id: Any, **kwargs: Any) -> Optional[Channel]:
        """A channel by number or name."""
        return await self._one(Channel, "getChannel", channel_id, **kwargs)

    @both
    async def getPackage(self, name: Any, **kwargs: Any) -> Optional[Package]:
        """A package by number or name."""
        return await self._one(Package, "getPackage", name, **kwargs)

    @both
    async def getTaskInfo(self, task_id: int, **kwargs: Any) -> Optional[Task]:
        """A task with its request."""
        return await self._task(task_id, **kwargs)

    @both
    async def getTaskDescendents(self, task_id: int, **kwargs: Any) -> list[Task]:
        """Every task below a task."""
        return await self._descendents(task_id, **kwargs)

    @both
    async def listBuilds(self, package: Any = None, **kwargs: Any) -> list[Build]:
        """Builds of a package, which may be given by name; keywords are those of the call."""
        if isinstance(package, str):
            info = await self._do("call", "getPackage", (package,), {})
            if info is None:
                return []
            package = info["id"]
        return await self._many(Build, "listBuilds", package, **kwargs)

    @both
    async def listTagged(self, tag: Any, **kwargs: Any) -> list[Build]:
        """The builds of a tag; keywords are those of the call."""
        return await self._many(Build, "listTagged", tag, **kwargs)

    @both
    async def listTasks(self, opts: Optional[dict] = None, queryOpts: Optional[dict] = None) -> list[Task]:
        """Tasks that fit; both dictionaries are those of the call."""
        return await self._tasks(opts or {}, queryOpts or {})

    @both
    async def listChannels(self, **kwargs: Any) -> list[Channel]:
        """All channels."""
        return await self._many(Channel, "listChannels", **kwargs)

    @both
    async def from_web(self, url: str) -> Any:
        """What a page of the web UI shows; None when it is no such page."""
        if re.search(r"\s", url):
            return None
        parsed = urlparse(url)
        pages: dict[str, tuple[str, str, Callable]] = {
            "buildinfo": ("buildID", "getBuild", Build),
            "channelinfo": ("channelID", "getChannel", Channel),
            "hostinfo": ("hostID", "getHost", _plain),
            "packageinfo": ("packageID", "getPackage", Package),
            "taginfo": ("tagID", "getTag", _plain),
            "buildtargetinfo": ("targetID", "getBuildTarget", _plain),
            "userinfo": ("userID", "getUser", _plain),
        }
        page, query = parsed.path.rsplit("/", 1)[-1], parse_qs(parsed.query)
        try:
            if page == "taskinfo":
                return await self._task(int(query["taskID"][0]))
            key, method, make = pages[page]
            number = int(query[key][0])
        except (KeyError, ValueError):
            return None
        return await self._one(make, method, number)

    @both
    async def upload(self, file: str, path: str, name: Optional[str] = None, *, overwrite: bool = False,
                     resume: bool = False, progress: Optional[Callable] = None) -> tuple[int, str]:
        """Uploads a file below the hub's work directory; returns size and SHA-256, which the hub has confirmed.

        `progress` is called with bytes done, bytes in all and seconds.
        """
        name = name or str(file).rsplit("/", 1)[-1]
        return await self._do("upload", file, path, name, overwrite, resume, progress)

    @both
    async def download(self, url: str, file: str, *, size: Optional[int] = None, sha256: Optional[str] = None,
                       progress: Optional[Callable] = None) -> str:
        """Downloads a published file, going on where an earlier attempt broke; returns its SHA-256."""
        return await self._do("download", url, file, size, sha256, progress)

    async def watch_tasks(self, *ids: int) -> Any:
        """Tasks as they are now and after each change of their state, until all are finished: `async for`."""
        changes = self._hub.watch_tasks(list(ids))
        while (info := await changes.next(False)) is not None:
            yield Task(info, self)


def _plain(info: dict, connection: Connection) -> Munch:
    return munchify(info)


__all__ = ["Cache", "Call", "Connection", "MultiCall", "Result", "drive"]
