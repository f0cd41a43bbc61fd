"""ICMPv6 of discovery (RFC 4861) and DHCPv6 (RFC 8415) in plain words. Bytes in, words out."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from nfdhcpd import frame
from nfdhcpd.describe4 import domains, duration, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Words = Iterator[tuple[str, str]]

_PREFERENCES = {0: "medium", 1: "high", 3: "low"}  # RFC 4191, 2.1
_PREF64 = (96, 64, 56, 48, 40, 32)  # RFC 8781, 4
DHCP6 = (
    *("SOLICIT", "ADVERTISE", "REQUEST", "CONFIRM", "RENEW", "REBIND", "REPLY", "RELEASE", "DECLINE", "RECONFIGURE"),
    *("INFORMATION-REQUEST", "RELAY-FORW", "RELAY-REPL"),
)
STATUS = ("success", "unspecified failure", "no addresses", "no binding", "not on link", "use multicast", "no prefix")


def words(following: int, payload: bytes) -> Words:
    """What follows an IPv6 header whose next header is `following`."""
    if following == frame.UDP and len(payload) > 8:
        yield from _dhcp6(payload[8:])
    elif following == frame.ICMP6 and payload[0] in _MESSAGES:
        yield from _MESSAGES[payload[0]](payload)
    else:
        raise frame.FrameError(f"next header {following}, {payload[:1].hex() or 'nothing'}")


def _advertisement(message: bytes) -> Words:
    yield "message", "router advertisement"
    hops, flags, lifetime, reachable, retransmit = struct.unpack_from("!BBHII", message, 4)
    preference = _PREFERENCES.get(flags >> 3 & 3, "reserved")
    yield "router", f"for {duration(lifetime)}, preference {preference}" if lifetime else "not this one"
    yield "addresses by DHCPv6", "yes" if flags & 0x80 else "no"
    yield "the rest by DHCPv6", "yes" if flags & 0x40 else "no"
    for label, value in (("hop limit", hops), ("reachable time, ms", reachable), ("retransmission, ms", retransmit)):
        if value:
            yield label, str(value)
    yield from _discovery_options(message[16:])


def _neighbour(message: bytes) -> Words:
    yield "message", "neighbour advertisement"
    flags = message[4]
    said = [word for bit, word in ((0x80, "a router"), (0x40, "solicited"), (0x20, "override")) if flags & bit]
    yield "flags", ", ".join(said) or "none"
    yield "target", str(IPv6Address(message[8:24]))
    yield from _discovery_options(message[24:])


_MESSAGES: Mapping[int, Callable[[bytes], Words]] = {134: _advertisement, 136: _neighbour}


def _discovery_options(data: bytes) -> Words:
    while data:
        size = data[1] * 8
        if not 0 < size <= len(data):
            raise frame.FrameError(f"option {data[0]} is cut short")
        label, read = _DISCOVERY.get(data[0], (f"option {data[0]}", bytes.hex))
        yield _read(label, read, data[2:size])
        data = data[size:]


def _prefix(value: bytes) -> str:
    bits, flags, valid, preferred = struct.unpack_from("!BBII", value)
    said = [word for bit, word in ((0x80, "on this wire"), (0x40, "make an address in it")) if flags & bit]
    times = f"valid {duration(valid)}, preferred {duration(preferred)}"
    return ", ".join([f"{IPv6Address(value[14:30])}/{bits}", *said, times])


def _route(value: bytes) -> str:
    """RFC 4191, 2.3."""
    bits, flags, lifetime = struct.unpack_from("!BBI", value)
    target = IPv6Address(value[6:].ljust(16, b"\0"))
    return f"{target}/{bits} for {duration(lifetime)}, preference {_PREFERENCES.get(flags >> 3 & 3, 'reserved')}"


def _pref64(value: bytes) -> str:
    scaled = struct.unpack_from("!H", value)[0]
    return f"{IPv6Address(value[2:14] + bytes(4))}/{_PREF64[scaled & 7]} for {duration(scaled & 0xFFF8)}"


def _timed(read: Callable[[bytes], str]) -> Callable[[bytes], str]:
    """RFC 8106: a list with a lifetime."""
    return lambda value: f"{read(value[6:])} for {duration(struct.unpack_from('!2xI', value)[0])}"


def _addresses(value: bytes) -> str:
    if not value or len(value) % 16:
        raise ValueError("no addresses")
    return ", ".join(str(IPv6Address(value[at : at + 16])) for at in range(0, len(value), 16))


_DISCOVERY: Mapping[int, tuple[str, Callable[[bytes], str]]] = {
    1: ("router's MAC", lambda value: value[:6].hex(":")),
    2: ("target's MAC", lambda value: value[:6].hex(":")),
    3: ("prefix", _prefix),
    5: ("MTU", lambda value: str(struct.unpack_from("!2xI", value)[0])),
    24: ("route", _route),
    25: ("name servers", _timed(_addresses)),
    31: ("search domains", _timed(domains)),
    38: ("NAT64 prefix", _pref64),
}


def _dhcp6(message: bytes) -> Words:
    kind = message[0]
    yield "message", f"DHCPv6 {DHCP6[kind - 1] if 0 < kind <= len(DHCP6) else kind}"
    yield from _options(message[4:])


def _options(data: bytes) -> Words:
    while data:
        code, length = struct.unpack_from("!HH", data)
        if 4 + length > len(data):
            raise frame.FrameError(f"DHCPv6 option {code} is cut short")
        value, data = data[4 : 4 + length], data[4 + length :]
        if code in _NESTED:
            yield from _NESTED[code](value)
        else:
            label, read = _DHCP6.get(code, (f"option {code}", bytes.hex))
            yield _read(label, read, value)


def _association(value: bytes) -> Words:
    """IA_NA and IA_PD: identity, T1, T2, options."""
    identity, renew, rebind = struct.unpack_from("!4sII", value)
    yield "association", f"{identity.hex()}, renews after {duration(renew)}, rebinds after {duration(rebind)}"
    yield from _options(value[12:])


def _address(value: bytes) -> Words:
    address, preferred, valid = struct.unpack_from("!16sII", value)
    yield "address", f"{IPv6Address(address)}, valid {duration(valid)}, preferred {duration(preferred)}"
    yield from _options(value[24:])


def _delegated(value: bytes) -> Words:
    preferred, valid, bits, prefix = struct.unpack_from("!IIB16s", value)
    yield "prefix", f"{IPv6Address(prefix)}/{bits}, valid {duration(valid)}, preferred {duration(preferred)}"
    yield from _options(value[25:])


_NESTED: Mapping[int, Callable[[bytes], Words]] = {3: _association, 5: _address, 25: _association, 26: _delegated}


def _status(value: bytes) -> str:
    code = struct.unpack_from("!H", value)[0]
    name = STATUS[code] if code < len(STATUS) else str(code)
    return f"{name}: {text(value[2:])}" if value[2:] else name


def _ntp(value: bytes) -> str:
    """RFC 5908: suboptions; 1 and 2 are addresses, 3 a name."""
    found = []
    while value:
        code, length = struct.unpack_from("!HH", value)
        server, value = value[4 : 4 + length], value[4 + length :]
        found.append(domains(server) if code == 3 else _addresses(server))
    return ", ".join(found)


_DHCP6: Mapping[int, tuple[str, Callable[[bytes], str]]] = {
    1: ("client identifier", bytes.hex),
    2: ("server identifier", bytes.hex),
    7: ("preference", lambda value: str(value[0])),
    13: ("status", _status),
    14: ("rapid commit", lambda _: "yes"),
    23: ("name servers", _addresses),  # RFC 3646
    24: ("search domains", domains),
    31: ("time servers", _addresses),  # RFC 4075
    32: ("asks again after", lambda value: duration(struct.unpack("!I", value)[0])),
    39: ("host name", lambda value: domains(value[1:])),  # RFC 4704
    56: ("time servers", _ntp),
    59: ("boot file", text),  # RFC 5970
    82: ("asks for addresses within", lambda value: duration(struct.unpack("!I", value)[0])),  # RFC 7083
    83: ("asks for the rest within", lambda value: duration(struct.unpack("!I", value)[0])),
}


def _read(label: str, read: Callable[[bytes], str], value: bytes) -> tuple[str, str]:
    try:
        return label, read(value)
    except (ValueError, IndexError, struct.error):
        return f"{label}, unreadable", value.hex()
