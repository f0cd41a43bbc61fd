"""The regular expressions of list filters, in a subset that is matched in linear time.

Python's `re` takes exponential time for some expressions, which a tenant may send. Here each step keeps the
set of places that the expression may be at, so a match costs len(text) * len(expression) at most.

Understood: literals, `.`, sets like [a-z], escapes like \\d and \\-, the anchors ^ and $, and * + ? after one
character. Not understood (a ValueError): groups, alternatives, counts, look-around, back references.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

LONGEST = 255
_TOKEN = re.compile(
    r"""(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
      | (?P<class>\\[dDsSwW])
      | (?P<escaped>\\[^A-Za-z0-9])
      | (?P<any>\.)
      | (?P<plain>[^\\\[\].*+?{}()|^$])""",
    re.VERBOSE | re.DOTALL,
)


class _Step(NamedTuple):
    fits: Callable[[str], object]
    optional: bool
    repeated: bool


class Pattern:
    """`search(text)` like re's: anywhere unless anchored, upper and lower case alike (as Nova's database does)."""

    def __init__(self, expression: str) -> None:
        if len(expression) > LONGEST:
            raise ValueError(f"{len(expression)} characters, at most {LONGEST} are allowed")
        self._anchored = expression.startswith("^")
        rest = expression[self._anchored :]
        self._to_end = rest.endswith("$") and not rest.endswith("\\$")
        self._steps = list(_steps(rest.removesuffix("$") if self._to_end else rest))

    def search(self, text: str) -> bool:
        places = self._skip({0})
        end = len(self._steps)
        for character in text:
            if end in places and not self._to_end:
                return True
            places = self._skip(self._advance(places, character))
            if not self._anchored:
                places |= self._skip({0})
        return end in places

    def _advance(self, places: set[int], character: str) -> set[int]:
        found = set()
        for place in places:
            if place < len(self._steps) and self._steps[place].fits(character):
                found.add(place + 1)
                if self._steps[place].repeated:
                    found.add(place)
        return found

    def _skip(self, places: set[int]) -> set[int]:
        """With the places that are reached without a character."""
        found = set(places)
        for place in places:
            reached = place
            while reached < len(self._steps) and self._steps[reached].optional and reached + 1 not in found:
                reached += 1
                found.add(reached)
        return found


def _steps(expression: str) -> list[_Step]:
    found = []
    at = 0
    while at < len(expression):
        token = _TOKEN.match(expression, at)
        if token is None:
            raise ValueError(f"{expression[at:]!r} is not understood")
        at = token.end()
        sign = expression[at] if at < len(expression) and expression[at] in "*+?" else ""
        at += len(sign)
        found.append(_Step(_single(token), optional=sign in ("*", "?"), repeated=sign in ("*", "+")))
    return found


def _single(token: re.Match[str]) -> Callable[[str], object]:
    """Whether one character fits. Of a single-character expression `re` cannot take long."""
    if token.lastgroup == "plain":
        return _same(token[0])
    if token.lastgroup == "escaped":
        return _same(token[0][1])
    try:
        return re.compile(token[0], re.DOTALL | re.IGNORECASE).fullmatch
    except re.error as err:
        raise ValueError(f"{token[0]!r}: {err}") from err


def _same(wanted: str) -> Callable[[str], bool]:
    folded = wanted.casefold()
    return lambda character: character.casefold() == folded
