"""When something was told, by the master's clock: SECONDS.NANOSECONDS."""

from __future__ import annotations

# Seconds that a call may be on its way: hook_timeout of eventd.
_LATEST = 60


def checked(text: str) -> str:
    """The same text; ValueError when it is no time."""
    moment(text)
    return text


def moment(text: str) -> tuple[int, int]:
    seconds, _, nanoseconds = text.partition(".")
    return int(seconds), int(nanoseconds)


def is_late(told: str, last: str) -> bool:
    """Whether this was on its way when something newer came. What seems older still is of a new master's clock."""
    now, before = moment(told), moment(last)
    return now <= before and before[0] - now[0] <= _LATEST
