from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from bench.firewall.sender import BATCH, Sender

CORE = min(os.sched_getaffinity(0))


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    theirs.settimeout(10)
    with ours, theirs:
        yield ours, theirs


def test_every_frame_is_sent_once_and_in_order(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    frames = [b"%d\0frame" % number for number in range(BATCH + 10)]
    sent = Sender(ours, frames, CORE).send()
    assert sent.frames == len(frames)
    assert [theirs.recv(100) for _ in frames] == frames
    assert sent.cpu > 0
    assert sent.wall > 0


def test_all_are_sent_over_and_over_until_the_time_is_over() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear,
    ):
        ear.bind(("127.0.0.1", 0))
        sock.connect(ear.getsockname())
        sent = Sender(sock, [b"x"] * 3, CORE).send(0.02)
    assert sent.wall >= 0.02
    assert sent.frames > 3
    assert sent.frames % 3 == 0


def test_a_refusal_is_an_error(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.close()
    with pytest.raises(OSError, match="sendmmsg"):
        Sender(ours, [b"x"], CORE).send()
