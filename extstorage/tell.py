"""What ganeti-ext-storage prints: facts in, lines out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ganeti_ext.plaintext import clean, columns, natural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    Facts = Mapping[str, Any]

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_LISTED = ("volume", "kind", "store", "size", "data", "own", "origin", "created", "open on")
_ROOM = ("store", "volumes", "snapshots", "images", "logical", "data", "shared", "own", "total", "free")
_IMAGES = ("image", "kind", "store", "size", "data", "own", "name", "created")
_USAGE = ("name", "kind", "store", "size", "data", "own", "origin")
_LOCKS = ("volume", "store", "node", "mode", "since", "down")


def shared(examined: int, octets: int, *, merges: bool) -> str:
    """What became of an image that was looked at for what others have, too."""
    if merges:
        return f"shares {size(octets)} of {size(examined)} that it had not shared"
    return (
        f"was looked at, {size(examined)}: an import of the same will be its clone; with others that are there it is"
        " not merged"
    )


def size(count: int | None) -> str | None:
    """Bytes for people: 1536 is 1.5 KiB. None, of what is not known, stays None."""
    if count is None:
        return None
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    digits = 0 if unit == 0 or value >= 100 or value == int(value) else 1
    return f"{value:.{digits}f} {_UNITS[unit]}"


def listing(found: Iterable[Facts]) -> Iterator[str]:
    """The answer to `list`."""
    ordered = sorted(found, key=lambda facts: (facts["store"], facts["kind"] != "image", natural(facts["name"])))
    rows = [
        (
            *(facts["name"], facts["kind"], facts["store"]),
            *(size(facts[key]) for key in ("logical", "physical", "exclusive")),
            *(facts["origin"], _date(facts["created"]), ", ".join(one["node"] for one in facts["holders"])),
        )
        for facts in ordered
    ]
    yield from columns([[word.upper() for word in _LISTED], *rows])


def volume(facts: Facts) -> Iterator[str]:
    """The answer to `show`."""
    yield clean(f"{facts['name']}: {facts['kind']} in {facts['store']}")
    pairs: list[tuple[str, object]] = [
        ("size", _exact(facts["logical"])),
        ("data", _exact(facts["physical"]) or "not known"),
        ("of its own", _exact(facts["exclusive"]) or "not known"),
        ("origin", facts["origin"] or "none"),
        ("created", _date(facts["created"]) or "not known"),
        *[("descendant", name) for name in facts["descendants"]],
        *[("open on", _holder(one)) for one in facts["holders"]],
        ("Ganeti's", facts["disk"] or "not known on this node"),
    ]
    before = ""
    for label, value in pairs:
        yield clean(f"  {label + ':' if label != before else '':<12} {value}")
        before = label


def tree(found: Iterable[Facts]) -> Iterator[str]:
    """The answer to `tree`: below each store what descends from nothing, indented what descends from that."""
    store = ""
    for facts in found:
        if facts["store"] != store:
            store = facts["store"]
            yield clean(f"{store}:")
        own = size(facts["exclusive"])
        words = [size(facts["logical"]) or "", *([f"{own} of its own"] if own else [])]
        words += [f"open on {one['node']}" for one in facts["holders"]]
        gone = f", origin {facts['origin']} is gone" if facts["depth"] == 0 and facts["origin"] else ""
        yield clean(f"{'  ' * (facts['depth'] + 1)}{facts['kind']} {facts['name']}  ({', '.join(words)}{gone})")


def room(found: Iterable[Facts]) -> Iterator[str]:
    """The answer to `df`."""
    rows = [
        (
            *(facts[key] for key in ("store", "volumes", "snapshots", "images")),
            *(size(facts[key]) for key in ("logical", "physical", "shared", "exclusive", "total", "free")),
        )
        for facts in found
    ]
    yield from columns([[word.upper() for word in _ROOM], *rows])


def images(found: Iterable[Facts]) -> Iterator[str]:
    """The answer to `image list`."""
    rows = [
        (
            *(facts["id"], facts["kind"], facts["store"]),
            *(size(facts[key]) for key in ("size", "physical", "exclusive")),
            *((facts["facts"] or {}).get("name"), _date(facts["created"])),
        )
        for facts in found
    ]
    yield from columns([[word.upper() for word in _IMAGES], *rows])


def usage(found: Iterable[Facts]) -> Iterator[str]:
    """The answer to `image usage`."""
    rows = [
        (
            *(facts["name"], facts["kind"], facts["store"]),
            *(size(facts[key]) for key in ("logical", "physical", "exclusive")),
            facts["origin"],
        )
        for facts in found
    ]
    yield from columns([[word.upper() for word in _USAGE], *rows])


def locks(found: Iterable[Facts]) -> Iterator[str]:
    """The answer to `locks`."""
    rows = [tuple(facts[key] for key in ("volume", "store", "node", "mode", "since", "down")) for facts in found]
    yield from columns([[word.upper() for word in _LOCKS], *rows])


def findings(found: Iterable[Facts], volumes: int, owners: bool) -> Iterator[str]:
    """The answer to `verify` of so many volumes; `owners`: this node knows Ganeti's disks."""
    known = list(found)
    for one in known:
        yield clean(f"{one['store']}: {one['kind']} {one['volume']}: {one['found']}")
        yield clean(f"    {one['todo']}")
    if not known:
        against = (
            "as Ganeti has them" if owners else "well, as far as a node knows that has no copy of the configuration"
        )
        yield f"{volumes} volumes: all are {against}, and nothing is left over"


def done(found: Iterable[Facts]) -> Iterator[str]:
    """What a change has done."""
    yield from (clean(one["did"]) for one in found)


def _exact(count: int | None) -> str | None:
    if count is None:
        return None
    return f"{size(count)} ({count} bytes)" if count >= 1024 else f"{count} bytes"


def _holder(one: Facts) -> str:
    return f"{one['node']} ({one['mode']}, since {one['since']})" + (f": {one['down']}" if one.get("down") else "")


def _date(moment: float | None) -> str | None:
    return None if moment is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
