"""Names of instances that may be part of a path."""

from __future__ import annotations

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_LONGEST = 200  # with an ending, a file's name still


def is_name(text: object) -> bool:
    """Whether it can be an instance's name: Ganeti's are host names. No slash, no dot in front, no `-`."""
    return isinstance(text, str) and 0 < len(text) <= _LONGEST and text[0] not in ".-" and _LETTERS.issuperset(text)
