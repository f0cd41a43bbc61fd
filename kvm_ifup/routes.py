"""Routes as the kernel tells them (rtnetlink(7)), the way out of a table, and the names of tables. No socket."""

from __future__ import annotations

import struct
from collections import namedtuple
from ipaddress import ip_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROUTE = struct.Struct("=8BI")  # family, length of destination and source, TOS, table, protocol, scope, type, flags
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_HOP = struct.Struct("=HBBi")  # length, flags, weight less one, interface
_DST, _OIF, _PRIORITY, _MULTIPATH, _TABLE, _PREFERENCE, _NEXT_HOP = 1, 4, 6, 9, 15, 20, 30
_TYPE = 0x3FFF  # NLA_TYPE_MASK
_CLONED, _DEAD, _LINK_DOWN = 0x200, 1, 16
_UNICAST = 1
_KINDS = ("unspec", "", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw")
_RANKS = {1: 0, 0: 1, 3: 2}  # RFC 4191 section 2.1: high, medium, low


class Hop(namedtuple("Hop", "ifindex weight flags")):
    """One way of a route; `flags` are RTNH_F_."""

    __slots__ = ()
    ifindex: int
    weight: int
    flags: int


class Route(namedtuple("Route", "table text default metric rank hops")):
    """`text` is for people, `default` says that it is for all traffic, `rank` orders routes of the same metric."""

    __slots__ = ()
    table: int
    text: str
    default: bool
    metric: int
    rank: int
    hops: tuple[Hop, ...]


def parse(body: bytes) -> Route:
    """A route, from what follows the header of an RTM_NEWROUTE."""
    _, length, source, tos, table, _, _, kind, flags = ROUTE.unpack_from(body)
    values = dict(_attributes(body[ROUTE.size :]))
    hops = tuple(_hops(values.get(_MULTIPATH, b"")))
    if not hops and _OIF in values:
        hops = (Hop(_integer(values[_OIF]), 1, flags),)
    words = [
        _KINDS[kind] if kind < len(_KINDS) else f"type {kind}",
        f"{ip_address(values[_DST])}/{length}" if _DST in values else "default",
        "from some sources" if source else "",
        f"tos {tos:#04x}" if tos else "",
        "by dead links" if hops and not any(map(_alive, hops)) else "",
        # So it is with net.ipv4.nexthop_compat_mode=0.
        f"by next hop object {_integer(values[_NEXT_HOP])} alone" if _NEXT_HOP in values and not hops else "",
    ]
    return Route(
        table=_integer(values[_TABLE]) if _TABLE in values else table,
        text=" ".join(filter(None, words)),
        default=kind == _UNICAST and not (length or source or tos or flags & _CLONED),
        metric=_integer(values.get(_PRIORITY, bytes(4))),
        rank=_RANKS.get(values.get(_PREFERENCE, b"\0")[0], 1),
        hops=hops,
    )


def way_out(routes: Iterable[Route]) -> tuple[int, ...]:
    """Interfaces that traffic to anywhere goes out by, the best first; none when there is no way out.

    Of several routes the one of the lowest metric counts; those that lead nowhere are passed over. Of the hops of a
    multipath route those whose link is up come first, then those of more weight.
    """
    usable = (route for route in routes if route.default and any(map(_alive, route.hops)))
    best = min(usable, key=lambda route: (route.metric, route.rank), default=None)
    hops = filter(_alive, best.hops) if best else ()
    ordered = sorted(hops, key=lambda hop: (bool(hop.flags & _LINK_DOWN), -hop.weight))
    return tuple(dict.fromkeys(hop.ifindex for hop in ordered))


def names(text: str) -> dict[str, int]:
    """Names and numbers of tables, from an rt_tables file (ip-route(8)); lines that make no sense are left out."""
    found = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        try:
            number, name = words
            found[name] = int(number, 0)
        except ValueError:
            continue
    return found


def _alive(hop: Hop) -> bool:
    # The kernel also says dead where a link is down and the interface's ignore_routes_with_linkdown is set.
    return not hop.flags & _DEAD


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not _ATTRIBUTE.size <= length <= len(data) - at:
            return
        yield kind & _TYPE, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def _hops(data: bytes) -> Iterator[Hop]:
    at = 0
    while at + _HOP.size <= len(data):
        length, flags, more, ifindex = _HOP.unpack_from(data, at)
        yield Hop(ifindex, more + 1, flags)
        at += max(_HOP.size, (length + 3) & ~3)


def _integer(data: bytes) -> int:
    return int.from_bytes(data, "little" if struct.pack("=H", 1)[0] else "big")
