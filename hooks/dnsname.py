"""Names of the DNS: absolute, in lower case, with the final dot."""

from __future__ import annotations

import ipaddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# Those of host names, and "_", which Ganeti lets pass in an instance's name.
_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


def absolute(text: str) -> str:
    """A name in full, from a text with or without the final dot; ValueError when it is none.

    What passes is one word to dig and nsupdate, and no option.
    """
    name = text.lower().removesuffix(".")
    if len(name) > 253 or not all(map(_is_label, name.split("."))):
        raise ValueError("not a domain name")
    return name + "."


def is_within(name: str, zone: str) -> bool:
    """Whether a name is the zone's own or below it."""
    return name == zone or name.endswith("." + zone)


def zone_of(name: str, zones: Iterable[str]) -> str | None:
    """The zone that holds a name: the longest of those that match."""
    return max((zone for zone in zones if is_within(name, zone)), key=len, default=None)


def pointer(address: str) -> str:
    """The name of an address' PTR record (RFC 1035 section 3.5, RFC 3596 section 2.5)."""
    return ipaddress.ip_address(address).reverse_pointer + "."


def reverse_zone(prefix: str) -> str:
    """The zone of a prefix's PTR records; ValueError when the prefix does not end with an octet or a nibble."""
    network = ipaddress.ip_network(prefix)
    bits = 8 if network.version == 4 else 4
    if network.prefixlen % bits or not network.prefixlen:
        raise ValueError(f"{prefix} does not end at a multiple of {bits} bits")
    labels = network.network_address.reverse_pointer.split(".")
    return ".".join(labels[(network.max_prefixlen - network.prefixlen) // bits :]) + "."


def _is_label(text: str) -> bool:
    return 0 < len(text) < 64 and _CHARACTERS.issuperset(text) and text.strip("-") == text
