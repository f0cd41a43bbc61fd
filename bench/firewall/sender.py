"""Frames out of an interface as fast as one core sends them, and what that costs.

On veth the sender's own system call carries a frame all the way, through the bridge and into the other end, so the
sender's processor time is that of the whole path. What does not fit in there is ksoftirqd's, and is counted too.
"""

from __future__ import annotations

import ctypes
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

BATCH = 256  # frames a system call
_libc = ctypes.CDLL(None, use_errno=True)


class _Part(ctypes.Structure):
    """struct iovec."""

    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]


class _Head(ctypes.Structure):
    """struct msghdr."""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("parts", ctypes.POINTER(_Part)),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class _Message(ctypes.Structure):
    """struct mmsghdr (sendmmsg(2))."""

    _fields_ = [("head", _Head), ("sent", ctypes.c_uint)]


class Sent(NamedTuple):
    """Frames that were sent, in how many seconds, and for how many of processor time."""

    frames: int
    wall: float
    cpu: float


class Sender:
    """Sends a list of frames by a packet socket that is bound to its interface; `core` is where the caller runs."""

    def __init__(self, sock: socket.socket, frames: Sequence[bytes], core: int) -> None:
        self._socket = sock
        self._frames = list(frames)  # kept: the messages point into them
        self._helper = _ksoftirqd(core)
        parts = (_Part * len(frames))(*(_Part(frame, len(frame)) for frame in self._frames))
        self._parts = parts
        heads = (_Head(parts=ctypes.pointer(part), count=1) for part in parts)
        self._messages = (_Message * len(frames))(*map(_Message, heads))

    def send(self, seconds: float = 0) -> Sent:
        """Every frame one time, and all of them again until so much time is over."""
        helper, cpu, start = _runtime(self._helper), time.thread_time(), time.perf_counter()
        frames = self._round()
        while (wall := time.perf_counter() - start) < seconds:
            frames += self._round()
        return Sent(frames, wall, time.thread_time() - cpu + _runtime(self._helper) - helper)

    def _round(self) -> int:
        size = ctypes.sizeof(_Message)
        sent, total = 0, len(self._frames)
        while sent < total:
            place = ctypes.byref(self._messages, sent * size)
            done = _libc.sendmmsg(self._socket.fileno(), place, min(BATCH, total - sent), 0)
            if done < 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            sent += done
        return sent


def _ksoftirqd(core: int) -> Path:
    name = f"ksoftirqd/{core}\n"
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text(encoding="utf-8") == name:
                return path.with_name("schedstat")
        except (FileNotFoundError, ProcessLookupError):
            continue
    raise FileNotFoundError(f"no {name.strip()}")


def _runtime(schedstat: Path) -> float:
    """Seconds that a thread has run."""
    return int(schedstat.read_text(encoding="ascii").split()[0]) / 1e9
