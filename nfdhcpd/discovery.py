"""IPv6 discovery: which protocol a packet is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nfdhcpd import neighbour, ra, responder6
from nfdhcpd.answer import Silence
from nfdhcpd.frame import ICMP6, UDP, FrameError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nfdhcpd.answer import Answer
    from nfdhcpd.client import Client

# By the ICMPv6 type.
TYPES: dict[int, Callable[[bytes, bytes | None, Client], Answer]] = {
    ra.SOLICIT: ra.answer,
    neighbour.SOLICIT: neighbour.answer,
}


def answer(packet: bytes, hardware: bytes | None, client: Client) -> Answer:
    """The answer of the protocol that an IPv6 packet is of; Silence, Pass or FrameError when there is none.

    What hides behind extension headers is of none: no client sends such (RFC 6980, 5 forbids fragments).
    """
    if len(packet) <= 40:
        raise FrameError(f"IPv6 packet of {len(packet)} bytes")
    following = packet[6]
    if following == UDP:
        return responder6.answer(packet, hardware, client)
    if following != ICMP6:
        raise FrameError(f"IPv6 next header {following}")
    found = TYPES.get(packet[40])
    if found is None:
        raise Silence("ignored", f"ICMPv6 type {packet[40]}")
    return found(packet, hardware, client)
