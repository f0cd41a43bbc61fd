"""Packets out of NFQUEUE, and exactly one verdict for each. The only user of python3-netfilterqueue."""

from __future__ import annotations

import contextlib
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
# than to answer it, so while it is busy they gather for the length of a nap, a fraction of what a guest could notice.
BUSY, SPAN, NAP = 50, 0.01, 0.0004


class Queue:
    """A numbered queue of the kernel.

    `take(ifindex, hardware, packet)` gets the interface that the guest's packet came in by (the port of a bridge,
    not the bridge), its source MAC and its bytes from the IP header on. True means that the packet is ours and
    ends here, False that the kernel goes on with it. Fail-open is off: what overruns the queue is dropped.
    `bug(ifindex)` hears, while the exception is handled, of a packet that was dropped because `take` failed.
    """

    def __init__(
        self,
        number: int,
        take: Callable[[int, bytes | None, bytes], bool],
        bug: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._take = take
        self._bug = bug
        self._left = BATCH
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
        now = self._clock()
        if now - self._since >= SPAN:
            self._busy = self._seen > BUSY * (now - self._since) / SPAN
            self._since, self._seen = now, 0
        self._left = BATCH
        with contextlib.suppress(_EndOfBatch):
            self._queue.run(block=False)
        self._seen += BATCH - self._left
        if self._busy and self._left:
            self._sleep(NAP)

    def close(self) -> None:
        self._queue.unbind()

    def _packet(self, packet: netfilterqueue.Packet) -> None:
        ifindex = packet.physindev or packet.indev
        try:
            hardware = packet.get_hw()
            ours = self._take(ifindex, hardware and hardware[:6], packet.get_payload())
        except Exception:  # noqa: BLE001 (told below; one packet must not end the service of all)
            packet.drop()  # first, whatever comes of the rest
            self._bug(ifindex)
        else:
            if ours:
                packet.drop()
            else:
                packet.accept()
        self._left -= 1
        if not self._left:
            raise _EndOfBatch


class _EndOfBatch(Exception):
    """Ends the reading of a queue, behind a packet that has its verdict."""
