"""DHCPv4 messages in plain words. Bytes in, words out."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from nfdhcpd import dhcp4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def duration(seconds: int) -> str:
    """604800 → 7 days."""
    if seconds == 0xFFFFFFFF:
        return "for ever"
    said, left = [], seconds
    for name, unit in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, unit)
        if count:
            said.append(f"{count} {name}{'' if count == 1 else 's'}")
    return " ".join(said) or "0 seconds"


def text(value: bytes) -> str:
    """Printable ASCII as it is, the rest as \\xHH."""
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in value)


def _addresses(value: bytes) -> str:
    if not value or len(value) % 4:
        raise ValueError("no addresses")
    return ", ".join(str(IPv4Address(value[at : at + 4])) for at in range(0, len(value), 4))


def _time(value: bytes) -> str:
    return duration(int(struct.unpack("!I", value)[0]))


def _number(value: bytes) -> str:
    return str(struct.unpack("!H", value)[0])


def _routes(value: bytes) -> str:
    """RFC 3442."""
    found, at = [], 0
    while at < len(value):
        bits = value[at]
        end = at + 1 + (bits + 7) // 8
        gateway = IPv4Address(value[end : end + 4])
        target = "default" if bits == 0 else f"{IPv4Address(value[at + 1 : end].ljust(4, bytes(1)))}/{bits}"
        found.append(f"{target} {'on this wire' if int(gateway) == 0 else f'by {gateway}'}")
        at = end + 4
    return ", ".join(found)


def domains(value: bytes) -> str:
    """Names in the wire form of RFC 1035, 4.1.4; a last one may lack its end, which makes it relative."""
    found: list[str] = []
    at = 0
    while at < len(value):
        name, at = _name(value, at)
        if name:  # else it is padding
            found.append(name)
    return ", ".join(found)


def _name(value: bytes, at: int) -> tuple[str, int]:
    """The name at a place, and where the next one begins."""
    labels: list[str] = []
    end = None
    while at < len(value) and value[at]:
        size = value[at]
        if size >= 0xC0:  # it goes on at an earlier place
            end = end or at + 2
            to = (size & 0x3F) << 8 | value[at + 1]
            if to >= at:
                raise ValueError("a name that goes on behind itself")
            at = to
            continue
        if size > 63 or at + 1 + size > len(value):
            raise ValueError("a name that is cut short")
        labels.append(text(value[at + 1 : at + 1 + size]))
        at += 1 + size
    return ".".join(labels), end or at + 1


# RFC 2132 where nothing else is said.
OPTIONS: Mapping[int, tuple[str, Callable[[bytes], str]]] = {
    1: ("netmask", _addresses),
    3: ("router", _addresses),
    6: ("name servers", _addresses),
    12: ("host name", text),
    15: ("domain", text),
    26: ("MTU", _number),
    28: ("broadcast address", _addresses),
    42: ("time servers", _addresses),
    51: ("lease time", _time),
    54: ("server", _addresses),
    56: ("message", text),
    58: ("renews after", _time),
    59: ("rebinds after", _time),
    60: ("vendor class", text),
    61: ("client identifier", bytes.hex),
    66: ("boot server", text),
    67: ("boot file", text),
    108: ("IPv4 not needed for", _time),  # RFC 8925
    114: ("captive portal", text),  # RFC 8910
    116: ("link-local addresses", lambda value: "do not make one" if value == b"\0" else "make one"),  # RFC 2563
    119: ("search domains", domains),  # RFC 3397
    121: ("routes", _routes),  # RFC 3442
}
_SKIPPED = (dhcp4.Code.KIND, dhcp4.Code.OVERLOAD)


def words(payload: bytes) -> Iterator[tuple[str, str]]:
    """A message out of its UDP datagram."""
    message = dhcp4.parse(payload)
    yield "message", f"DHCP {message.kind.name}"
    for label, address in (
        ("address", message.yiaddr),
        ("client's own address", message.ciaddr),
        ("next server", message.siaddr),
        ("by relay", message.giaddr),
    ):
        if address != dhcp4.UNSET:
            yield label, str(IPv4Address(address))
    for label, field in (("server name", payload[44:108]), ("boot file", payload[108:236])):
        if field[0] and dhcp4.Code.OVERLOAD not in message.options:
            yield label, text(field.partition(b"\0")[0])
    for code, value in message.options.items():
        if code not in _SKIPPED:
            yield _option(code, value)


def _option(code: int, value: bytes) -> tuple[str, str]:
    label, read = OPTIONS.get(code, (f"option {code}", bytes.hex))
    try:
        return label, read(value)
    except (ValueError, IndexError, struct.error):
        return f"{label}, unreadable", value.hex()
