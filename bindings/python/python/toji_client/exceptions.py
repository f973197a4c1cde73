"""One exception for each fault of a hub, with the names and the inheritance of the stock client."""

from __future__ import annotations

from ._native import FAULTS


class KojiException(Exception):
    """Anything that a hub refuses, or answers wrongly."""

    faultCode: int = 1


class KojiLoginException(KojiException):
    """A login that failed before the hub could judge it."""


def _make() -> dict[int, type[KojiException]]:
    by_name: dict[str, type[KojiException]] = {}
    by_code = {}
    pending = list(FAULTS)
    while pending:
        code, name, parent = pending.pop(0)
        if parent is not None and parent not in by_name:
            pending.append((code, name, parent))
            continue
        base = by_name[parent] if parent else KojiException
        made = type(name, (base,), {"faultCode": code, "__module__": __name__})
        by_name[name] = by_code[code] = made
    globals().update(by_name)
    return by_code


_BY_CODE = _make()


def of_fault(code: int, text: str) -> KojiException:
    """The exception for a fault code."""
    made = _BY_CODE.get(code, KojiException)(text)
    made.faultCode = code
    return made
