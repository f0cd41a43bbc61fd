"""Verdicts, with a stand-in for the kernel's side of python3-netfilterqueue."""

from __future__ import annotations

import importlib
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest

from ganeti_ext.errors import ExtError


class Packet:
    """What netfilterqueue.Packet gives; a second verdict raises, as there."""

    def __init__(
        self, *, physindev: int = 0, hardware: bytes | None = b"\1\2\3\4\5\6\0\0", payload: bytes = b"x"
    ) -> None:
        self.indev = 2
        self.physindev = physindev
        self.hardware = hardware
        self.payload = payload
        self.verdicts: list[str] = []

    def get_hw(self) -> bytes | None:
        return self.hardware

    def get_payload(self) -> bytes:
        if not self.payload:
            raise RuntimeError("Packet has no payload")
        return self.payload

    def accept(self) -> None:
        self.verdicts.append("accept")

    def drop(self) -> None:
        self.verdicts.append("drop")


class Taker:
    """Takes every packet, and remembers it."""

    def __init__(self) -> None:
        self.packets: list[tuple[int, bytes | None, bytes]] = []

    def __call__(self, ifindex: int, hardware: bytes | None, packet: bytes) -> bool:
        self.packets.append((ifindex, hardware, packet))
        return True


class Kernel:
    """netfilterqueue.NetfilterQueue over a socket pair: each datagram is a packet."""

    bound: dict[str, Any] = {}
    refuse = False

    def __init__(self) -> None:
        self.inner, self.outer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.packets: list[Packet] = []

    def bind(self, number: int, callback: Callable[[Packet], None], **about: int) -> None:
        if self.refuse:
            raise OSError("Failed to create queue 42.")
        Kernel.bound = {"number": number, "callback": callback, "kernel": self, **about}

    def get_fd(self) -> int:
        return self.inner.fileno()

    def run(self, *, block: bool) -> None:
        assert not block
        while True:
            try:
                data = self.inner.recv(4096, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            packet = Packet(payload=data)
            self.packets.append(packet)
            Kernel.bound["callback"](packet)

    def unbind(self) -> None:
        self.inner.close()
        self.outer.close()


@pytest.fixture
def nfqueue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    stand_in = ModuleType("netfilterqueue")
    stand_in.NetfilterQueue = Kernel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "netfilterqueue", stand_in)
    monkeypatch.delitem(sys.modules, "nfdhcpd.nfqueue", raising=False)
    yield importlib.import_module("nfdhcpd.nfqueue")
    sys.modules.pop("nfdhcpd.nfqueue", None)


def verdict(nfqueue: Any, packet: Packet, take: Callable[..., bool], bugs: Sequence[int] = ()) -> list[str]:
    """The verdicts of a packet, which has to tell of a bug in these interfaces."""
    told: list[int] = []
    queue = nfqueue.Queue(42, take, told.append)
    Kernel.bound["callback"](packet)
    queue.close()
    assert told == list(bugs)
    return packet.verdicts


def test_ours_is_dropped_and_others_go_on(nfqueue: Any) -> None:
    assert verdict(nfqueue, Packet(), lambda *_: True) == ["drop"]
    assert verdict(nfqueue, Packet(), lambda *_: False) == ["accept"]


def test_a_bug_gets_one_verdict_before_it_is_told(nfqueue: Any) -> None:
    def fails(*_: object) -> bool:
        raise KeyError("bug")

    packet = Packet(physindev=7)
    told: list[tuple[int, list[str], object]] = []
    queue = nfqueue.Queue(42, fails, lambda index: told.append((index, list(packet.verdicts), sys.exc_info()[0])))
    Kernel.bound["callback"](packet)
    queue.close()
    assert packet.verdicts == ["drop"]
    assert told == [(7, ["drop"], KeyError)]


def test_a_packet_without_payload_gets_one_verdict(nfqueue: Any) -> None:
    assert verdict(nfqueue, Packet(payload=b""), lambda *_: False, [2]) == ["drop"]


@pytest.mark.parametrize(("physindev", "ifindex"), [(7, 7), (0, 2)])
def test_the_port_of_a_bridge_goes_before_the_bridge(nfqueue: Any, physindev: int, ifindex: int) -> None:
    seen = Taker()
    verdict(nfqueue, Packet(physindev=physindev), seen)
    assert seen.packets == [(ifindex, b"\1\2\3\4\5\6", b"x")]


def test_a_packet_without_hardware_address(nfqueue: Any) -> None:
    seen = Taker()
    verdict(nfqueue, Packet(hardware=None), seen)
    assert seen.packets == [(2, None, b"x")]


def test_long_queue_and_big_buffer(nfqueue: Any) -> None:
    nfqueue.Queue(42, lambda *_: True, pytest.fail).close()
    assert (Kernel.bound["number"], Kernel.bound["max_len"], Kernel.bound["sock_len"]) == (42, 8192, 8 << 20)


def test_a_turn_ends_with_the_packets_or_with_the_batch(nfqueue: Any) -> None:
    seen = Taker()
    queue = nfqueue.Queue(42, seen, pytest.fail)
    kernel = Kernel.bound["kernel"]
    nfqueue.BATCH = 4
    for number in range(7):
        kernel.outer.send(b"%d" % number)
    queue.ready()
    assert len(seen.packets) == 4
    queue.ready()
    assert len(seen.packets) == 7
    assert [packet.verdicts for packet in kernel.packets] == [["drop"]] * 7
    assert os.fstat(queue.fileno())
    queue.close()


def test_packets_gather_while_the_queue_is_busy(nfqueue: Any) -> None:
    now, naps = 0.0, list[float]()
    queue = nfqueue.Queue(42, Taker(), pytest.fail, lambda: now, naps.append)
    nfqueue.BUSY = 2

    def comes(packets: int) -> int:
        """Naps after so many packets in one turn, a span after the last."""
        nonlocal now
        now += nfqueue.SPAN * 1.001
        for _ in range(packets):
            Kernel.bound["kernel"].outer.send(b"x")
        queue.ready()
        return len(naps)

    assert [comes(2), comes(3)] == [0, 0]
    assert comes(1) == 1  # as the span before it had been busy
    assert comes(1) == 1
    nfqueue.BATCH = 3
    assert [comes(3), comes(3)] == [1, 1]  # and more wait
    queue.close()


def test_a_queue_that_is_taken(nfqueue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kernel, "refuse", True)
    with pytest.raises(ExtError, match="NFQUEUE 42: Failed to create queue 42"):
        nfqueue.Queue(42, lambda *_: True, pytest.fail)
