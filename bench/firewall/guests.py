"""Guests by number: what Ganeti says of their NICs, and what they send and get."""

from __future__ import annotations

import socket
import struct

from ganeti_ext import tags

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
BRIDGE = "br0"
STATION, STATION_IP = "02:00:00:ff:ff:02", "10.99.255.2"  # whom guests talk to, beyond the uplink; of their MAC prefix
PORT = 3389  # of the guest: UDP to it may come in the profile `limited`
FIRST_PORT = 20_000  # of the station
FIREWALL = "ganeti-ext:firewall"

_UDP = 17
_SMALL = bytes(18)  # with all headers 60 octets, the least that Ethernet has
BULK = bytes(60_000)
_NEEDS_CSUM, _GSO_UDP_L4 = 1, 5  # VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_UDP_L4


def tap(guest: int) -> str:
    return f"tap{guest}"


def instance(guest: int) -> str:
    return f"guest{guest}.example.org"


def mac(guest: int) -> str:
    return (0x020000000000 + guest).to_bytes(6, "big").hex(":")


def address(guest: int) -> str:
    return f"10.99.{guest // 250}.{1 + guest % 250}"


def environment(guest: int, profile: str, *network_tags: str) -> dict[str, str]:
    """What Ganeti runs its interface script with (hv_base.py, ConfigureNIC): a bridged NIC, both families, DHCP."""
    return {
        "PATH": PATH,
        "INTERFACE": tap(guest),
        "INTERFACE_INDEX": "0",
        "INTERFACE_UUID": f"5c0a7a54-0a5d-4c6e-a9a5-{guest:012x}",
        "INSTANCE": instance(guest),
        "MAC": mac(guest),
        "IP": address(guest),
        "MODE": "bridged",
        "LINK": BRIDGE,
        "BRIDGE": BRIDGE,
        "TAGS": f"{FIREWALL}:{profile}",
        "NETWORK_NAME": "net1",
        "NETWORK_UUID": "9b1c1f0e-2a43-4d6c-8b0a-57a5a8a3f1c2",
        "NETWORK_SUBNET": "10.99.0.0/16",
        "NETWORK_GATEWAY": "10.99.255.1",
        "NETWORK_SUBNET6": "2001:db8::/64",
        "NETWORK_GATEWAY6": "fe80::1",
        "NETWORK_TAGS": " ".join((tags.NFDHCPD, *network_tags)),
    }


def to_guest(guest: int, flow: int = 0, port: int = PORT, payload: bytes = _SMALL) -> bytes:
    """A UDP frame from the station, a small one by default; every flow has a port of its own there."""
    return _frame((STATION, STATION_IP, FIRST_PORT + flow), (mac(guest), address(guest), port), payload)


def from_guest(guest: int, flow: int = 0, source: str | None = None, payload: bytes = _SMALL) -> bytes:
    """The frame that answers `to_guest`; with another `source` address it is spoofed."""
    return _frame((mac(guest), source or address(guest), PORT), (STATION, STATION_IP, FIRST_PORT + flow), payload)


def bulk(frame: bytes) -> bytes:
    """A frame as virtio has it, to be cut up where it leaves the machine: behind struct virtio_net_hdr, one checksum
    for all still to be made (VIRTIO 1.2, 5.1.6). Linux 6.2 and later take it.
    """
    ends = frame[26:34]
    partial = checksum(ends + struct.pack("!HH", _UDP, len(frame) - 34)) ^ 0xFFFF
    head = struct.pack("<BBHHHH", _NEEDS_CSUM, _GSO_UDP_L4, 42, 1448, 34, 6)
    return head + frame[:40] + struct.pack("!H", partial) + frame[42:]


def _frame(source: tuple[str, str, int], target: tuple[str, str, int], payload: bytes) -> bytes:
    ends = socket.inet_aton(source[1]) + socket.inet_aton(target[1])
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", source[2], target[2], length, 0) + payload
    pseudo = ends + struct.pack("!HH", _UDP, length)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp) or 0xFFFF) + udp[8:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, _UDP, 0)
    head = head[:10] + struct.pack("!H", checksum(head + ends)) + ends
    return _octets(target[0]) + _octets(source[0]) + b"\x08\x00" + head + udp


def checksum(data: bytes) -> int:
    """RFC 1071; of data that contains its own checksum it is 0. The length is even."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _octets(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
