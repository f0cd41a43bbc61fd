"""Routes in the messages of rtnetlink: some as a kernel sent them, others put together here."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest

from kvm_ifup import routes
from kvm_ifup.routes import Hop

DEAD, LINK_DOWN = 1, 16


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def hop(ifindex: int, weight: int = 1, flags: int = 0, more: bytes = b"") -> bytes:
    return struct.pack("=HBBi", 8 + len(more), flags, weight - 1, ifindex) + more


def message(
    *attributes: bytes, kind: int = 1, dst: str = "", source: int = 0, tos: int = 0, flags: int = 0, family: int = 2
) -> bytes:
    address, _, length = dst.partition("/")
    found = attribute(1, ip_address(address).packed) if dst else b""
    header = struct.pack("=8BI", family, int(length or 0), source, tos, 100, 4, 0, kind, flags)
    return header + found + b"".join(attributes)


def out(ifindex: int, metric: int = 0, *more: bytes, flags: int = 0) -> bytes:
    """A default route."""
    return message(number(4, ifindex), number(6, metric), *more, flags=flags)


def way_out(*messages: bytes) -> tuple[int, ...]:
    return routes.way_out(map(routes.parse, messages))


# Linux 6.18: `ip route add default table 100 ...`, `ip -6 route add ...`
MULTIPATH = bytes.fromhex(
    "02000000640300010000000008000f0064000000240009001000000003000000080005000a0001011011110405000000080005000a000201"
)
UNREACHABLE = bytes.fromhex("02000000640300070000000008000f00640000000800060032000000")


def test_a_multipath_route_of_a_kernel() -> None:
    found = routes.parse(MULTIPATH)
    assert found == routes.Route(100, "default", True, 0, 1, (Hop(3, 1, 0), Hop(5, 5, DEAD | LINK_DOWN)))


def test_a_route_of_a_kernel_that_leads_nowhere() -> None:
    assert routes.parse(UNREACHABLE) == routes.Route(100, "unreachable default", False, 50, 1, ())


@pytest.mark.parametrize(
    ("body", "text", "default"),
    [
        (out(3), "default", True),
        (message(number(4, 3), dst="10.0.1.0/24"), "10.0.1.0/24", False),
        (message(number(4, 3), dst="2001:db8::/64", family=10), "2001:db8::/64", False),
        (message(number(4, 3), kind=2, dst="10.0.1.2/32"), "local 10.0.1.2/32", False),
        (message(kind=6), "blackhole default", False),
        (message(number(4, 3), kind=99), "type 99 default", False),
        (message(number(4, 3), source=64), "default from some sources", False),
        (message(number(4, 3), tos=16), "default tos 0x10", False),
        (message(number(4, 3), flags=0x200), "default", False),
        # What an interface's ignore_routes_with_linkdown makes of a route whose cable is out.
        (message(number(4, 3), flags=DEAD | LINK_DOWN), "default by dead links", True),
        # A next hop object with net.ipv4.nexthop_compat_mode=0 (RTA_NH_ID)
        (message(number(30, 10)), "default by next hop object 10 alone", True),
        (message(number(30, 10), number(4, 3)), "default", True),
    ],
)
def test_what_a_route_is(body: bytes, text: str, default: bool) -> None:
    found = routes.parse(body)
    assert (found.text, found.default) == (text, default)


def test_the_number_of_a_table_may_exceed_a_byte() -> None:
    assert routes.parse(message()).table == 100
    assert routes.parse(message(number(15, 100000))).table == 100000


def test_attributes_of_any_length_are_passed_over() -> None:
    assert routes.parse(message(attribute(8, b"abcde"), attribute(99, b""), number(4, 7))).hops == (Hop(7, 1, 0),)
    # NLA_F_NESTED, and the hops' own attributes
    nested = attribute(0x8009, hop(3, more=attribute(5, b"abcd")) + hop(4))
    assert routes.parse(message(nested)).hops == (Hop(3, 1, 0), Hop(4, 1, 0))


@pytest.mark.parametrize(
    ("messages", "ifindexes"),
    [
        ((), ()),
        ((out(3),), (3,)),
        ((message(number(4, 3), dst="10.0.1.0/24"),), ()),
        ((message(kind=7), out(3, 100)), (3,)),
        # the lowest metric, wherever it stands; 0 where none is said
        ((out(3, 100), out(4, 50), out(5, 200)), (4,)),
        ((out(3, 1), message(number(4, 4))), (4,)),
        ((out(3, 100), out(4, 100)), (3,)),
        # of one metric, the router of the higher preference
        ((out(3, 1), out(4, 1, attribute(20, b"\1"))), (4,)),
        ((out(3, 1, attribute(20, b"\3")), out(4, 1, attribute(20, b"\0"))), (4,)),
        ((out(3, 1, attribute(20, b"\1")), out(4, 0, attribute(20, b"\3"))), (4,)),
        # what is dead is no way; a link without a carrier is one, as for the kernel
        ((out(3, 1, flags=DEAD), out(4, 2)), (4,)),
        ((out(3, 1, flags=LINK_DOWN), out(4, 2)), (3,)),
        ((out(3, flags=DEAD),), ()),
        ((message(number(30, 10)),), ()),
    ],
)
def test_the_way_out(messages: tuple[bytes, ...], ifindexes: tuple[int, ...]) -> None:
    assert way_out(*messages) == ifindexes


@pytest.mark.parametrize(
    ("hops", "ifindexes"),
    [
        ((hop(3), hop(4)), (3, 4)),
        ((hop(3), hop(4, 5), hop(5, 2)), (4, 5, 3)),
        ((hop(3), hop(3)), (3,)),
        ((hop(3, 9, DEAD), hop(4)), (4,)),
        ((hop(3, 9, LINK_DOWN), hop(4)), (4, 3)),
        ((hop(3, 1, DEAD), hop(4, 1, DEAD | LINK_DOWN)), ()),
    ],
)
def test_the_hops_of_a_multipath_route(hops: tuple[bytes, ...], ifindexes: tuple[int, ...]) -> None:
    assert way_out(message(attribute(9, b"".join(hops)))) == ifindexes


def test_cut_messages_end() -> None:
    whole = message(number(15, 100000), number(4, 3), number(6, 7), attribute(20, b"\1"), dst="10.0.0.0/8")
    for end in range(12, len(whole)):
        assert routes.parse(whole[:end]).table in (100, 100000)
    assert routes.parse(message(bytes(64))).hops == ()  # lengths of nothing
    assert len(routes.parse(message(attribute(9, bytes(64)))).hops) == 8


def test_names_of_tables() -> None:
    text = "#\n# reserved values\n#\n255\tlocal\n 0x64  snf_public # ours\n\n7\nbad name\n8 two words\n\n0 unspec"
    assert routes.names(text) == {"local": 255, "snf_public": 100, "unspec": 0}
