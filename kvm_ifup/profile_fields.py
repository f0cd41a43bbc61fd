"""What the keys of a firewall profile may say: text in, value out; a ValueError tells what is allowed."""

from __future__ import annotations

from ipaddress import collapse_addresses, ip_network

from ganeti_ext.config import words
from kvm_ifup.profile import ICMP, ICMPV6, PROTOCOLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from ipaddress import IPv4Network, IPv6Network

TYPES = {
    ICMP: {
        "echo-reply": 0,
        "destination-unreachable": 3,
        "redirect": 5,
        "echo-request": 8,
        "router-advertisement": 9,
        "router-solicitation": 10,
        "time-exceeded": 11,
        "parameter-problem": 12,
    },
    ICMPV6: {
        "destination-unreachable": 1,
        "packet-too-big": 2,
        "time-exceeded": 3,
        "parameter-problem": 4,
        "echo-request": 128,
        "echo-reply": 129,
        "mld-query": 130,
        "mld-report": 131,
        "router-solicitation": 133,
        "router-advertisement": 134,
        "neighbour-solicitation": 135,
        "neighbour-advertisement": 136,
        "redirect": 137,
        "mldv2-report": 143,
    },
}
PROTOCOL = f"say {', '.join(PROTOCOLS)}, any, or a number from 1 to 255"


def one_of(*allowed: str) -> Callable[[str], str]:
    """A cast that takes these words."""

    def cast(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"say {' or '.join(allowed)}")
        return text

    return cast


def protocol(text: str) -> int | None:
    """A number of IANA's; None for any."""
    if text == "any":
        return None
    number = PROTOCOLS.get(text) or _number(text, 255)
    if not number:
        raise ValueError(PROTOCOL)
    return number


def ports(text: str) -> tuple[tuple[int, int], ...]:
    """Ranges, ascending and apart, as sets of nft have to be."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(_range(word) for word in _some(text, "ports")):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def types(text: str, number: int) -> tuple[int, ...]:
    """Types of ICMP or ICMPv6."""
    names = TYPES[number]
    found = set()
    for word in _some(text, "types"):
        found.add(names.get(word, _number(word, 255)))
        if None in found:
            raise ValueError(f"{word!r} is no number from 0 to 255 and none of {', '.join(names)}")
    return tuple(sorted(kind for kind in found if kind is not None))


def networks(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Networks of IPv4 and of IPv6, apart."""
    ip4: list[IPv4Network] = []
    ip6: list[IPv6Network] = []
    for word in _some(text, "networks"):
        if "%" in word:
            raise ValueError(f"{word!r} names an interface; say addresses or networks such as 192.0.2.0/24")
        network = ip_network(word)
        if network.version == 4:
            ip4.append(network)
        else:
            ip6.append(network)
    return _texts(collapse_addresses(ip4)), _texts(collapse_addresses(ip6))


def _texts(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


def _some(text: str, what: str) -> tuple[str, ...]:
    found = words(text)
    if not found:  # an empty list must not mean all
        raise ValueError(f"name some {what}, or leave the key out for all")
    return found


def _range(word: str) -> tuple[int, int]:
    low, dash, high = word.partition("-")
    first, last = _number(low, 65535), _number(high if dash else low, 65535)
    if not first or not last or first > last:
        raise ValueError(f"{word!r} is no port from 1 to 65535, nor a range of them such as 8000-8010")
    return first, last


def _number(text: str, most: int) -> int | None:
    """A number up to the most, or None."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 and int(text) <= most else None
