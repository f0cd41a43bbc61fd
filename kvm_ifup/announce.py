"""Frames that tell an uplink's neighbours which MAC a guest's addresses are behind now. No socket, no clock.

The right moment differs by mode (ganeti hv_kvm, _StartKVM and FinalizeMigrationDst):

* bridged, openvswitch: never by us. The script runs before the incoming QEMU does, while the guest still lives on
  the source; QEMU announces a migrated guest itself when it resumes it (net/announce.c), a started guest speaks first.
* ip-less-routed: when the script has set up route and proxy entry. Ganeti calls it for routed NICs at the start and,
  in a migration, when the guest is here. The MAC is the uplink's, as this node answers for the guest's addresses.
* routed: nothing to tell: the uplink's routers send by route.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

_ETHERNET = struct.Struct("!6s6sH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_IP6 = struct.Struct("!IHBB16s16s")
_ADVERTISEMENT = struct.Struct("!BBHI16sBB6s")

_BROADCAST = b"\xff" * 6
_REQUEST, _REPLY = 1, 2
_ALL_NODES = IPv6Address("ff02::1").packed
_ALL_NODES_MAC = b"\x33\x33\0\0\0\1"  # RFC 2464 section 7
_ICMP6, _NEIGHBOUR_ADVERTISEMENT, _TARGET_LINK_LAYER = 58, 136, 2
_ROUTER, _OVERRIDE = 1 << 31, 1 << 29


def frames(mac: str, ip: str | None, eui64: str | None, router: int = 0) -> tuple[bytes, ...]:
    """Ethernet frames that announce the addresses behind a MAC; ValueError when one of the texts is no address.

    For IPv4 a request and a reply, as some routers take only one of them. `router` is 1 when the guest is a router:
    neighbours that took it for one forget it as their default router on a 0 (RFC 4861 section 7.2.5).
    """
    hardware = bytes.fromhex(mac.replace(":", ""))
    if len(hardware) != 6:
        raise ValueError(f"{mac!r} is not an Ethernet address")
    found = []
    if ip:
        address = IPv4Address(ip).packed
        found += [_arp(_REQUEST, hardware, address), _arp(_REPLY, hardware, address)]
    if eui64:
        found.append(_advertisement(hardware, IPv6Address(eui64).packed, router))
    return tuple(found)


def later(mac: str, ip: str | None, eui64: str | None, router: int = 0) -> tuple[tuple[float, tuple[bytes, ...]], ...]:
    """What to send again, should a neighbour have missed `frames`: seconds since they were sent, and the frames.

    For a daemon: the interface script does not wait. Three advertisements at least 1 s apart (RFC 4861 section 10:
    MAX_NEIGHBOR_ADVERTISEMENT, RETRANS_TIMER), two ARP announcements 2 s apart (RFC 5227 section 1.1: ANNOUNCE_NUM,
    ANNOUNCE_INTERVAL).
    """
    turns = (1.0, frames(mac, None, eui64, router)), (2.0, frames(mac, ip, eui64, router))
    return tuple((delay, due) for delay, due in turns if due)


def _arp(operation: int, mac: bytes, ip: bytes) -> bytes:
    """Gratuitous ARP: sender and target protocol address are the same (RFC 5944 section 4.6).

    The target hardware address is ignored in a request, which has zeros (RFC 5227 section 3). In a reply it is the MAC
    again; without it Linux does not take the reply for a gratuitous one (net/ipv4/arp.c, arp_is_garp) and lets it not
    change an entry that was updated within the last second.
    """
    target = mac if operation == _REPLY else bytes(6)
    return _ETHERNET.pack(_BROADCAST, mac, 0x0806) + _ARP.pack(1, 0x0800, 6, 4, operation, mac, ip, target, ip)


def _advertisement(mac: bytes, address: bytes, router: int) -> bytes:
    """An unsolicited neighbour advertisement (RFC 4861 section 7.2.6), from the address that it tells of.

    A proxy's solicited answers must leave the override flag clear, its unsolicited ones may set it (section 7.2.8).
    Here it must be set: without it a neighbour that knows another MAC keeps that (section 7.2.5), here the node's that
    the guest came from. Nobody is overridden who would know better, as the guest itself is not on this link. A home
    agent does the same for a mobile node (RFC 6275 section 10.4.1).
    """
    flags = _OVERRIDE | (_ROUTER if router else 0)
    # The option's length counts units of 8 bytes.
    message = _ADVERTISEMENT.pack(_NEIGHBOUR_ADVERTISEMENT, 0, 0, flags, address, _TARGET_LINK_LAYER, 1, mac)
    pseudo = address + _ALL_NODES + struct.pack("!II", len(message), _ICMP6)
    # RFC 1071: a ones' complement sum of 16-bit words is the whole number modulo 0xffff.
    checksum = 0xFFFF - int.from_bytes(pseudo + message, "big") % 0xFFFF
    header = _IP6.pack(6 << 28, len(message), _ICMP6, 255, address, _ALL_NODES)
    message = message[:2] + checksum.to_bytes(2, "big") + message[4:]
    return _ETHERNET.pack(_ALL_NODES_MAC, mac, 0x86DD) + header + message
