"""DHCPv6 messages as bytes (RFC 8415, sections 8 and 21)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from nfdhcpd.frame import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER_PORT = 547
CLIENT_PORT = 546
SERVERS = b"\xff\x02" + bytes(11) + b"\1\0\2"  # All_DHCP_Relay_Agents_and_Servers, ff02::1:2
LARGEST = 1280 - 40 - 8  # what every link carries in one packet (RFC 8200, 5)


class Kind(IntEnum):
    """Message types of clients and servers."""

    SOLICIT = 1
    ADVERTISE = 2
    REQUEST = 3
    CONFIRM = 4
    RENEW = 5
    REBIND = 6
    REPLY = 7
    RELEASE = 8
    DECLINE = 9
    RECONFIGURE = 10
    INFORMATION_REQUEST = 11
    RELAY_FORW = 12
    RELAY_REPL = 13


class Code(IntEnum):
    """Options that are named here."""

    CLIENT = 1
    SERVER = 2
    IA_NA = 3
    IA_TA = 4
    IAADDR = 5
    WANTED = 6
    PREFERENCE = 7
    ELAPSED = 8
    RELAYED = 9
    AUTH = 11
    UNICAST = 12
    STATUS = 13
    RAPID = 14
    USER_CLASS = 15
    VENDOR_CLASS = 16
    RECONF_MSG = 19
    RECONF_ACCEPT = 20
    NAMESERVERS = 23  # RFC 3646
    SEARCH = 24
    IA_PD = 25
    IAPREFIX = 26
    SNTP = 31  # RFC 4075
    REFRESH = 32
    FQDN = 39  # RFC 4704
    NTP = 56  # RFC 5908
    BOOT_URL = 59  # RFC 5970
    BOOT_PARAMETERS = 60
    ARCHITECTURE = 61
    SOL_MAX_RT = 82
    INF_MAX_RT = 83


class Status(IntEnum):
    """Status codes (21.13)."""

    SUCCESS = 0
    NO_ADDRS_AVAIL = 2
    NO_BINDING = 3
    NOT_ON_LINK = 4
    USE_MULTICAST = 5
    NO_PREFIX_AVAIL = 6


class Ia(NamedTuple):
    """An identity association: IA_NA, IA_TA or IA_PD.

    `leases` are what it names, without those that are unset: addresses of 16 bytes; prefixes as a byte of their
    length and 16 of the prefix.
    """

    code: int
    iaid: bytes
    leases: tuple[bytes, ...]


class Dhcp6(NamedTuple):
    """A message. Of an option that comes twice the first one counts; the IAs stand apart."""

    kind: int
    xid: bytes
    options: dict[int, bytes]
    ias: tuple[Ia, ...]


_HEAD = struct.Struct("!HH")
_ADDRESS = struct.Struct("!HH16sII")
_PREFIX = struct.Struct("!HHII17s")
_IA = struct.Struct("!HH4sII")
# The fixed part of an IA, by its code.
_IAS = {3: 12, 4: 4, 25: 12}


def kind(payload: bytes) -> int:
    """The type of a message."""
    if not payload:
        raise FrameError("DHCPv6 message of 0 bytes")
    return payload[0]


def parse(payload: bytes) -> Dhcp6:
    """A client's or server's message out of a UDP payload; FrameError when it is malformed or a relay's."""
    if len(payload) < 4:
        raise FrameError(f"DHCPv6 message of {len(payload)} bytes")
    if payload[0] in (Kind.RELAY_FORW, Kind.RELAY_REPL):
        raise FrameError("DHCPv6 message of a relay")
    options: dict[int, bytes] = {}
    ias: list[Ia] = []
    for code, value in _walk(payload[4:]):
        if code in _IAS:
            ias.append(_ia(code, value))
        elif code not in options:
            options[code] = value
    return Dhcp6(payload[0], payload[1:4], options, tuple(ias))


def option(code: int, value: bytes) -> bytes:
    """One option with its code and length; ValueError when its value is too long."""
    if len(value) > 0xFFFF:
        raise ValueError(f"DHCPv6 option {int(code)} of {len(value)} bytes")
    return _HEAD.pack(code, len(value)) + value


def status(code: Status, text: str) -> bytes:
    """A status with its text, which is for people."""
    return option(Code.STATUS, struct.pack("!H", code) + text.encode())


def address(packed: bytes, preferred: int, valid: int) -> bytes:
    """An address with its lifetimes in seconds, for an IA_NA."""
    return _ADDRESS.pack(Code.IAADDR, 24, packed, preferred, valid)


def prefix(packed: bytes, preferred: int, valid: int) -> bytes:
    """A prefix of 17 bytes, its length first, with its lifetimes in seconds, for an IA_PD."""
    return _PREFIX.pack(Code.IAPREFIX, 25, preferred, valid, packed)


def ia(code: int, iaid: bytes, t1: int, t2: int, content: bytes) -> bytes:
    """An IA with the options in it; an IA_TA has no times."""
    if code == Code.IA_TA:
        return option(code, iaid + content)
    return _IA.pack(code, 12 + len(content), iaid, t1, t2) + content


def _walk(area: bytes, within: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Code and value of each option of a message, or of the IA option `within`."""
    at, end = 0, len(area)
    while at < end:
        if at + 4 > end:
            raise FrameError(f"DHCPv6 option in {end - at} bytes" + (f" of IA option {within}" if within else ""))
        code, size = _HEAD.unpack_from(area, at)
        at += 4 + size
        if at > end:
            raise FrameError(f"DHCPv6 option {code}" + (f" in IA option {within}" if within else "") + " is cut short")
        yield code, area[at - size : at]


def _ia(code: int, value: bytes) -> Ia:
    fixed = _IAS[code]
    if len(value) < fixed:
        raise FrameError(f"DHCPv6 IA option {code} of {len(value)} bytes")
    leases = []
    # 26 for the kind of lease that an IA_PD holds, 5 for the others'; other options of an IA do not matter here.
    held, least, start, stop = (26, 25, 8, 25) if code == 25 else (5, 24, 0, 16)
    for inner, content in _walk(value[fixed:], code):
        if inner == held:
            if len(content) < least:
                raise FrameError(f"DHCPv6 option {inner} of {len(content)} bytes")
            lease = content[start:stop]
            if any(lease[-16:]):
                leases.append(lease)
    return Ia(code, value[:4], tuple(leases))
