"""Sets of groups' members that must stand against sets that do. Values in, findings out."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING

from kvm_ifup import listing, member_sets
from kvm_ifup.check_rules import RELOAD, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kvm_ifup.listing import Listing

    Sets = Mapping[str, Iterable[str]]


class Group(namedtuple("Group", "words taps")):
    """A group whose members taps let come: how it is called, and these taps."""

    __slots__ = ()
    words: str
    taps: tuple[str, ...]


def of_nftables(there: Listing) -> dict[str, list[str]]:
    """The sets of a listing that are of members: their addresses by their names."""
    return {
        name: list(map(listing.key, elements))
        for (family, name), elements in there.elements.items()
        if family == "inet" and member_sets.is_one(name)
    }


def members(wanted: Sets, there: Sets, groups: Mapping[str, Group]) -> Iterator[Finding]:
    """Addresses that are missing, or too many; `groups` are by the names of their sets.

    Of a set that no tap's rules name any more nobody asks.
    """
    for name, group in groups.items():
        must, does = set(wanted.get(name, ())), set(there.get(name, ()))
        for address in sorted(must ^ does):
            if address in must:
                found = f"{address} is a member, and is missing in {name}"
            else:
                found = f"{address} is no member, and is in {name}"
            tap = group.taps[0] if len(group.taps) == 1 else None
            yield Finding(tap, f"{group.words}: {found}, by which they come to {', '.join(group.taps)}", RELOAD)
