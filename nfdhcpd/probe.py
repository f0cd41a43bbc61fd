"""Messages that a typical client would send, to see what a guest would be answered. Bytes alone.

It asks for whatever there is for the guest as well, so that nothing which the guest could be told stays unseen.
"""

from __future__ import annotations

import struct
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from ganeti_ext.address import link_local
from nfdhcpd import dhcp4, frame
from nfdhcpd.dhcp4 import Code, Dhcp4, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nfdhcpd.client import Client

_XID = b"nfd\0"
# What Linux, BSD, Windows and phones ask for between them, and network boot.
_WANTED = bytes((1, 3, 6, 12, 15, 26, 28, 33, 42, 43, 51, 58, 59, 66, 67, 108, 114, 119, 121))
_WANTED6 = (23, 24, 31, 39, 56, 59)

_ALL_ROUTERS = IPv6Address("ff02::2").packed
_ALL_SERVERS = IPv6Address("ff02::1:2").packed
_SOLICIT, _INFORMATION = 1, 11
_CLIENT_ID, _IA_NA, _ORO, _ELAPSED, _IA_PD = 1, 3, 6, 8, 25


def discover(client: Client) -> bytes:
    """A DISCOVER, from the IP header on."""
    return _dhcp4(client, Kind.DISCOVER, {})


def request(client: Client) -> bytes:
    """The REQUEST that follows the OFFER."""
    lease = client.lease
    if lease is None:
        return _dhcp4(client, Kind.REQUEST, {})
    return _dhcp4(client, Kind.REQUEST, {Code.REQUESTED: lease.ip.packed, Code.SERVER: lease.server.packed})


def solicit(client: Client) -> bytes:
    """A SOLICIT of DHCPv6 for an address, and for a prefix if there is one."""
    empty = client.mac[2:] + bytes(8)  # identity, no times
    delegated = client.six is not None and client.six.prefix is not None
    return _dhcp6(client, _SOLICIT, _option6(_IA_NA, empty) + (_option6(_IA_PD, empty) if delegated else b""))


def information(client: Client) -> bytes:
    """An INFORMATION-REQUEST of DHCPv6."""
    return _dhcp6(client, _INFORMATION, b"")


def router_solicitation(client: Client) -> bytes:
    """A router solicitation."""
    body = bytes(4) + b"\1\1" + client.mac  # its source link-layer address, RFC 4861, 4.6.1
    return frame.build_icmp6(frame.Icmp6(_source(client), _ALL_ROUTERS, 255, 133, 0, body))


# By how nfdhcpctl names them: IP version and message.
PROBES: Mapping[str, tuple[int, Callable[[Client], bytes]]] = {
    "discover": (4, discover),
    "request": (4, request),
    "rs": (6, router_solicitation),
    "solicit": (6, solicit),
    "information": (6, information),
}


def _dhcp4(client: Client, kind: Kind, named: Mapping[int, bytes]) -> bytes:
    options = {
        Code.KIND: bytes((kind,)),
        Code.CLIENT: b"\1" + client.mac,
        Code.SIZE: struct.pack("!H", 1500),
        **named,
        Code.WANTED: bytes(dict.fromkeys((*_WANTED, *client.options))),
    }
    message = Dhcp4(op=1, xid=_XID, chaddr=client.mac, options=options)
    anywhere = frame.Datagram(bytes(4), b"\xff" * 4, dhcp4.CLIENT_PORT, dhcp4.SERVER_PORT, dhcp4.build(message))
    return frame.build_datagram(anywhere)


def _dhcp6(client: Client, kind: int, options: bytes) -> bytes:
    identity = _option6(_CLIENT_ID, b"\0\3\0\1" + client.mac)  # DUID-LL, RFC 8415, 11.4
    wanted = dict.fromkeys((*_WANTED6, *(client.six.options if client.six else ())))
    order = _option6(_ORO, struct.pack(f"!{len(wanted)}H", *wanted))
    payload = bytes((kind,)) + _XID[:3] + identity + options + _option6(_ELAPSED, bytes(2)) + order
    return frame.build_datagram6(frame.Datagram(_source(client), _ALL_SERVERS, 546, 547, payload))


def _option6(code: int, value: bytes) -> bytes:
    return struct.pack("!HH", code, len(value)) + value


def _source(client: Client) -> bytes:
    return IPv6Address(link_local(client.mac.hex(":"))).packed
