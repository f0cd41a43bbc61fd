"""Sends frames out of a tap, to the guest behind it (packet(7))."""

from __future__ import annotations

import socket

from ganeti_ext.errors import ExtError


class Sender:
    """One packet socket for all taps: it receives nothing (protocol 0) and never blocks."""

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        except PermissionError as err:
            raise ExtError(f"packet socket: {err.strerror} (is CAP_NET_RAW missing?)") from err
        self._socket.setblocking(False)

    def send(self, tap: str, frame: bytes) -> None:
        """Send one frame; OSError when the tap is gone, down or full."""
        self._socket.sendto(frame, (tap, 0))
