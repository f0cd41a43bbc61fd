"""A guest that speaks DHCPv6: the packets it sends, and scapy's reading of what it is answered."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address, IPv6Network
from typing import Any

from scapy.layers import dhcp6 as scapy6
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from nfdhcpd import responder6
from nfdhcpd.client import Client
from nfdhcpd.lease6 import Lease6, lease6
from nfdhcpd.settings import Settings
from tests.unit.nfdhcpd.guest import BRIDGE_MAC, MAC, SETTINGS, binding, guest, guests

ADDRESS = "fd00:77::5054:ff:fe00:10"
OTHER = "fd00:77::11"
FOREIGN = "2001:db8::1"
PREFIX = "fd00:88::/56"
SERVER_DUID = bytes.fromhex("0004") + bytes(range(16))
CLIENT_DUID = bytes.fromhex("00030001525400000010")
SOURCE6 = "fe80::ff:fe00:1"
GUEST6 = "fe80::5054:ff:fe00:10"
SERVERS = "ff02::1:2"
XID = b"\x12\x34\x56"

SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE, RECONFIGURE, INFORMATION = range(1, 12)
IA_NA, IA_TA, IA_PD = 3, 4, 25
RAPID = b"\0\x0e\0\0"
GRANTED = (ADDRESS, 378000, 604800)  # by the usual lease time of a week
TIMES = (189000, 302400)
NAMED = (REQUEST, RENEW, RELEASE, DECLINE)  # the server must be named


def lease(settings: Settings = SETTINGS, **changes: Any) -> Lease6 | None:
    """What the binding of guest.py gives, with an address."""
    found = binding(**{"eui64": ADDRESS, **changes})
    return lease6(found, settings.guests.of(found.tags, found.terms), SERVER_DUID)


def guest6(settings: Settings = SETTINGS, **changes: Any) -> Client:
    """The guest as it is served."""
    known = {key: value for key, value in changes.items() if key == "macspoof"}
    six = lease(settings, **{key: value for key, value in changes.items() if key not in known})
    return replace(guest(settings=settings, **known), six=six, source6=IPv6Address(SOURCE6).packed)


def told(**terms: Any) -> Client:
    """A guest whose configuration says just this."""
    return guest6(guests(**terms))


def option(code: int, value: bytes) -> bytes:
    return code.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def ia(code: int, iaid: int, *leases: str) -> bytes:
    """An IA that names addresses, or prefixes for an IA_PD, with lifetimes of 7 and 9."""
    fixed = iaid.to_bytes(4, "big") + (b"" if code == IA_TA else bytes(8))
    times = bytes((0, 0, 0, 7, 0, 0, 0, 9))
    for text in leases:
        if code == IA_PD:
            network = IPv6Network(text)
            fixed += option(26, times + bytes((network.prefixlen,)) + network.network_address.packed)
        else:
            fixed += option(5, IPv6Address(text).packed + times)
    return option(code, fixed)


def wanted(*codes: int) -> bytes:
    return option(6, b"".join(code.to_bytes(2, "big") for code in codes))


def message(
    kind: int, *options: bytes, client: bytes | None = CLIENT_DUID, server: bytes | bool | None = True
) -> bytes:
    """A message; `server` True names ours where one must be named."""
    head = bytes((kind,)) + XID
    if client is not None:
        head += option(1, client)
    if server is True:
        server = SERVER_DUID if kind in NAMED else None
    if server:
        head += option(2, server)
    return head + option(8, bytes(2)) + b"".join(options)


def packet6(payload: bytes, *, src: str = GUEST6, dst: str = SERVERS, port: int = 547) -> bytes:
    return bytes(IPv6(src=src, dst=dst, hlim=1) / UDP(sport=546, dport=port) / payload)


class Answer6:
    """A reply frame as scapy reads it; checksum and lengths must be as scapy computes them."""

    def __init__(self, answer: Any) -> None:
        self.asked, self.told, self.frame = answer
        self.ether = Ether(self.frame)
        self.ip = self.ether[IPv6]
        self.udp = self.ether[UDP]
        again = self.ether.copy()
        del again[IPv6].plen, again[UDP].len, again[UDP].chksum
        assert bytes(again) == self.frame
        self.payload = self.frame[14 + 40 + 8 :]
        assert self.kind in (ADVERTISE, REPLY)
        assert self.payload[1:4] == XID
        assert len(self.payload) <= 1232
        self.options = list(split(self.payload[4:]))

    @property
    def kind(self) -> int:
        return int(self.payload[0])

    @property
    def codes(self) -> list[int]:
        return [code for code, _ in self.options]

    def __getitem__(self, code: int) -> bytes:
        """The value of an option that comes once."""
        values: list[bytes] = [value for found, value in self.options if found == code]
        (value,) = values
        return value

    @property
    def status(self) -> int | None:
        return status(self.options)

    def layer(self, kind: Any) -> Any:
        return self.ether[kind]

    @property
    def ias(self) -> list[Any]:
        """Each IA: code, iaid, T1, T2, [(lease, preferred, valid)], status."""
        return [read_ia(code, value) for code, value in self.options if code in (IA_NA, IA_TA, IA_PD)]


def split(data: bytes) -> Any:
    """Options, by scapy's own reading of each header."""
    while data:
        found = scapy6.DHCP6OptUnknown(data)
        yield found.optcode, data[4 : 4 + found.optlen]
        data = data[4 + found.optlen :]


def status(options: Any) -> int | None:
    values = [value for code, value in options if code == 13]
    assert len(values) <= 1
    return int.from_bytes(values[0][:2], "big") if values else None


def read_ia(code: int, value: bytes) -> Any:
    kind = {IA_NA: scapy6.DHCP6OptIA_NA, IA_TA: scapy6.DHCP6OptIA_TA, IA_PD: scapy6.DHCP6OptIA_PD}[code]
    found = kind(option(code, value))
    inner = list(split(value[4 if code == IA_TA else 12 :]))
    leases = []
    for sub, raw in inner:
        if sub == 5:
            address = scapy6.DHCP6OptIAAddress(option(5, raw))
            leases.append((address.addr, address.preflft, address.validlft))
        elif sub == 26:
            prefix = scapy6.DHCP6OptIAPrefix(option(26, raw))
            leases.append((f"{prefix.prefix}/{prefix.plen}", prefix.preflft, prefix.validlft))
    times = (0, 0) if code == IA_TA else (found.T1, found.T2)
    return code, found.iaid, *times, leases, status(inner)


def ask6(
    kind: int, *options: bytes, served: Client | None = None, hardware: bytes | None = MAC, **about: Any
) -> Answer6:
    """What the guest is answered; Silence, Pass and FrameError pass through."""
    where = {key: about.pop(key) for key in ("src", "dst", "port") if key in about}
    packet = packet6(message(kind, *options, **about), **where)
    found = Answer6(responder6.answer(packet, hardware, served or guest6()))
    assert found.ether.src == BRIDGE_MAC.hex(":")
    return found
