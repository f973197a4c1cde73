"""The states of tasks."""

FREE, OPEN, CLOSED, CANCELED, ASSIGNED, FAILED = range(6)

ACTIVE_GROUP = (FREE, OPEN, ASSIGNED)
DONE_GROUP = (CLOSED, CANCELED, FAILED)

_NAMES = ("FREE", "OPEN", "CLOSED", "CANCELED", "ASSIGNED", "FAILED")


def to_str(number: int) -> str:
    """The name of a state."""
    return _NAMES[number] if 0 <= number < len(_NAMES) else f"(unknown state {number})"
