"""A guest for the tests: its binding, the packets it sends, and scapy's reading of what it is answered."""

from __future__ import annotations

import struct
from typing import Any

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import Ether

from ganeti_ext.binding import Binding
from nfdhcpd import client, responder
from nfdhcpd.client import Client, Link
from nfdhcpd.settings import Settings
from nfdhcpd.terms import Guests

MAC_TEXT = "52:54:00:00:00:10"
MAC = bytes.fromhex("525400000010")
BRIDGE_MAC = bytes.fromhex("020000000001")
TAP = Link(7, bytes.fromhex("fe5400000010"))
BRIDGE = Link(2, BRIDGE_MAC)
IP4 = "10.77.0.10"
XID = b"\x12\x34\x56\x78"
# What most clients ask for.
COMMON = bytes((1, 3, 6, 12, 15, 26, 28, 119, 121))
SERVERS = ("9.9.9.9", "1.1.1.1", "2620:fe::fe", "2620:fe::9")


def guests(**terms: Any) -> Settings:
    """A configuration that says these terms in [guests]."""
    return Settings(guests=Guests({"": terms}))


SETTINGS = guests(nameservers=SERVERS, domain="lab.example", search=("lab.example", "corp.example"))


def binding(**changes: Any) -> Binding:
    """A bridged guest with both families."""
    found = {
        "tap": "tap0",
        "mac": MAC_TEXT,
        "hostname": "web",
        "instance": "gx-web",
        "indev": "br0",
        "ip": IP4,
        "subnet": "10.77.0.0/24",
        "gateway": "10.77.0.1",
        "subnet6": "fd00:77::/64",
        "gateway6": "fe80::1",
    }
    return Binding(**{**found, **changes})


def guest(*, settings: Settings = SETTINGS, tap: Link = TAP, indev: Link | None = BRIDGE, **changes: Any) -> Client:
    """The same, as it is served."""
    return client.client(binding(**changes), tap, indev, settings)


def packet(
    kind: int | None,
    *,
    options: dict[int, bytes] | None = None,
    chaddr: bytes = MAC,
    ciaddr: str = "0.0.0.0",
    giaddr: str = "0.0.0.0",
    src: str = "0.0.0.0",
    dst: str = "255.255.255.255",
    flags: int = 0,
    op: int = 1,
    wanted: bytes | None = COMMON,
) -> bytes:
    """The IPv4 packet of a DHCP message, written by scapy; `options` are raw."""
    raw = b"" if kind is None else bytes((53, 1, kind))
    for code, value in {**({} if wanted is None else {55: wanted}), **(options or {})}.items():
        raw += bytes((code, len(value))) + value
    bootp = BOOTP(op=op, xid=struct.unpack("!I", XID)[0], flags=flags, ciaddr=ciaddr, giaddr=giaddr, chaddr=chaddr)
    bootp.options = b"\x63\x82\x53\x63"
    return bytes(IP(src=src, dst=dst) / UDP(sport=68, dport=67) / bootp / (raw + b"\xff"))


class Answer:
    """A reply frame as scapy reads it; checksums must be as scapy computes them."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.ether = Ether(frame)
        self.ip = self.ether[IP]
        self.udp = self.ether[UDP]
        self.bootp = self.ether[BOOTP]
        again = self.ether.copy()
        del again[IP].chksum, again[UDP].chksum, again[IP].len, again[UDP].len
        assert bytes(again) == frame
        self.named: list[Any] = [item for item in self.ether[DHCP].options if item not in ("end", "pad")]

    @property
    def kind(self) -> int:
        return int(self["message-type"])

    @property
    def names(self) -> list[Any]:
        return [item[0] for item in self.named]

    def __getitem__(self, name: str | int) -> Any:
        """Value of an option, a list if it has several."""
        (found,) = [item[1:] for item in self.named if item[0] == name]
        return found[0] if len(found) == 1 else list(found)


def ask(kind: int | None, served: Client | None = None, *, hardware: bytes | None = MAC, **about: Any) -> Answer:
    """What the guest is answered; Silence or FrameError pass through."""
    return Answer(responder.answer(packet(kind, **about), hardware, served or guest()).frame)


def solicitation(src: str = "::", *, hops: int = 255, code: int = 0, slla: str | None = None) -> bytes:
    """The IPv6 packet of a router solicitation, written by scapy."""
    message = IPv6(src=src, dst="ff02::2", hlim=hops) / ICMPv6ND_RS(code=code)
    return bytes(message / ICMPv6NDOptSrcLLAddr(lladdr=slla) if slla else message)
