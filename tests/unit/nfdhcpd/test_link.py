from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import pytest

from ganeti_ext.errors import ExtError
from nfdhcpd.link import Sender

PRIVATE_ETHERTYPE = 0x88B5  # IEEE 802, local experimental


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="packet sockets need CAP_NET_RAW")


def frame() -> bytes:
    """One that nobody else sends."""
    return bytes(12) + PRIVATE_ETHERTYPE.to_bytes(2, "big") + os.urandom(46)


@pytest.fixture
def heard() -> Iterator[socket.socket]:
    """What the loopback interface hears."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(PRIVATE_ETHERTYPE)) as sock:
        sock.bind(("lo", PRIVATE_ETHERTYPE))
        sock.settimeout(5)
        yield sock


@needs_root
@pytest.mark.parametrize("number", [1, 2, 64, 65, 150])
def test_frames_leave_by_the_interface_of_their_index(heard: socket.socket, number: int) -> None:
    frames = [frame() for _ in range(number)]
    lo = socket.if_nametoindex("lo")
    assert Sender().send([(lo, one) for one in frames]) == {}
    assert [heard.recv(2000) for _ in frames] == frames


@needs_root
@pytest.mark.parametrize("gone", [{0}, {1, 2}, {4}, {0, 1, 2, 3, 4}, {63, 64}])
def test_an_interface_that_is_gone_costs_the_others_nothing(heard: socket.socket, gone: set[int]) -> None:
    lo, frames = socket.if_nametoindex("lo"), [frame() for _ in range(max(5, 2 + max(gone)))]
    failed = Sender().send([(1 << 30 if place in gone else lo, one) for place, one in enumerate(frames)])
    assert {place: err.errno for place, err in failed.items()} == dict.fromkeys(gone, errno.ENXIO)
    left = [one for place, one in enumerate(frames) if place not in gone]
    assert [heard.recv(2000) for _ in left] == left


def test_without_the_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(ExtError, match="CAP_NET_RAW"):
        Sender()
