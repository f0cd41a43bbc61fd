"""What router and neighbour discovery share: options, and the rules for a solicitation (RFC 4861). No socket."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from nfdhcpd import frame

if TYPE_CHECKING:
    from collections.abc import Iterator

SLLA, TLLA = 1, 2
UNSPECIFIED = bytes(16)


def is_link_local(address: bytes) -> bool:
    return address[0] == 0xFE and address[1] & 0xC0 == 0x80


def option(kind: int, value: bytes) -> bytes:
    """An option, padded; its length counts units of 8 bytes (RFC 4861, 4.6). ValueError above 2038 bytes."""
    units = (2 + len(value) + 7) // 8
    return (bytes((kind, units)) + value).ljust(units * 8, b"\0")


def parse(packet: bytes, kind: int, fixed: int) -> tuple[frame.Icmp6, list[tuple[int, bytes]]]:
    """A solicitation and its options, checked by the rules that both kinds share (RFC 4861, 6.1.1 and 7.1.1).

    `fixed` counts the bytes between the checksum and the options, whose values come without type and length.
    FrameError when a rule is broken.
    """
    message = frame.parse_icmp6(packet)
    if (message.type, message.code, message.hop_limit) != (kind, 0, 255):
        raise frame.FrameError(f"type {message.type}, code {message.code}, hop limit {message.hop_limit}")
    if message.src[0] == 0xFF:
        raise frame.FrameError(f"solicitation from {IPv6Address(message.src)}")
    if len(message.body) < fixed:
        raise frame.FrameError("solicitation is cut short")
    options = list(_options(message.body[fixed:]))
    if message.src == UNSPECIFIED and any(code == SLLA for code, _ in options):
        raise frame.FrameError("solicitation from :: with a link-layer address")
    return message, options


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        size = data[at + 1] * 8 if at + 1 < len(data) else 0
        if not size or at + size > len(data):
            raise frame.FrameError(f"option {data[at]} of a solicitation is cut short")
        yield data[at], data[at + 2 : at + size]
        at += size
