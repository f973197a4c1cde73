"""The same connection for scripts: each method returns its result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import connection
from .objects import Task


class Connection(connection.Connection):
    """A hub by the name of its profile; `Connection.to(url)` by its address. Any call of the hub is a method."""

    _blocking = True

    def watch_tasks(self, *ids: int) -> Iterator[Task]:  # type: ignore[override]
        """Tasks as they are now and after each change of their state, until all are finished."""
        changes: Any = self._hub.watch_tasks(list(ids))
        while (info := changes.next(True)) is not None:
            yield Task(info, self)


__all__ = ["Connection"]
