"""The states of builds."""

BUILDING, COMPLETE, DELETED, FAILED, CANCELED = range(5)

_NAMES = ("BUILDING", "COMPLETE", "DELETED", "FAILED", "CANCELED")


def to_str(number: int) -> str:
    """The name of a state."""
    return _NAMES[number] if 0 <= number < len(_NAMES) else f"(unknown state {number})"
