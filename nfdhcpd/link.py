"""Sends frames out of a tap, to the guest behind it (packet(7))."""

from __future__ import annotations

import socket


class Sender:
    """One packet socket for all taps: it receives nothing (protocol 0) and never blocks."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.setblocking(False)

    def send(self, tap: str, frame: bytes) -> None:
        """Send one frame; OSError when the tap is gone, down or full."""
        self._socket.sendto(frame, (tap, 0))
