from __future__ import annotations

import socket
import struct

import pytest

from nfdhcpd import interfaces
from nfdhcpd.client import Link
from nfdhcpd.interfaces import DELADDR, DELLINK, NEWADDR, NEWLINK, Interfaces

MAC = b"\xfe\0\0\0\0\1"
ADDRESS = bytes.fromhex("fe80000000000000fc00000000000001")


def attribute(kind: int, value: bytes) -> bytes:
    raw = struct.pack("=HH", 4 + len(value), kind) + value
    return raw + bytes(-len(raw) % 4)


def link(index: int, name: str, mac: bytes = MAC, family: int = 0) -> bytes:
    head = struct.pack("=BxHiII", family, 1, index, 0, 0)
    return head + attribute(3, name.encode() + b"\0") + attribute(1, mac)


def address(index: int, value: bytes = ADDRESS, family: int = socket.AF_INET6) -> bytes:
    return struct.pack("=BBBBI", family, 64, 0, 253, index) + attribute(1, value)


@pytest.fixture
def known() -> Interfaces:
    made = Interfaces()
    made.take(NEWLINK, link(7, "tap0"))
    return made


def test_a_new_interface(known: Interfaces) -> None:
    assert known.take(NEWLINK, link(8, "tap1")) == {"tap1"}
    assert known.look("tap1") == Link(8, MAC)
    assert known.look("tap2") is None


def test_one_that_is_gone(known: Interfaces) -> None:
    known.take(NEWADDR, address(7))
    assert known.take(DELLINK, link(7, "tap0")) == {"tap0"}
    assert known.look("tap0") is None
    known.take(NEWLINK, link(7, "tap0"))
    assert known.look("tap0") == Link(7, MAC)


def test_made_anew_before_the_old_ones_end_is_told(known: Interfaces) -> None:
    known.take(NEWLINK, link(9, "tap0"))
    known.take(DELLINK, link(7, "tap0"))
    assert known.look("tap0") == Link(9, MAC)


def test_renamed(known: Interfaces) -> None:
    assert known.take(NEWLINK, link(7, "tap5")) == {"tap0", "tap5"}
    assert (known.look("tap0"), known.look("tap5")) == (None, Link(7, MAC))


def test_leaving_a_bridge_is_not_the_end(known: Interfaces) -> None:
    assert known.take(DELLINK, link(7, "tap0", family=socket.AF_BRIDGE)) == set()
    assert known.look("tap0") == Link(7, MAC)


def test_addresses(known: Interfaces) -> None:
    assert known.take(NEWADDR, address(7)) == {"tap0"}
    assert known.look("tap0") == Link(7, MAC, frozenset((ADDRESS,)))
    assert known.take(DELADDR, address(7)) == {"tap0"}
    assert known.look("tap0") == Link(7, MAC)


def test_addresses_of_ipv4_and_other_messages_are_nothing(known: Interfaces) -> None:
    assert known.take(NEWADDR, address(7, bytes(4), socket.AF_INET)) == set()
    assert known.take(24, bytes(40)) == set()


def test_an_interface_without_a_mac(known: Interfaces) -> None:
    known.take(NEWLINK, link(3, "tun0", b""))
    assert known.look("tun0") == Link(3, b"")


def test_messages_of_one_read() -> None:
    one, two = link(7, "tap0"), link(8, "tap1")
    data = b"".join(struct.pack("=IHHII", 16 + len(body), 16, 0, 0, 0) + body for body in (one, two))
    assert [(kind, body) for kind, body in interfaces.messages(data)] == [(16, one), (16, two)]
    assert list(interfaces.messages(bytes(16))) == []
