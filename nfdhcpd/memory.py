"""Answers to DHCPv4 that were given before: a client asks the same again and again, but for a new transaction.

An answer follows from the request, the guest and the configuration alone (responder.py), and a client is made anew
when one of the latter changes. So a remembered frame with another transaction id is the answer; only its UDP checksum
changes with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nfdhcpd import responder

if TYPE_CHECKING:
    from nfdhcpd.answer import Answer
    from nfdhcpd.client import Client

# A guest has two or three messages; one that makes up others, or large ones, gains nothing.
MESSAGES, LARGEST = 4, 700

# Where they are in a frame of Ethernet, IPv4 without options, UDP and DHCP.
_SUM, _XID = 40, 46


class Remembered(NamedTuple):
    """`frame` has the transaction 0; `rest` is the checksum's complement then."""

    asked: str
    told: str
    hardware: bytes | None
    frame: bytes
    rest: int


def answer(packet: bytes, hardware: bytes | None, client: Client) -> tuple[str, str, bytes]:
    """What responder.answer says, at once if it has said so before."""
    # All but the IPv4 header's id and checksum, the UDP checksum, and the message's xid and secs.
    key = packet[:4] + packet[6:10] + packet[12:26] + packet[28:32] + packet[38:]
    known = client.memory.get(key)
    if known is None or known[2] != hardware:
        return _first(key, packet, hardware, client)
    asked, told, _, frame, rest = known
    xid = packet[32:36]
    # In ones' complement arithmetic a number is worth the same as the sum of its 16-bit words.
    total = 0xFFFF - (rest + int.from_bytes(xid, "big")) % 0xFFFF
    return asked, told, frame[:_SUM] + total.to_bytes(2, "big") + frame[_SUM + 2 : _XID] + xid + frame[_XID + 4 :]


def _first(key: bytes, packet: bytes, hardware: bytes | None, client: Client) -> Answer:
    found = responder.answer(packet, hardware, client)
    if packet[0] == 0x45 and len(packet) <= LARGEST:  # else the fields are elsewhere
        if len(client.memory) >= MESSAGES:
            client.memory.clear()
        asked, told, frame = found
        rest = 0xFFFF - int.from_bytes(frame[_SUM : _SUM + 2], "big") - int.from_bytes(frame[_XID : _XID + 4], "big")
        frame = frame[:_XID] + bytes(4) + frame[_XID + 4 :]
        client.memory[key] = Remembered(asked, told, hardware, frame, rest % 0xFFFF)
    return found
