"""Dictionaries whose members are attributes too, and how one text serves awaiting and waiting programs."""

from __future__ import annotations

import functools
from typing import Any


def settle(future: Any, value: Any, error: Any) -> None:
    """Gives a future its result, unless nobody waits for it any more."""
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)


class Munch(dict):
    """A dictionary whose members are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def munchify(value: Any) -> Any:
    """The same with every dictionary in it as a `Munch`."""
    if isinstance(value, dict):
        return Munch((name, munchify(item)) for name, item in value.items())
    if isinstance(value, list):
        return [munchify(item) for item in value]
    return value


def both(function: Any) -> Any:
    """A method that is awaited, or waits itself if the connection is a blocking one."""

    @functools.wraps(function)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        work = function(self, *args, **kwargs)
        return drive(work) if self._connection._blocking else work

    return call


def drive(work: Any) -> Any:
    """Runs a coroutine that never suspends: a blocking connection returns results, not something to await."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    work.close()
    raise RuntimeError("a blocking connection had to wait")


class Rich(Munch):
    """What a hub sent, and the connection that it came by."""

    def __init__(self, info: dict, connection: Any) -> None:
        super().__init__(munchify(info))
        object.__setattr__(self, "_connection", connection)

    @property
    def connection(self) -> Any:
        return self._connection
