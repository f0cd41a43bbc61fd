"""What goes over one tap, both ways, as it happens."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.lab.clients.box import PATIENCE, Box

_ETH_P_ALL = 3
_SO_RCVBUFFORCE, _BUFFER = 33, 4 << 20
_SO_TIMESTAMPNS = 35


class Seen(NamedTuple):
    """A frame: whether it went out to the guest or came from it, when (seconds since 1970), its bytes."""

    out: bool
    when: float
    data: bytes

    def packet(self) -> Packet:
        """The frame, dissected; `time` is when."""
        packet = Ether(self.data)
        packet.time = self.when
        return packet


class Wire:
    """A packet socket on `plug`, the far end of a tap; `frames` are all that were seen, `expect` looks in order."""

    def __init__(self, box: Box, plug: str, tap: str) -> None:
        self.tap = tap
        self.frames: list[Seen] = []
        self._at = 0
        with box.network():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind((plug, _ETH_P_ALL))
        self._socket.setblocking(False)

    def close(self) -> None:
        """End; what was seen so far stays."""
        self.read()
        self._socket.close()

    def expect(self, what: str, check: Callable[[Packet], bool], *, out: bool, patience: float = PATIENCE) -> Packet:
        """Wait for such a frame to the guest (`out`) or from it, behind the one found before."""
        end = time.monotonic() + patience
        while True:
            while self._at < len(self.frames):
                seen = self.frames[self._at]
                self._at += 1
                if seen.out == out and check(packet := seen.packet()):
                    return packet
            if not select.select([self._socket], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"{self.tap}: {what} was expected, seen were:\n{self.summary()}")
            self.read()

    def all(self, check: Callable[[Packet], bool], *, out: bool) -> list[Packet]:
        """Every such frame so far, whether looked at or not."""
        self.read()
        packets = (seen.packet() for seen in self.frames if seen.out == out)
        return [packet for packet in packets if check(packet)]

    def skip(self) -> None:
        """Look only at what comes from now on."""
        self.read()
        self._at = len(self.frames)

    def read(self) -> None:
        """Take in what waits."""
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # forget that it was down for a while
        with contextlib.suppress(BlockingIOError):
            while True:
                self._receive()

    def summary(self) -> str:
        """A line a frame; < is from the guest."""
        self.read()
        return "\n".join(f"{when:.6f} {'>' if out else '<'} {Ether(data).summary()}" for out, when, data in self.frames)

    def _receive(self) -> None:
        data, told, _, address = self._socket.recvmsg(65536, 64)
        (seconds, nanoseconds), *_ = (struct.unpack("=qq", value) for _, _, value in told)
        self.frames.append(Seen(address[2] != socket.PACKET_OUTGOING, seconds + nanoseconds / 1e9, data))


def pcap(frames: list[Seen]) -> bytes:
    """Frames as a file for tshark (LINKTYPE_ETHERNET, microseconds)."""
    head = struct.pack("=IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    times = ((int(seen.when), int(seen.when % 1 * 1e6)) for seen in frames)
    return head + b"".join(
        struct.pack("=IIII", *when, len(seen.data), len(seen.data)) + seen.data
        for when, seen in zip(times, frames, strict=True)
    )
