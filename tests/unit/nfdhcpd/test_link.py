from __future__ import annotations

import os
import socket

import pytest

from ganeti_ext.errors import ExtError
from nfdhcpd.link import Sender

PRIVATE_ETHERTYPE = 0x88B5  # IEEE 802, local experimental


@pytest.mark.skipif(os.geteuid() != 0, reason="packet sockets need CAP_NET_RAW")
def test_a_frame_leaves_by_the_interface_of_that_name() -> None:
    frame = bytes(12) + PRIVATE_ETHERTYPE.to_bytes(2, "big") + os.urandom(46)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(PRIVATE_ETHERTYPE)) as heard:
        heard.bind(("lo", PRIVATE_ETHERTYPE))
        heard.settimeout(5)
        Sender().send("lo", frame)
        assert heard.recv(2000) == frame


@pytest.mark.skipif(os.geteuid() != 0, reason="packet sockets need CAP_NET_RAW")
def test_an_interface_that_is_gone() -> None:
    with pytest.raises(OSError, match="No such device"):
        Sender().send("nosuchtap", bytes(60))


def test_without_the_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(ExtError, match="CAP_NET_RAW"):
        Sender()
