"""IPv6 discovery: which protocol a packet is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nfdhcpd import ra
from nfdhcpd.answer import Silence
from nfdhcpd.frame import ICMP6, UDP

if TYPE_CHECKING:
    from collections.abc import Callable

    from nfdhcpd.answer import Answer
    from nfdhcpd.client import Client

_TYPES: dict[int, Callable[[bytes, bytes | None, Client], Answer]] = {
    ra.SOLICIT: ra.answer,
}


def answer(packet: bytes, hardware: bytes | None, client: Client) -> Answer:
    """The answer of the protocol that an IPv6 packet is of; Silence, Pass or FrameError when there is none.

    What hides behind extension headers is none: no client has them (RFC 6980, 5; RFC 8415, 7.2 knows none).
    """
    following = packet[6:7]
    if following == bytes((ICMP6,)) and len(packet) > 40:
        found = _TYPES.get(packet[40])
        if found is not None:
            return found(packet, hardware, client)
        raise Silence("ignored", f"ICMPv6 type {packet[40]}")
    raise Silence("malformed", f"IPv6 next header {following.hex() or 'missing'} in {len(packet)} bytes, not of {UDP}")
