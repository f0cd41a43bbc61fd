"""A router advertisement as values and as bytes (RFC 4861, 4.2), and the one that takes it back. No socket."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from nfdhcpd import frame, ndp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ADVERT = 134
ALL_NODES = b"\xff\x02" + bytes(13) + b"\1"
ALL_NODES_MAC = b"\x33\x33\0\0\0\1"

PREFIX, MTU, ROUTE, RDNSS, DNSSL, PREF64 = 3, 5, 24, 25, 31, 38
MANAGED, OTHER = 0x80, 0x40
ON_LINK, AUTONOMOUS = 0x80, 0x40
PREFERENCES = {"high": 0x08, "medium": 0x00, "low": 0x18}  # RFC 4191, 2.1; 0x10 is reserved
PREF64_CODES = {96: 0, 64: 1, 56: 2, 48: 3, 40: 4, 32: 5}  # RFC 8781, 4
MOST_ROUTES = 17  # RFC 4191, 4

# A prefix is preferred as long as its router may be used, half an hour by default (RFC 9096 has routers at customers
# say 45 minutes), and valid for 48 times that, a day. With the defaults of RFC 4861, 7 and 30 days, a guest that missed
# a renumbering, or was migrated past it, would use a dead address for a week. Validity is another matter: a deprecated
# address is still used where there is no other, so a day of it costs little, and the connections of guests whose
# node has no daemon for a night live on.
VALID = 48

_HEADERS = 40 + 16  # IPv6, and ICMPv6 up to the options


class Prefix(NamedTuple):
    """Bits, flags L and A, and the packed network."""

    length: int
    flags: int
    network: bytes


class Told(NamedTuple):
    """What an advertisement tells. Addresses and names are packed, times in seconds, routes are (bits, network).

    `router` is the lifetime of the default router, 0 if the sender is none; `lifetime` is that of all the rest, 0 to
    take it back; `preference` one of PREFERENCES; `limit` the most bytes that the IPv6 packet may have, up to 2040.
    """

    mac: bytes
    source: bytes
    limit: int
    flags: int
    preference: int
    router: int
    lifetime: int
    slla: bool
    mtu: int
    prefix: Prefix | None
    servers: tuple[bytes, ...]
    pref64: tuple[tuple[int, bytes], ...]
    routes: tuple[tuple[int, bytes], ...]
    domains: tuple[bytes, ...]


def encode(told: Told) -> bytes:
    """The frame. It is never larger than the limit, as hosts drop what comes in fragments (RFC 6980, 5).

    Options come in the order of need, and what does not fit is left out from the end. Timers and the guest's own hop
    limit are left unsaid. The preference of a router that is none must be medium (RFC 4191, 2.2).
    """
    options = b""
    for make in OPTIONS:
        options += make(told, told.limit - _HEADERS - len(options))
    flags = told.flags | (told.preference if told.router else 0)
    body = struct.pack("!BBHII", 0, flags, told.router, 0, 0) + options
    packet = frame.build_icmp6(frame.Icmp6(told.source, ALL_NODES, 255, ADVERT, 0, body))
    return ALL_NODES_MAC + told.mac + frame.IPV6 + packet


def withdrawal(old: Told, new: Told | None) -> Told | None:
    """What takes back that part of an advertisement which the new one does not tell again, None if there is nothing.

    A router ceases with lifetime 0 (RFC 4861, 6.2.5), and so do its routes (RFC 4191, 2.3), name servers and domains
    (RFC 8106, 5.1 and 5.2) and NAT64 prefix (RFC 8781, 4.1). A prefix is deprecated at once and no longer on link;
    hosts that heed RFC 4862, 5.5.3 e keep its addresses for two hours more. One that only lost a flag is left to run
    out. All of these but router and routes belong to the link, not to the router that told them.
    """
    same = new is not None and new.source == old.source
    base = new if new is not None and same else old
    found = base._replace(
        limit=min(old.limit, base.limit),
        router=base.router if same else 0,
        flags=(new or old).flags,
        lifetime=0,
        slla=False,
        mtu=0,
        prefix=None if new and _network(new) == _network(old) else old.prefix,
        servers=_without(old.servers, new.servers if new else ()),
        pref64=_without(old.pref64, new.pref64 if new else ()),
        routes=_without(old.routes, new.routes if new and same else ()),
        domains=_without(old.domains, new.domains if new else ()),
    )
    left = found.prefix or found.servers or found.pref64 or found.routes or found.domains
    return found if left or (old.router and not found.router) else None


def _network(told: Told) -> tuple[int, bytes] | None:
    return (told.prefix.length, told.prefix.network) if told.prefix else None


_T = TypeVar("_T")


def _without(mine: tuple[_T, ...], others: tuple[_T, ...]) -> tuple[_T, ...]:
    return tuple(item for item in mine if item not in others)


def _slla(told: Told, _room: int) -> bytes:
    return ndp.option(ndp.SLLA, told.mac) if told.slla else b""


def _mtu(told: Told, _room: int) -> bytes:
    return ndp.option(MTU, struct.pack("!2xI", told.mtu)) if told.mtu else b""


def _prefix(told: Told, _room: int) -> bytes:
    if told.prefix is None:
        return b""
    length, flags, network = told.prefix
    return ndp.option(PREFIX, struct.pack("!BBII4x", length, flags, VALID * told.lifetime, told.lifetime) + network)


def _servers(told: Told, room: int) -> bytes:
    """RFC 8106, 5.1."""
    fitting = told.servers[: max(room - 8, 0) // 16]
    return ndp.option(RDNSS, struct.pack("!2xI", told.lifetime) + b"".join(fitting)) if fitting else b""


def _pref64(told: Told, room: int) -> bytes:
    """RFC 8781, 4: the lifetime in 13 bits, in units of 8 s, rounded up."""
    scaled = min((told.lifetime + 7) // 8, 8191)
    heads = ((scaled << 3 | PREF64_CODES[bits], network[:12]) for bits, network in told.pref64)
    return _fitting((ndp.option(PREF64, struct.pack("!H", head) + network) for head, network in heads), room)


def _routes(told: Told, room: int) -> bytes:
    """RFC 4191, 2.3: of the network only as many bytes as its bits need, 0, 8 or 16."""
    found = (
        ndp.option(ROUTE, struct.pack("!BBI", bits, told.preference, told.lifetime) + network[: (bits + 63) // 64 * 8])
        for bits, network in told.routes[:MOST_ROUTES]
    )
    return _fitting(found, room)


def _domains(told: Told, room: int) -> bytes:
    """RFC 8106, 5.2."""
    names = b""
    for name in told.domains:
        if 8 + (len(names) + len(name) + 7) // 8 * 8 > room:
            break
        names += name
    return ndp.option(DNSSL, struct.pack("!2xI", told.lifetime) + names) if names else b""


def _fitting(options: Iterable[bytes], room: int) -> bytes:
    found = b""
    for option in options:
        if len(found) + len(option) > room:
            break
        found += option
    return found


OPTIONS: tuple[Callable[[Told, int], bytes], ...] = (_slla, _mtu, _prefix, _servers, _pref64, _routes, _domains)
