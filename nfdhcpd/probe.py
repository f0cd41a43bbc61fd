"""Messages that a typical client would send, to see what a guest would be answered. Bytes alone.

It asks for whatever there is for the guest as well, so that nothing which the guest could be told stays unseen.
"""

from __future__ import annotations

import struct
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from ganeti_ext.address import link_local
from nfdhcpd import dhcp4, dhcp6, frame, ndp, ra
from nfdhcpd.dhcp4 import Code, Dhcp4, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nfdhcpd.client import Client

_XID = b"nfd\0"
# What Linux, BSD, Windows and phones ask for between them, and network boot.
_WANTED = bytes((1, 3, 6, 12, 15, 26, 28, 33, 42, 43, 51, 58, 59, 66, 67, 108, 114, 119, 121))
_WANTED6 = (23, 24, 31, 39, 56, 59)

_ALL_ROUTERS = IPv6Address("ff02::2").packed


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
    codes = [dhcp6.Code.IA_NA]
    if client.six is not None and client.six.prefix is not None:
        codes.append(dhcp6.Code.IA_PD)
    return _dhcp6(client, dhcp6.Kind.SOLICIT, b"".join(dhcp6.ia(code, client.mac[2:], 0, 0, b"") for code in codes))


def information(client: Client) -> bytes:
    """An INFORMATION-REQUEST of DHCPv6."""
    return _dhcp6(client, dhcp6.Kind.INFORMATION_REQUEST, b"")


def router_solicitation(client: Client) -> bytes:
    """A router solicitation."""
    body = bytes(4) + ndp.option(ndp.SLLA, client.mac)
    return frame.build_icmp6(frame.Icmp6(_source(client), _ALL_ROUTERS, 255, ra.SOLICIT, 0, body))


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
    identity = dhcp6.option(dhcp6.Code.CLIENT, b"\0\3\0\1" + client.mac)  # DUID-LL, RFC 8415, 11.4
    elapsed = dhcp6.option(dhcp6.Code.ELAPSED, bytes(2))
    wanted = dict.fromkeys((*_WANTED6, *(client.six.options if client.six else ())))
    order = dhcp6.option(dhcp6.Code.WANTED, struct.pack(f"!{len(wanted)}H", *wanted))
    payload = bytes((kind,)) + _XID[:3] + identity + options + elapsed + order
    ports = (dhcp6.CLIENT_PORT, dhcp6.SERVER_PORT)
    return frame.build_datagram6(frame.Datagram(_source(client), dhcp6.SERVERS, *ports, payload))


def _source(client: Client) -> bytes:
    return IPv6Address(link_local(client.mac.hex(":"))).packed
