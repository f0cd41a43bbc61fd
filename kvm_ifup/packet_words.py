"""The words that describe a packet, one by one: text in, names and values out."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from ganeti_ext.errors import ContractError
from kvm_ifup.profile import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Value = int | str | IPv4Address | IPv6Address

IP4, IP6, ARP, RARP = 0x0800, 0x86DD, 0x0806, 0x8035
ETHERTYPES = {"ip4": IP4, "ip6": IP6, "arp": ARP, "rarp": RARP}
OPERATIONS = {"request": 1, "reply": 2, "reverse-request": 3, "reverse-reply": 4}  # RFC 826, RFC 903
STATES = ("new", "established", "related", "invalid", "untracked")
BRIDGED, ROUTED, LOCAL = "bridged", "routed", "local"
FIRST, LATER = "first-fragment", "later-fragment"

_HEX = frozenset("0123456789abcdef")


class PacketError(ContractError):
    """A description that makes no sense, or says too little."""


def read(words: Iterable[str]) -> dict[str, Value]:
    """What the words say, by name; PacketError names the word that is wrong."""
    found: dict[str, Value] = {}
    for word in words:
        name, value = _read(word)
        if name in found:
            raise PacketError(f"{word!r}: {name} is said twice")
        found[name] = value
    return found


def _read(word: str) -> tuple[str, Value]:
    name, equals, text = word.partition("=")
    if not equals and word in _FLAGS:
        return _FLAGS[word]
    if not equals or name not in _CASTS:
        raise PacketError(f"{word!r} is none of {', '.join((*_FLAGS, *(f'{key}=' for key in _CASTS)))}")
    try:
        return name, _CASTS[name](text)
    except ValueError as err:
        raise PacketError(f"{word!r}: {err}") from err


def show(name: str, value: Value) -> str:
    """A value as one says it."""
    words = _SHOWN.get(name, {})
    if name == "ethertype" and value not in words and isinstance(value, int):
        return f"{value:#06x}"
    return words.get(value, str(value))


def number(text: str, most: int) -> int:
    """A number in decimal or behind 0x; ValueError when it is none, or too large."""
    try:
        found = int(text, 16 if text.startswith("0x") else 10)
    except ValueError:
        found = -1
    if not 0 <= found <= most:
        raise ValueError(f"expected a number from 0 to {most}")
    return found


def _up_to(most: int) -> Callable[[str], Value]:
    return lambda text: number(text, most)


def _mac(text: str) -> str:
    parts = text.lower().split(":")
    if len(parts) != 6 or any(len(part) != 2 or not _HEX.issuperset(part) for part in parts):
        raise ValueError("expected a MAC address such as 52:54:00:00:00:01")
    return ":".join(parts)


def _operation(text: str) -> int:
    if text not in OPERATIONS:
        raise ValueError(f"expected one of {', '.join(OPERATIONS)}")
    return OPERATIONS[text]


# Words that stand alone, and what they say.
_FLAGS: Mapping[str, tuple[str, Value]] = {
    **{word: ("ethertype", value) for word, value in ETHERTYPES.items()},
    **{word: ("proto", value) for word, value in PROTOCOLS.items()},
    **{word: ("state", word) for word in STATES},
    **{word: ("by", word) for word in (BRIDGED, ROUTED, LOCAL)},
    **{word: ("fragment", word) for word in (FIRST, LATER)},
    "headless": ("headless", 1),
    "cut": ("cut", 1),
}
_CASTS: Mapping[str, Callable[[str], Value]] = {
    "mac": _mac,
    "to-mac": _mac,
    "vlan": _up_to(4095),
    "ethertype": _up_to(0xFFFF),
    "src": ip_address,
    "dst": ip_address,
    "proto": _up_to(255),
    "sport": _up_to(65535),
    "dport": _up_to(65535),
    "type": str,  # a name or a number, which depends on the protocol
    "code": _up_to(255),
    "target": IPv6Address,
    "op": _operation,
    "sender-mac": _mac,
}
_SHOWN: Mapping[str, Mapping[Value, str]] = {
    "ethertype": {value: word for word, value in ETHERTYPES.items()},
    "proto": {value: word for word, value in PROTOCOLS.items()},
    "op": {value: word for word, value in OPERATIONS.items()},
}
