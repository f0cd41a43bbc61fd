"""Packets out of NFQUEUE, and exactly one verdict for each. The only user of python3-netfilterqueue."""

from __future__ import annotations

import errno
import os
import socket
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
# Seconds: who is called again sooner has more than one packet waiting.
BACKLOG = 0.00005

_AT_ONCE = int(socket.MSG_DONTWAIT)


class Queue:
    """A numbered queue of the kernel.

    `take(ifindex, hardware, packet)` gets the interface that the guest's packet came in by (the port of a bridge,
    not the bridge), its source MAC and its bytes from the IP header on. True means that the packet is ours and
    ends here, False that the kernel goes on with it. Fail-open is off: what overruns the queue is dropped.
    `bug(ifindex)` hears, while the exception is handled, of a packet that was dropped because `take` failed.
    """

    def __init__(
        self, number: int, take: Callable[[int, bytes | None, bytes], bool], bug: Callable[[int], None]
    ) -> None:
        self._take = take
        self._bug = bug
        self._left = 0
        self._done = 0.0
        self._queue = netfilterqueue.NetfilterQueue()
        try:
            self._queue.bind(number, self._packet, max_len=LENGTH, sock_len=BUFFER)
        except OSError as err:
            raise ExtError(
                f"NFQUEUE {number}: {err} (is another program bound to it, or CAP_NET_ADMIN missing?)"
            ) from err
        self._socket = socket.socket(fileno=os.dup(self._queue.get_fd()))
        self._receive = self._socket.recv

    def fileno(self) -> int:
        return self._socket.fileno()

    def ready(self) -> None:
        """Handle what waits, up to a batch.

        One packet, if the last one was a while ago: then there is no other, and to find that out costs as much as to
        handle it.
        """
        self._left = BATCH if time.monotonic() - self._done < BACKLOG else 1
        self._queue.run_socket(self)
        self._done = time.monotonic()

    def recv(self, size: int) -> bytes:
        """The socket as run_socket reads it, which runs dry after a batch."""
        if self._left == 0:
            raise BlockingIOError(errno.EAGAIN, "end of the batch")
        self._left -= 1
        return self._receive(size, _AT_ONCE)

    def close(self) -> None:
        self._queue.unbind()
        self._socket.close()

    def _packet(self, packet: netfilterqueue.Packet) -> None:
        ifindex = packet.physindev or packet.indev
        try:
            hardware = packet.get_hw()
            ours = self._take(ifindex, hardware and hardware[:6], packet.get_payload())
        except Exception:  # noqa: BLE001 (told below; one packet must not end the service of all)
            packet.drop()  # first, whatever comes of the rest
            self._bug(ifindex)
            return
        if ours:
            packet.drop()
        else:
            packet.accept()
