"""Sends frames out of an interface (packet(7)), whatever addresses the interface has: no sysctl is touched for it."""

from __future__ import annotations

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_ARPHRD_ETHER = 1


def send(interface: str, frames: Iterable[bytes]) -> None:
    """Send Ethernet frames once, without waiting for room.

    OSError names the interface: it is gone, down, full or not Ethernet's, or we lack CAP_NET_RAW. Frames before the
    one that failed are sent.
    """
    import socket  # noqa: PLC0415 (costs 2 ms, and few taps need it)

    try:
        # Protocol 0: it receives nothing.
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as out:
            out.setblocking(False)
            out.bind((interface, 0))  # from here on the interface is its index: its name may change
            if out.getsockname()[3] != _ARPHRD_ETHER:
                raise OSError(errno.EAFNOSUPPORT, "not an Ethernet interface")
            for frame in frames:
                out.send(frame)
    except OSError as err:
        raise OSError(err.errno, err.strerror, interface) from err
