"""Elements that stand for a tap though its record does not know of them.

A script was killed when the kernel had taken its transaction, or another tap had the guest's address before. Such
elements cannot be added with other data, and those that a record knows cannot be deleted without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kvm_ifup import listing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kvm_ifup.listing import Listing
    from kvm_ifup.state import Record

_BY_ADDRESS = ("profile_ip4", "profile_ip6")


def removal(records: Iterable[Record], ruleset: str) -> str:
    """The nft text that takes away all that stands for these taps, as `nft -j list ruleset` tells it."""
    found = listing.parse(ruleset)
    places = dict.fromkeys(place for record in records for place in _places(record, found))
    return "".join(f"delete element {family} ganeti_ext {name} {{ {key} }}\n" for family, name, key in places)


def _places(record: Record, found: Listing) -> Iterable[tuple[str, str, str]]:
    _, _, bridge, addresses = record.firewall or (None, None, None, ())
    by_address = {f'"{bridge}" . {address}' for address in addresses}
    for (family, name), elements in found.elements.items():
        for key in map(listing.key, elements):
            if key.partition(" . ")[0] == f'"{record.tap}"' or (name in _BY_ADDRESS and key in by_address):
                yield family, name, key
