"""Packets out of NFQUEUE, and exactly one verdict for each. The only user of python3-netfilterqueue."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from typing import TYPE_CHECKING

import netfilterqueue

from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Callable

# Packets that wait in the kernel, and bytes of the socket: with less of either a storm of boots is lost in part.
LENGTH = 8192
BUFFER = 8 << 20
# Packets a turn of the loop: a flood in one queue must not keep the other, or a new binding, waiting.
BATCH = 64
# A queue is busy with more than so many packets in the last span of seconds. To be woken for each of them costs more
# than to answer it, so while it is busy they gather for the length of a nap; a storm of boots does not notice.
BUSY, SPAN, NAP = 120, 0.01, 0.0005


class Queue:
    """A numbered queue of the kernel.

    `take(ifindex, hardware, packet)` gets the interface that the guest's packet came in by (the port of a bridge,
    not the bridge), its source MAC and its bytes from the IP header on. True means that the packet is ours and
    ends here, False that the kernel goes on with it. `flush()` is called behind a batch of them: answers may wait for
    it. Fail-open is off: what overruns the queue is dropped. `bug(ifindex)` hears, while the exception is handled, of
    a packet that was dropped because `take` failed, or of the last one before `flush` did.
    """

    def __init__(
        self,
        number: int,
        take: Callable[[int, bytes | None, bytes], bool],
        flush: Callable[[], None],
        bug: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._verdict = _verdict(number)
        self._take, self._flush, self._bug = take, flush, bug
        self._left = BATCH
        self._last: int | None = None  # packet's id
        self._ifindex = 0
        self._since, self._seen, self._busy = clock(), 0, False
        self._clock, self._sleep = clock, sleep
        self._queue = netfilterqueue.NetfilterQueue()
        try:
            self._queue.bind(number, self._packet, max_len=LENGTH, sock_len=BUFFER)
        except OSError as err:
            raise ExtError(
                f"NFQUEUE {number}: {err} (is another program bound to it, or CAP_NET_ADMIN missing?)"
            ) from err

    def fileno(self) -> int:
        return int(self._queue.get_fd())

    def ready(self) -> None:
        """Handle what waits, up to a batch; while the queue is busy, let more gather then."""
        self._read()
        if self._busy and self._left:
            self._sleep(NAP)

    def close(self) -> None:
        self._queue.unbind()

    def _read(self) -> None:
        now = self._clock()
        if now - self._since >= SPAN:
            self._busy = self._seen > BUSY * (now - self._since) / SPAN
            self._since, self._seen = now, 0
        self._left = BATCH
        for step in (self._handle, self._flush):
            try:
                step()
            except OSError:
                raise  # the queue itself, or what the daemon lives on; systemd starts another
            except Exception:  # noqa: BLE001 (told; one packet must not end the service of all)
                self._bug(self._ifindex)
        self._seen += BATCH - self._left

    def _handle(self) -> None:
        """Take packets; all that are not handed back to the kernel are dropped, whatever happens."""
        try:
            with contextlib.suppress(_EndOfBatch):
                self._queue.run(block=False)
        finally:
            self._drop()

    def _packet(self, packet: netfilterqueue.Packet) -> None:
        self._left -= 1
        before, self._last = self._last, packet.id
        self._ifindex = packet.physindev or packet.indev
        hardware = packet.get_hw()
        if not self._take(self._ifindex, hardware and hardware[:6], packet.get_payload()):
            packet.accept()
            self._last = before
        if not self._left:
            raise _EndOfBatch

    def _drop(self) -> None:
        """The verdict on the packets of this batch that have none yet."""
        if self._last is not None:
            os.write(self.fileno(), self._verdict + self._last.to_bytes(4, "big"))
            self._last = None


def _verdict(number: int) -> bytes:
    """NFQNL_MSG_VERDICT_BATCH up to the last packet's id, for which python3-netfilterqueue has no call.

    NF_DROP on all packets of a queue up to an id (linux/netfilter/nfnetlink_queue.h): a struct nlmsghdr, a
    struct nfgenmsg, and NFQA_VERDICT_HDR.
    """
    subsystem, batch, request, header, drop = 3, 3, 1, 2, 0
    message = struct.pack("=IHHII", 32, subsystem << 8 | batch, request, 0, 0)
    return (
        message
        + struct.pack(">BBH", socket.AF_UNSPEC, 0, number)
        + struct.pack("=HH", 12, header)
        + struct.pack(">I", drop)
    )


class _EndOfBatch(Exception):
    """Ends the reading of a queue, behind a packet that has its verdict."""
