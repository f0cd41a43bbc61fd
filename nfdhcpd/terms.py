"""What guests are told beside their addresses, and who says it.

Three voices, the later ones louder: [guests] of nfdhcpd.conf for all, [guests TAG] for those on a network with that
tag (several: in the order of the tags), the binding file for one guest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from ganeti_ext.config import CASTS
from nfdhcpd import names, raw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MODES = ("auto", "slaac", "slaac+dhcpv6", "dhcpv6")
PREFERENCES = ("low", "medium", "high")
FAMILIES = (IPV4, IPV6) = ("ipv4", "ipv6")


@dataclass(frozen=True, slots=True)
class Terms:
    """Times in seconds; lists may hold both families; an empty value or 0 is not told.

    `routes` are DESTINATION@GATEWAY, `options` and `options6` are CODE:HEX, raw and told to whoever asks for them.
    `only` is the one of FAMILIES that is told of, empty: both.
    """

    lease: int = 7 * 24 * 3600
    mtu: int = 0
    nameservers: tuple[str, ...] = ()
    domain: str = ""
    search: tuple[str, ...] = ()
    ntp: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    ipv6_only: int = 0
    boot_server: str = ""
    boot_file: str = ""
    boot_efi: str = ""
    boot_http: str = ""
    boot_ipxe: str = ""
    ipv6_mode: str = "auto"
    router_preference: str = "medium"
    pref64: str = ""
    prefix6: str = ""
    options6: tuple[str, ...] = ()
    only: str = ""


FIELDS: Mapping[str, str] = Terms.__annotations__


class Guests:
    """The terms of every guest. `sections` has what [guests] sets under "", what [guests TAG] sets under TAG."""

    def __init__(self, sections: Mapping[str, Mapping[str, object]]) -> None:
        self._sections = sections
        self._of = lru_cache(maxsize=1024)(self._merge)

    def of(self, tags: tuple[str, ...] = (), own: tuple[tuple[str, str], ...] = ()) -> Terms:
        """The terms of a guest with these network tags, whose binding says `own`; ValueError names a bad value."""
        return self._of(tuple(tag for tag in tags if tag and tag in self._sections), own)

    def _merge(self, tags: tuple[str, ...], own: tuple[tuple[str, str], ...]) -> Terms:
        values: dict[str, object] = {}
        for tag in ("", *tags):
            values |= self._sections.get(tag, {})
        for key, text in own:
            value = CASTS[FIELDS[key]](text)
            try:
                check(key, value)
            except ValueError as err:
                raise ValueError(f"{key.upper()} has a bad value {text!r}: {err}") from err
            values[key] = value
        return Terms(**values)  # type: ignore[arg-type]


def check(key: str, value: object) -> None:
    """ValueError when a term cannot have this value; a key that is not a term is a KeyError."""
    rule = CHECKS[key]
    if value != Terms.__dataclass_fields__[key].default:
        rule(value)


def route(text: str) -> tuple[IPv4Network, IPv4Address] | tuple[IPv6Network, IPv6Address]:
    """DESTINATION@GATEWAY, both of one family; ValueError else."""
    target, at, gateway = text.partition("@")
    network, address = ip_network(target), ip_address(gateway) if at else None
    if isinstance(network, IPv4Network) and isinstance(address, IPv4Address):
        return network, address
    if isinstance(network, IPv6Network) and isinstance(address, IPv6Address):
        return network, address
    raise ValueError(f"{text!r} is not DESTINATION@GATEWAY of one family")


def between(least: int, most: int) -> Callable[[int], None]:
    """A check of numbers."""

    def check_number(value: int) -> None:
        if not least <= value <= most:
            raise ValueError(f"from {least} to {most}")

    return check_number


def _each(rule: Callable[[str], object]) -> Callable[[tuple[str, ...]], None]:
    def check_items(items: tuple[str, ...]) -> None:
        for item in items:
            rule(item)

    return check_items


def _one_of(*words: str) -> Callable[[str], None]:
    def check_word(text: str) -> None:
        if text not in words:
            raise ValueError(f"say {', '.join(words[:-1])} or {words[-1]}")

    return check_word


def _text(text: str) -> None:
    if not text.isascii() or not text.isprintable() or len(text) > 255:
        raise ValueError("up to 255 printable ASCII characters")


def _pref64(text: str) -> None:
    if IPv6Network(text).prefixlen not in (32, 40, 48, 56, 64, 96):
        raise ValueError("a prefix of 32, 40, 48, 56, 64 or 96 bits")


CHECKS: Mapping[str, Callable[..., object]] = {
    # T1 < T2 < lease needs room; above is "infinite" (RFC 2131, 3.3), which would never bring a change to a guest.
    "lease": between(60, 0xFFFFFFFE),
    "mtu": between(68, 65535),  # RFC 2132, 5.1
    "nameservers": _each(ip_address),
    "domain": names.encode,
    "search": _each(names.encode),
    "ntp": _each(ip_address),
    "routes": _each(route),
    "options": raw.fours,
    "ipv6_only": between(300, 0xFFFFFFFF),  # MIN_V6ONLY_WAIT, RFC 8925, 3.4
    "boot_server": IPv4Address,
    "boot_file": _text,
    "boot_efi": _text,
    "boot_http": _text,
    "boot_ipxe": _text,
    "ipv6_mode": _one_of(*MODES),
    "router_preference": _one_of(*PREFERENCES),
    "pref64": _pref64,  # RFC 8781, 4
    "prefix6": IPv6Network,
    "options6": _each(raw.six),
    "only": _one_of(*FAMILIES),
}
