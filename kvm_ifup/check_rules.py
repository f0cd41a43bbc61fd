"""Rules that must stand against rules that do. Values in, findings out."""

from __future__ import annotations

import json
from collections import Counter, namedtuple
from typing import TYPE_CHECKING

from kvm_ifup import listing, member_sets, profile_nft

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from kvm_ifup.listing import Listing

RELOAD = "systemctl reload ganeti-ext-reaper"
# Keyed by what taps share: what is left of the last of them harms nobody.
_SHARED = ("zones", "profiles", "enforced")
_STAY = profile_nft.COMMON | {"reach"}


class Finding(namedtuple("Finding", "tap found todo")):
    """Something that is not as it must be: the tap or None, what it is, and what to do about it."""

    __slots__ = ()
    tap: str | None
    found: str
    todo: str


def rules(wanted: Listing, there: Listing, ports: Mapping[str, str]) -> Iterator[Finding]:
    """What is missing or other than it must be. `ports` are taps by the names of their own chains.

    In `wanted` those have no hook: it could not be made without the taps.
    """
    for family in sorted(wanted.tables - there.tables):
        yield Finding(None, f"there is no table {family} {listing.TABLE}", RELOAD)
    for place, hook in wanted.chains.items():
        if place[0] in there.tables:
            yield from _chain(place, hook, wanted, there, ports.get(place[1]))
    for place, elements in wanted.elements.items():
        if place[0] in there.tables and not member_sets.is_one(place[1]):
            yield from _missing(place, elements, there)


def more(wanted: Listing, there: Listing, gone: Container[str]) -> Iterator[Finding]:
    """What stands and must not: elements and chains of taps that have no such thing by their records.

    `gone` are taps, and names of their own chains, that will be undone from their records.
    """
    for (family, name), elements in there.elements.items():
        if member_sets.is_one(name):
            continue  # check_members.py
        known = Counter(wanted.elements.get((family, name), ()))
        for element in elements:
            if name not in _SHARED and element not in known and listing.tap(element) not in gone:
                key = listing.key(element)
                todo = f"nft delete element {family} {listing.TABLE} {name} '{{ {key} }}'"
                yield Finding(listing.tap(element) or None, f"{key} in {name} is in no record", todo)
    for family, name in there.chains:
        stays = (family, name) in wanted.chains or name in _STAY or name.startswith(("profile_", "mark_"))
        if not stays and name not in gone:
            todo = f"nft delete chain {family} {listing.TABLE} {name}"
            yield Finding(None, f"chain {name} of {family} {listing.TABLE} is of no tap that is recorded", todo)


def legacy(wanted: Iterable[str], there: Iterable[str]) -> Iterator[Finding]:
    """Rules of iptables, as `iptables -S` prints them. What is of profiles that no tap has may be there."""
    expected = list(wanted)
    found = list(there)
    for line in expected:
        if line not in found:
            yield Finding(None, f"there is no rule {line}", RELOAD)
    if not set(expected) - set(found) and [line for line in found if line in set(expected)] != expected:
        yield Finding(None, "rules of iptables stand in another order than they must", RELOAD)


def _chain(place: tuple[str, str], hook: str, wanted: Listing, there: Listing, tap: str | None) -> Iterator[Finding]:
    family, name = place
    where = f"chain {name} of {family} {listing.TABLE}"
    if place not in there.chains:
        yield Finding(tap, f"there is no {where}", RELOAD)
        return
    if not (_judges(there.chains[place], tap) if tap else there.chains[place] == hook):
        todo = f"nft delete chain {family} {listing.TABLE} {name}; {RELOAD}"
        yield Finding(tap, f"{where} hangs at {there.chains[place]}, not where it must", todo)
    if there.rules[place] != wanted.rules[place]:
        lost = sum((Counter(wanted.rules[place]) - Counter(there.rules[place])).values())
        extra = sum((Counter(there.rules[place]) - Counter(wanted.rules[place])).values())
        what = (
            f"{lost} of its rules are missing, {extra} are too many" if lost or extra else "its rules are in disorder"
        )
        yield Finding(tap, f"{where}: {what}", RELOAD)


def _judges(hook: str, tap: str) -> bool:
    """Whether a tap's own chain has its hook; nft of Debian 12 does not tell of the interface."""
    found = json.loads(hook)
    told = found.get("dev", tap) in (tap, [tap])
    return told and (found.get("hook"), found.get("policy")) == ("ingress", "drop")


def _missing(place: tuple[str, str], elements: Iterable[str], there: Listing) -> Iterator[Finding]:
    family, name = place
    known = set(there.elements.get(place, ()))
    for element in elements:
        if element not in known:
            found = f"{listing.key(element)} is missing in {name} of {family} {listing.TABLE}"
            yield Finding(listing.tap(element) or None, found, RELOAD)
