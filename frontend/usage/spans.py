"""Spans of one thing, from what was said of it and when. Pure.

Each point says some of what holds from its moment on; what it does not say is as before. The points are a set, and the
spans follow from it alone: so the order in which points come to be known makes no difference, nor that one comes twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

SERVER, VOLUME, SNAPSHOT, IMAGE, ADDRESS = "server", "volume", "snapshot", "image", "address"
KINDS = (SERVER, VOLUME, SNAPSHOT, IMAGE, ADDRESS)

NOTHING: Mapping[str, Any] = {"alive": False, "project_id": "", "flavor_id": "", "vcpus": 0, "ram": 0, "gib": 0.0}
"""What holds of a thing of which nothing was said."""


class Key(NamedTuple):
    """Points of one thing are in this order."""

    began: float
    """Seconds since 1970, by the master's clock."""
    job: int
    """That brought it about; 0: none did, it was seen to be so."""
    op_index: int


Points = Mapping[Key, Mapping[str, Any]]
"""What was said of a thing, and when."""


def folded(points: Points) -> dict[Key, dict[str, Any]]:
    """What holds from each point on (as NOTHING), with `until`: the next point's moment, None after the last."""
    keys, held, found = sorted(points), dict(NOTHING), {}
    for number, key in enumerate(keys):
        held = {**held, **points[key]}
        following = keys[number + 1].began if number + 1 < len(keys) else None
        found[key] = {**held, "until": following}
    return found


def last(points: Points) -> dict[str, Any]:
    """What holds now."""
    held = dict(NOTHING)
    for key in sorted(points):
        held.update(points[key])
    return held


def behind(points: Iterable[Key], at: float) -> Key:
    """The key of what was seen at a moment: after all that is known, as it was seen by who knew that."""
    newest = max(points, default=None)
    if newest is None or newest.began < at:
        return Key(at, 0, 0)
    return newest._replace(op_index=newest.op_index + 1)


def agreed(points: Points, now: Mapping[str, Any], at: float, first: float | None = None) -> Points | None:
    """The points with those more that it takes for `now` to hold; None: it does. `at`: when that was seen, `first`:
    since when it is so at least, of a thing of which nothing is known.
    """
    held = last(points)
    if not now.get("alive", held["alive"]) and not held["alive"]:
        return None
    said = {key: value for key, value in now.items() if held[key] != value}
    if not said:
        return None
    guessed = {Key(first, 0, 0): said} if not points and first is not None and first < at else {}
    return {**points, **guessed, behind(points, at): said}


def seconds(began: float, until: float | None, start: float, end: float) -> float:
    """How much of a span lies between two moments; one that goes on lasts to the end."""
    return max(0.0, min(end, end if until is None else until) - max(start, began))
