"""How long packages take to build."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Optional

from ._munch import drive


def average_build_duration(connection: Any, package: str) -> Any:
    """The average time of a package's builds; of containers that of the last five."""
    return _settle(connection, _average(connection, package, None))


def average_last_builds(connection: Any, package: str, limit: int = 5) -> Any:
    """The average time of a package's last builds."""
    return _settle(connection, _average(connection, package, limit))


def average_build_durations(connection: Any, packages: list) -> Any:
    """The average times of packages, in their order."""
    return _settle(connection, _averages(connection, packages))


async def _average(connection: Any, package: str, limit: Optional[int]) -> Optional[timedelta]:
    seconds = await connection._do("average", package, limit)
    return None if seconds is None else timedelta(seconds=seconds)


async def _averages(connection: Any, packages: list) -> list:
    return [await _average(connection, package, None) for package in packages]


def _settle(connection: Any, work: Any) -> Any:
    return drive(work) if connection._blocking else work
