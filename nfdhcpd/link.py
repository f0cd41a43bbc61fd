"""Sends frames out of taps, to the guests behind them (packet(7))."""

from __future__ import annotations

import ctypes
import os
import socket

from ganeti_ext.errors import ExtError

# Frames that one call of the kernel sends at most.
_MOST = 64


class Sender:
    """One packet socket for all taps: it receives nothing (protocol 0) and never blocks."""

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        except PermissionError as err:
            raise ExtError(f"packet socket: {err.strerror} (is CAP_NET_RAW missing?)") from err
        self._socket.setblocking(False)
        self._messages = _Messages()

    def send(self, frames: list[tuple[int, bytes]]) -> dict[int, OSError]:
        """Send frames, each to an interface index.

        The errors of those that could not be sent, by their place in the list: an interface is gone, down or full.
        """
        failed = {}
        for start in range(0, len(frames), _MOST):
            part = frames[start : start + _MOST]
            self._messages.fill(part)
            done = 0
            while done < len(part):
                sent = self._messages.send(self._socket.fileno(), done, len(part))
                if sent < 0:  # the first of them failed
                    number = ctypes.get_errno()
                    failed[start + done] = OSError(number, os.strerror(number))
                    sent = 1
                done += sent
        return failed


class _Address(ctypes.Structure):
    """struct sockaddr_ll."""

    _fields_ = (
        ("family", ctypes.c_ushort),
        ("protocol", ctypes.c_ushort),
        ("ifindex", ctypes.c_int),
        ("hatype", ctypes.c_ushort),
        ("pkttype", ctypes.c_ubyte),
        ("halen", ctypes.c_ubyte),
        ("addr", ctypes.c_ubyte * 8),
    )


class _Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", _Header), ("sent", ctypes.c_uint))


class _Messages:
    """What sendmmsg(2) takes, laid out once. Python's own sendto() looks an interface up by name for each frame."""

    def __init__(self) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        addresses, vectors = (_Address * _MOST)(), (_Vector * _MOST)()
        self._messages = (_Message * _MOST)()
        for address, vector, message in zip(addresses, vectors, self._messages, strict=True):
            address.family = socket.AF_PACKET
            header = message.header
            header.name, header.namelen = ctypes.addressof(address), ctypes.sizeof(address)
            header.vectors, header.count = ctypes.addressof(vector), 1
        # Also keeps alive what the messages point to.
        self._parts = list(zip(addresses, vectors, strict=True))
        self._arrays = addresses, vectors

    def fill(self, frames: list[tuple[int, bytes]]) -> None:
        for (ifindex, frame), (address, vector) in zip(frames, self._parts, strict=False):
            address.ifindex, vector.base, vector.length = ifindex, frame, len(frame)

    def send(self, fd: int, start: int, end: int) -> int:
        """How many of the messages from `start` to before `end` were sent; -1 and errno when the first was not."""
        at = ctypes.addressof(self._messages) + start * ctypes.sizeof(_Message)
        return int(self._call(fd, at, end - start, 0))
