"""What must hold of any packet that a guest can make up: the target of the fuzzers.

The first byte of an input chooses a guest (GUESTS), whether the packet is of IPv4 or IPv6, whether it comes from the
guest's own card, and whether its lengths and sums are put right first, lest nothing but the checks of these is ever
reached; the rest is the packet, from the IP header on.
"""

from __future__ import annotations

from typing import Any

from nfdhcpd import advert, discovery, frame, memory, responder
from nfdhcpd.answer import REASONS, Answer, Pass, Silence
from nfdhcpd.client import Client, Link
from nfdhcpd.frame import FrameError
from nfdhcpd.settings import Settings
from nfdhcpd.terms import Guests
from tests.unit.nfdhcpd.guest import BRIDGE, MAC, TAP, guest

FOREIGN = b"\x52\x54\0\0\0\x99"
MTU = 1500

_RICH = Settings(
    guests=Guests(
        {
            "": {
                "nameservers": ("9.9.9.9", "2620:fe::fe"),
                "domain": "lab.example",
                "search": tuple(f"{'s' * 50}.{n}.example" for n in range(20)),
                "ntp": ("192.0.2.123", "2001:db8::123"),
                "routes": ("10.0.0.0/8@10.77.0.9", "2001:db8:8::/48@fe80::1"),
                "options": ("43:0102", "224:" + "00" * 300),
                "options6": ("17:00000001",),
                "ipv6_only": 300,
                "boot_server": "192.0.2.69",
                "boot_file": "pxelinux.0",
                "boot_efi": "grubx64.efi",
                "boot_http": "http://192.0.2.80/boot.efi",
                "boot_ipxe": "http://192.0.2.80/boot.ipxe",
                "ipv6_mode": "dhcpv6",
                "pref64": "64:ff9b::/96",
                "prefix6": "2001:db8:77::/56",
            }
        }
    )
)
_SIX: dict[str, Any] = {"eui64": "fd00:77::5054:ff:fe00:10"}
GUESTS: tuple[Client, ...] = (
    guest(**_SIX),
    guest(settings=_RICH, **_SIX, mtu=1400),
    guest(macspoof=True, gateway="192.0.2.1", ip="10.77.0.10", subnet="10.77.0.10/32", **_SIX),
    guest(ip=None, subnet=None, gateway=None, **_SIX),
    guest(subnet6=None, gateway6=None, private=True),
    guest(settings=_RICH, indev=Link(7, TAP.mac, frozenset()), gateway6="fd00:77::1", **_SIX),
    guest(settings=Settings(guests=Guests({"": {"ipv6_mode": "slaac"}})), indev=BRIDGE),
    guest(settings=Settings(guests=Guests({"": {"ipv6_mode": "slaac+dhcpv6"}})), **_SIX),
)


def one(data: bytes) -> str:
    """Handle one input; what became of it in a word. AssertionError, or anything else raised, is a bug."""
    if not data:
        return ""
    client = GUESTS[data[0] & 7]
    four, foreign, packet = data[0] & 8, data[0] & 16, bytes(data[1:])
    if data[0] & 32:
        packet = (repaired4 if four else repaired6)(packet)
    hardware = FOREIGN if foreign else MAC
    try:
        found = Answer(*(memory.answer if four else discovery.answer)(packet, hardware, client))
    except Silence as silence:
        assert silence.reason in REASONS, silence.reason
        return silence.reason
    except FrameError:
        return "malformed"
    except Pass:
        # What the rules never divert: other ports, neighbours on bridges.
        strange = packet[6] == frame.UDP and packet[42:44] != b"\x02\x23"
        assert client.macspoof or not foreign or strange or client.neighbours is None
        return "pass"
    assert client.macspoof or not foreign, "a foreign card was answered"
    if four:
        assert found.frame == responder.answer(packet, hardware, client).frame, "remembered wrongly"
    check(found, client)
    return found.asked


def repaired4(packet: bytes) -> bytes:
    """With the lengths that IPv4 and UDP should tell."""
    raw = bytearray(packet.ljust(28, b"\0"))
    raw[0], raw[6:8], raw[9] = 0x45, b"\0\0", frame.UDP
    raw[2:4], raw[24:26] = len(raw).to_bytes(2, "big"), (len(raw) - 20).to_bytes(2, "big")
    return bytes(raw)


def repaired6(packet: bytes) -> bytes:
    """With the length that IPv6 should tell, that of UDP, or the checksum of ICMPv6."""
    raw = bytearray(packet.ljust(48, b"\0"))
    length = (len(raw) - 40).to_bytes(2, "big")
    raw[0], raw[4:6] = 0x60, length
    if raw[6] == frame.UDP:
        raw[44:46] = length
    else:
        raw[6], raw[42:44] = frame.ICMP6, b"\0\0"
        pseudo = bytes(raw[8:40]) + b"\0\0" + length + bytes((0, 0, 0, frame.ICMP6))
        raw[42:44] = frame.checksum(pseudo + bytes(raw[40:])).to_bytes(2, "big")
    return bytes(raw)


def check(found: Answer, client: Client) -> None:
    """What holds of every answer."""
    out = found.frame
    assert found.asked
    assert found.told
    assert out[6:12] == client.source, "from another card"
    assert client.macspoof or out[:6] in (client.mac, frame.BROADCAST, advert.ALL_NODES_MAC), "to another card"
    assert len(out) <= 14 + MTU
    if out[12:14] == frame.IPV4:
        datagram = frame.parse_datagram(out[14:])
        assert frame.checksum(datagram.src + datagram.dst + b"\0\x11" + out[38:40] + out[34:]) == 0xFFFF
        assert (datagram.sport, datagram.dport) in ((67, 68), (67, 67))
    else:
        length = int.from_bytes(out[18:20], "big")
        assert length == len(out) - 54
        pseudo = out[22:54] + length.to_bytes(4, "big") + bytes((0, 0, 0, out[20]))
        assert frame.checksum(pseudo + out[54:]) == 0xFFFF
        assert out[20] == frame.ICMP6 or out[54:58] == b"\x02\x23\x02\x22", "ports"
