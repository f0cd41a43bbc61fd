"""Octets both ways between a front and a guest's screen, until one of them has enough."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl

_ROOM = 1 << 16  # octets that wait for one side; the other is not read meanwhile


class Way:
    """One direction: what was read from `source` and is not written to `target` yet."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source, self.target = source, target
        self.waiting = bytearray()
        self.over = False

    def read(self) -> None:
        """Take what is there; `over` when the source has ended."""
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            while len(self.waiting) < _ROOM:
                chunk = self.source.recv(_ROOM)
                if not chunk:
                    self.over = True
                    return
                self.waiting += chunk

    def write(self) -> int:
        """Give what the target takes; how many octets."""
        sent = 0
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            while self.waiting:
                count = self.target.send(self.waiting)
                del self.waiting[:count]
                sent += count
        return sent


def run(front: ssl.SSLSocket, guest: socket.socket) -> int:
    """Carry octets until either side ends, or OSError; how many came from the guest.

    What TLS has decrypted and not handed out yet would make no socket readable: each side is read until it has no more.
    """
    front.setblocking(False)
    guest.setblocking(False)
    to_guest, to_front = Way(front, guest), Way(guest, front)
    shown = 0
    while True:
        for way in (to_guest, to_front):
            way.read()
        to_guest.write()
        shown += to_front.write()
        if (to_guest.over and not to_guest.waiting) or (to_front.over and not to_front.waiting):
            return shown
        _wait(front, guest, to_guest, to_front)


def _wait(front: ssl.SSLSocket, guest: socket.socket, to_guest: Way, to_front: Way) -> None:
    """Until something can be done. Who is waited for in nothing is left out: poll(2) would tell of its end for ever."""
    poll = select.poll()
    for side, inward, outward in ((front, to_guest, to_front), (guest, to_front, to_guest)):
        reads = len(inward.waiting) < _ROOM and not inward.over
        events = (select.POLLIN if reads else 0) | (select.POLLOUT if outward.waiting else 0)
        if events:
            poll.register(side, events)
    poll.poll()
