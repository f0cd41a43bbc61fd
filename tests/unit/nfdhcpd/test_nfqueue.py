"""Verdicts, with a stand-in for the kernel's side of python3-netfilterqueue."""

from __future__ import annotations

import importlib
import itertools
import os
import select
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from ganeti_ext.errors import ExtError


class Packet:
    """What netfilterqueue.Packet gives."""

    ids = itertools.count(1)

    def __init__(
        self, *, physindev: int = 0, hardware: bytes | None = b"\1\2\3\4\5\6\0\0", payload: bytes = b"x"
    ) -> None:
        self.id = next(Packet.ids)
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
        self.waiting: list[Packet] = []

    def bind(self, number: int, callback: Callable[[Packet], None], **about: int) -> None:
        if self.refuse:
            raise OSError("Failed to create queue 42.")
        Kernel.bound = {"number": number, "callback": callback, "kernel": self, **about}

    def get_fd(self) -> int:
        return self.inner.fileno()

    def gets(self, *packets: Packet) -> None:
        """Packets come in."""
        for packet in packets:
            self.waiting.append(packet)
            self.outer.send(b"x")

    def run(self, *, block: bool) -> None:
        assert not block
        while True:
            try:
                self.inner.recv(4096, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            packet = self.waiting.pop(0)
            self.packets.append(packet)
            Kernel.bound["callback"](packet)

    def judge(self) -> None:
        """Carry out the batch verdicts that have been sent: on the packets up to an id that have none yet."""
        while select.select([self.outer], [], [], 0)[0]:
            message = self.outer.recv(4096)
            length, kind, flags, _, _ = struct.unpack("=IHHII", message[:16])
            assert (length, kind, flags) == (len(message), 0x0303, 1)  # NFQNL_MSG_VERDICT_BATCH, a request
            assert message[16:20] == b"\0\0" + Kernel.bound["number"].to_bytes(2, "big")
            assert struct.unpack("=HH", message[20:24]) == (12, 2)  # NFQA_VERDICT_HDR
            verdict, last = struct.unpack(">II", message[24:])
            assert verdict == 0  # NF_DROP
            for packet in self.packets:
                if packet.id <= last and not packet.verdicts:
                    packet.verdicts.append("drop")

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


@pytest.fixture
def flushed() -> list[str]:
    """A word for each flush."""
    return []


@pytest.fixture
def make(nfqueue: Any, flushed: list[str]) -> Callable[..., Any]:
    """A queue; a bug is a failure unless it is expected."""

    def unexpected(ifindex: int) -> None:
        pytest.fail(f"a bug of interface {ifindex}")

    def new(take: Callable[..., bool], bug: Callable[[int], None] = unexpected, *clocks: Any) -> Any:
        return nfqueue.Queue(42, take, lambda: flushed.append("flush"), bug, *clocks)

    return new


def verdicts(queue: Any, *packets: Packet) -> list[list[str]]:
    """Those of packets that come at once."""
    kernel = Kernel.bound["kernel"]
    kernel.gets(*packets)
    queue.ready()
    kernel.judge()
    queue.close()
    return [packet.verdicts for packet in packets]


def test_ours_are_dropped_and_others_go_on(make: Callable[..., Any], flushed: list[str]) -> None:
    fate = {b"ours": True, b"other": False}
    queue = make(lambda _index, _hardware, payload: fate[payload])
    packets = [Packet(payload=payload) for payload in (b"ours", b"other", b"ours", b"ours", b"other")]
    assert verdicts(queue, *packets) == [["drop"], ["accept"], ["drop"], ["drop"], ["accept"]]
    assert flushed == ["flush"]


def test_without_one_of_ours_there_is_no_verdict_on_all(make: Callable[..., Any]) -> None:
    queue = make(lambda *_: False)
    kernel = Kernel.bound["kernel"]
    kernel.packets = [Packet()]  # of the batch before
    assert verdicts(queue, Packet()) == [["accept"]]
    assert kernel.packets[0].verdicts == []


def test_a_bug_gets_one_verdict_before_it_is_told(make: Callable[..., Any]) -> None:
    def takes(_index: int, _hardware: bytes, payload: bytes) -> bool:
        if payload == b"bad":
            raise KeyError("bug")
        return True

    good, bad, behind = Packet(), Packet(physindev=7, payload=b"bad"), Packet()
    told: list[tuple[int, object]] = []
    queue = make(takes, lambda index: told.append((index, sys.exc_info()[0])))
    kernel = Kernel.bound["kernel"]
    kernel.gets(good, bad, behind)
    queue.ready()
    kernel.judge()
    assert (good.verdicts, bad.verdicts, told) == (["drop"], ["drop"], [(7, KeyError)])
    queue.ready()
    kernel.judge()
    assert [packet.verdicts for packet in (good, bad, behind)] == [["drop"]] * 3
    queue.close()


def test_a_bug_of_the_flush_ends_nothing(nfqueue: Any) -> None:
    def flush() -> None:
        raise KeyError("bug")

    told: list[int] = []
    queue = nfqueue.Queue(42, lambda *_: True, flush, told.append)
    assert verdicts(queue, Packet()) == [["drop"]]
    assert told == [2]


def test_a_queue_that_breaks_leaves_no_packet_without_verdict(make: Callable[..., Any]) -> None:
    queue = make(lambda *_: True)
    kernel, packet = Kernel.bound["kernel"], Packet()

    def breaks(*, block: bool) -> None:
        kernel.packets.append(packet)
        Kernel.bound["callback"](packet)
        raise OSError(block, "recv failed")

    kernel.run = breaks
    with pytest.raises(OSError, match="recv failed"):
        queue.ready()
    kernel.judge()
    assert packet.verdicts == ["drop"]
    queue.close()


def test_a_packet_without_payload_gets_one_verdict(make: Callable[..., Any]) -> None:
    told: list[int] = []
    assert verdicts(make(lambda *_: False, told.append), Packet(payload=b"")) == [["drop"]]
    assert told == [2]


@pytest.mark.parametrize(("physindev", "ifindex"), [(7, 7), (0, 2)])
def test_the_port_of_a_bridge_goes_before_the_bridge(make: Callable[..., Any], physindev: int, ifindex: int) -> None:
    seen = Taker()
    verdicts(make(seen), Packet(physindev=physindev))
    assert seen.packets == [(ifindex, b"\1\2\3\4\5\6", b"x")]


def test_a_packet_without_hardware_address(make: Callable[..., Any]) -> None:
    seen = Taker()
    verdicts(make(seen), Packet(hardware=None))
    assert seen.packets == [(2, None, b"x")]


def test_long_queue_and_big_buffer(make: Callable[..., Any]) -> None:
    make(lambda *_: True).close()
    assert (Kernel.bound["number"], Kernel.bound["max_len"], Kernel.bound["sock_len"]) == (42, 8192, 8 << 20)


def test_a_turn_ends_with_the_packets_or_with_the_batch(
    nfqueue: Any, make: Callable[..., Any], flushed: list[str]
) -> None:
    seen = Taker()
    queue = make(seen)
    kernel = Kernel.bound["kernel"]
    nfqueue.BATCH = 4
    kernel.gets(*(Packet() for _ in range(7)))
    queue.ready()
    assert (len(seen.packets), len(flushed)) == (4, 1)
    queue.ready()
    assert (len(seen.packets), len(flushed)) == (7, 2)
    kernel.judge()
    assert [packet.verdicts for packet in kernel.packets] == [["drop"]] * 7
    assert os.fstat(queue.fileno())
    queue.close()


def test_packets_gather_while_the_queue_is_busy(nfqueue: Any, make: Callable[..., Any]) -> None:
    now, naps = 0.0, list[float]()
    queue = make(Taker(), print, lambda: now, naps.append)
    nfqueue.BUSY = 2

    def comes(packets: int) -> int:
        """Naps after so many packets in one turn, a span after the last."""
        nonlocal now
        now += nfqueue.SPAN * 1.001
        Kernel.bound["kernel"].gets(*(Packet() for _ in range(packets)))
        queue.ready()
        return len(naps)

    assert [comes(2), comes(3)] == [0, 0]
    assert comes(1) == 1  # as the span before it had been busy
    assert comes(1) == 1
    nfqueue.BATCH = 3
    assert [comes(3), comes(3)] == [1, 1]  # and more wait
    queue.close()


def test_a_queue_that_is_taken(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kernel, "refuse", True)
    with pytest.raises(ExtError, match="NFQUEUE 42: Failed to create queue 42"):
        make(lambda *_: True)
