"""DHCPv4: what is answered to a guest's packet (RFC 2131, section 4.3). No socket, no clock, no state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nfdhcpd import dhcp4, frame, told4
from nfdhcpd.answer import Answer, Silence
from nfdhcpd.dhcp4 import UNSET, Code, Dhcp4, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nfdhcpd.client import Client
    from nfdhcpd.lease import Lease

ANYWHERE = b"\xff" * 4

_NAMES = {kind: kind.name for kind in Kind}


def answer(packet: bytes, hardware: bytes | None, client: Client) -> Answer:
    """The answer to an IPv4 packet to port 67.

    `hardware` is the source MAC of the packet's frame. Raises Silence or FrameError when there is no answer.
    """
    datagram = frame.parse_datagram(packet)
    query = dhcp4.parse(datagram.payload)
    if query.op != 1:
        raise Silence("ignored", "a reply, not a request")
    kind, mac = query.kind, client.mac
    # A query about leases names whom it is about, not who asks.
    if not client.macspoof and (hardware != mac or (query.chaddr != mac and kind is not Kind.LEASEQUERY)):
        raise Silence("spoofed", f"spoofed: chaddr {query.chaddr.hex(':')}, frame from {(hardware or b'').hex(':')}")
    if kind not in RULES:
        reason, text = WORDS.get(kind, ("ignored", f"a {kind.name} is no request"))
        raise Silence(reason, text, kind.name)
    if client.lease is None and kind is not Kind.DISCOVER:
        raise Silence("nothing", "no IPv4 address to give", kind.name)
    reply = RULES[kind](query, client)
    ciaddr, yiaddr, chaddr, link = _who(reply, query, client)
    options, siaddr, file, sname = told4.layout(reply, query, client)
    flags, giaddr = query.flags, query.giaddr
    if reply is Kind.NAK and giaddr != UNSET:
        flags |= dhcp4.BROADCAST_FLAG  # RFC 2131, 4.3.2: the relay must not try to reach the refused address
    message = Dhcp4(2, query.xid, chaddr, {}, 0, 0, flags, ciaddr, yiaddr, siaddr, giaddr, link)
    payload = dhcp4.assemble(message, options, file, sname)
    to, ip, port = _destination(reply, yiaddr, query, datagram, hardware)
    out = frame.Datagram(client.options[Code.SERVER][2:], ip, dhcp4.SERVER_PORT, port, payload)
    text = _NAMES[reply] if yiaddr == UNSET or client.lease is None else f"{_NAMES[reply]} {client.lease.text}"
    return Answer(_NAMES[kind], text, to + client.source + frame.IPV4 + frame.build_datagram(out))


def _discover(query: Dhcp4, client: Client) -> Kind:
    """RFC 2131, 4.3.1, or the ACK of RFC 4039: there is one server behind a tap, so nobody else's offer is lost."""
    options = query.options
    no_ipv4 = Code.IPV6_ONLY in client.options and Code.IPV6_ONLY in options.get(Code.WANTED, b"")
    if client.lease is None and not no_ipv4 and Code.AUTOCONF not in options:
        raise Silence("nothing", "no IPv4 address to give", "DISCOVER")
    # RFC 8925: the client is to stop at the offer, and to take no address.
    return Kind.ACK if Code.RAPID in options and client.lease is not None and not no_ipv4 else Kind.OFFER


def _request(query: Dhcp4, client: Client) -> Kind:
    """RFC 2131, 4.3.2, all four states at once: whatever address a client names must be its own.

    SELECTING names a server and an address, INIT-REBOOT an address, RENEWING and REBINDING have theirs in ciaddr.
    """
    own = _lease(client).own
    server = query.options.get(Code.SERVER)
    if server is not None and server != client.options[Code.SERVER][2:]:
        raise Silence("other", f"REQUEST to another server, {server.hex()}", "REQUEST")
    named, ciaddr = query.options.get(Code.REQUESTED), query.ciaddr
    if named in (None, UNSET) and ciaddr == UNSET:
        raise Silence("malformed", "REQUEST without an address", "REQUEST")
    return Kind.ACK if named in (own, None, UNSET) and ciaddr in (own, UNSET) else Kind.NAK


def _leasequery(query: Dhcp4, client: Client) -> Kind:
    """RFC 4388, 6: by address, by identifier or by MAC. It learns of itself alone: of others, nothing is known here."""
    if query.giaddr == UNSET:
        raise Silence("malformed", "LEASEQUERY without a relay address", "LEASEQUERY")
    if query.ciaddr != UNSET:
        known = query.ciaddr == _lease(client).own
    elif Code.CLIENT in query.options:
        known = query.options[Code.CLIENT] == b"\1" + client.mac
    else:
        known = query.chaddr == client.mac
    return Kind.LEASEACTIVE if known else Kind.LEASEUNKNOWN


def _lease(client: Client) -> Lease:
    assert client.lease is not None
    return client.lease


RULES: Mapping[Kind, Callable[[Dhcp4, Client], Kind]] = {
    Kind.DISCOVER: _discover,
    Kind.REQUEST: _request,
    Kind.INFORM: lambda _query, _client: Kind.ACK,
    Kind.LEASEQUERY: _leasequery,
}

# What a client says without asking.
WORDS = {
    Kind.DECLINE: ("noted", "DECLINE: the guest found its address in use by another host"),
    Kind.RELEASE: ("noted", "RELEASE: the address stays the guest's"),
}


def _who(reply: Kind, query: Dhcp4, client: Client) -> tuple[bytes, bytes, bytes, bytes]:
    """The reply's ciaddr, yiaddr, chaddr and kind of hardware (RFC 2131, table 3; RFC 4388, 6.4)."""
    if reply is Kind.LEASEACTIVE:
        return _lease(client).own, UNSET, client.mac, dhcp4.ETHERNET
    if reply is Kind.LEASEUNKNOWN:
        return query.ciaddr, UNSET, query.chaddr, query.link
    ciaddr = query.ciaddr if reply is Kind.ACK else UNSET
    if reply is Kind.NAK or query.kind is Kind.INFORM or client.lease is None:
        return ciaddr, UNSET, query.chaddr, dhcp4.ETHERNET
    return ciaddr, client.lease.own, query.chaddr, dhcp4.ETHERNET


def _destination(
    reply: Kind, yiaddr: bytes, query: Dhcp4, datagram: frame.Datagram, hardware: bytes | None
) -> tuple[bytes, bytes, int]:
    """MAC, address and port to answer to (RFC 2131, 4.1); the frame leaves by the guest's own tap in any case."""
    if query.giaddr != UNSET:
        return hardware or query.chaddr, query.giaddr, dhcp4.SERVER_PORT
    to = query.ciaddr
    if to == UNSET and not query.flags & dhcp4.BROADCAST_FLAG:
        to = yiaddr
        if query.kind is Kind.INFORM:  # of a client that leaves ciaddr unset
            to = datagram.src
    # A NAK is for all to hear (4.1), but for a client that renews: it listens at its address alone, as it asked from
    # there, and would go on with that until it rebinds.
    if to == UNSET or (reply is Kind.NAK and datagram.dst == ANYWHERE):
        return frame.BROADCAST, ANYWHERE, dhcp4.CLIENT_PORT
    return query.chaddr, to, dhcp4.CLIENT_PORT
