"""DHCPv4: what is answered to a guest's packet (RFC 2131, section 4.3). No socket, no clock, no state."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from nfdhcpd import dhcp4, frame, names
from nfdhcpd.answer import Answer, Silence
from nfdhcpd.dhcp4 import UNSET, Code, Dhcp4, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nfdhcpd.client import Client
    from nfdhcpd.lease import Lease

ANYWHERE = b"\xff" * 4
DEFAULT_ROUTE = b"\0"  # a prefix of 0 bits, as option 121 writes it


def _seconds(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _routes(lease: Lease) -> bytes | None:
    """RFC 3442, for a gateway outside of the subnet: the way to it first, which is the wire itself."""
    if lease.router is None or lease.router in lease.network:
        return None
    gateway = lease.router.packed
    return b"\x20" + gateway + UNSET + DEFAULT_ROUTE + gateway


# What can be told, and from what: a value of None or nothing leaves the option out.
OPTIONS: Mapping[int, Callable[[Lease], bytes | None]] = {
    Code.SERVER: lambda lease: lease.server.packed,
    Code.LEASE: lambda lease: _seconds(lease.seconds),
    Code.RENEWAL: lambda lease: _seconds(lease.seconds // 2),
    Code.REBINDING: lambda lease: _seconds(lease.seconds * 7 // 8),
    Code.MASK: lambda lease: lease.network.netmask.packed,
    Code.ROUTES: _routes,
    Code.ROUTER: lambda lease: lease.router.packed if lease.router else None,
    Code.NAMESERVER: lambda lease: b"".join(server.packed for server in lease.nameservers),
    Code.MTU: lambda lease: lease.mtu.to_bytes(2, "big") if lease.mtu else None,
    Code.HOSTNAME: lambda lease: lease.hostname.encode("ascii"),
    Code.BROADCAST: lambda lease: lease.network.broadcast_address.packed if lease.network.prefixlen < 31 else None,
    Code.DOMAIN: lambda lease: lease.domain.encode("ascii"),
    Code.SEARCH: lambda lease: b"".join(map(names.encode, lease.search)),
}
# Told to a client that did not ask, too; the others only when asked for, or when it asked for nothing by name.
ALWAYS = frozenset(
    (Code.SERVER, Code.LEASE, Code.RENEWAL, Code.REBINDING, Code.MASK, Code.ROUTES, Code.ROUTER, Code.NAMESERVER)
)
# RFC 2131, 4.3.5: an INFORM is answered without times, as the client has its address from elsewhere.
TIMES = frozenset((Code.LEASE, Code.RENEWAL, Code.REBINDING))

REMEMBERED = 16  # a client sends two or three different lists; a guest that makes them up gains nothing


def encode(lease: Lease) -> dict[int, bytes]:
    """Every option of a lease, encoded once."""
    values = {code: make(lease) for code, make in OPTIONS.items()}
    return {int(code): dhcp4.option(code, value) for code, value in values.items() if value}


def answer(packet: bytes, hardware: bytes | None, client: Client) -> Answer:
    """The answer to an IPv4 packet to port 67.

    `hardware` is the source MAC of the packet's frame. Raises Silence or FrameError when there is no answer.
    """
    datagram = frame.parse_datagram(packet)
    query = dhcp4.parse(datagram.payload)
    if query.op != 1:
        raise Silence("ignored", "a reply, not a request")
    if not client.macspoof and (query.chaddr != client.mac or hardware != client.mac):
        raise Silence("spoofed", f"spoofed: chaddr {query.chaddr.hex(':')}, frame from {(hardware or b'').hex(':')}")
    lease = client.lease
    if lease is None:
        raise Silence("nothing", "no IPv4 address to give")
    reply = respond(query, lease)
    payload = dhcp4.assemble(reply, tail(reply, query, client))
    mac, ip, port = _destination(reply, query, datagram, hardware)
    out = frame.Datagram(lease.server.packed, ip, dhcp4.SERVER_PORT, port, payload)
    told = reply.kind.name if reply.kind is Kind.NAK else f"{reply.kind.name} {lease.ip}"
    return Answer(query.kind.name, told, mac + client.source + frame.IPV4 + frame.build_datagram(out))


def respond(query: Dhcp4, lease: Lease) -> Dhcp4:
    """The reply, with the message type for its only option; Silence when there is none."""
    kind = query.kind
    if kind not in RULES:
        reason, text = WORDS.get(kind, ("ignored", f"a {kind.name} is no request"))
        raise Silence(reason, text, kind.name)
    answered = RULES[kind](query, lease)
    flags = query.flags
    if answered is Kind.NAK and query.giaddr != UNSET:
        flags |= dhcp4.BROADCAST_FLAG  # RFC 2131, 4.3.2: the relay must not try to reach the refused address
    return Dhcp4(
        op=2,
        xid=query.xid,
        chaddr=query.chaddr,
        options={Code.KIND: bytes((answered,))},
        flags=flags,
        ciaddr=query.ciaddr if answered is Kind.ACK else UNSET,
        yiaddr=UNSET if answered is Kind.NAK or kind is Kind.INFORM else lease.ip.packed,
        giaddr=query.giaddr,
    )


def _request(query: Dhcp4, lease: Lease) -> Kind:
    """RFC 2131, 4.3.2, all four states at once: whatever address a client names must be its own.

    SELECTING names a server and an address, INIT-REBOOT an address, RENEWING and REBINDING have theirs in ciaddr.
    """
    server = query.options.get(Code.SERVER)
    if server is not None and server != lease.server.packed:
        raise Silence("other", f"REQUEST to another server, {server.hex()}", "REQUEST")
    named = query.options.get(Code.REQUESTED)
    asked = [address for address in (named, query.ciaddr) if address not in (None, UNSET)]
    if not asked:
        raise Silence("malformed", "REQUEST without an address", "REQUEST")
    return Kind.ACK if all(address == lease.ip.packed for address in asked) else Kind.NAK


RULES: Mapping[Kind, Callable[[Dhcp4, Lease], Kind]] = {
    Kind.DISCOVER: lambda _query, _lease: Kind.OFFER,
    Kind.REQUEST: _request,
    Kind.INFORM: lambda _query, _lease: Kind.ACK,
}

# What a client says without asking.
WORDS = {
    Kind.DECLINE: ("noted", "DECLINE: the guest found its address in use by another host"),
    Kind.RELEASE: ("noted", "RELEASE: the address stays the guest's"),
}


def tail(reply: Dhcp4, query: Dhcp4, client: Client) -> bytes:
    """The options of a reply, encoded, without the end mark.

    The type comes first and the server second, then what the client wants in its order (RFC 2132, 9.8), then the rest.
    """
    wanted = query.options.get(Code.WANTED)
    identity = query.options.get(Code.CLIENT)
    echo = dhcp4.option(Code.CLIENT, identity) if identity else b""  # RFC 6842: in every reply
    room = _room(query) - len(echo)
    kind = reply.kind
    # An ACK to an INFORM differs from one to a REQUEST.
    key = (query.kind if kind is Kind.ACK else kind, wanted, room)
    found = client.tails.get(key)
    if found is None:
        if len(client.tails) >= REMEMBERED:
            client.tails.clear()
        found = client.tails[key] = _tail(kind, query.kind, wanted, room, client.options)
    return found + echo


def _room(query: Dhcp4) -> int:
    """Bytes for options: a client takes 576 unless it says more (RFC 2131, 2), and a frame 1500."""
    text = query.options.get(Code.SIZE, b"")
    size = struct.unpack("!H", text)[0] if len(text) == 2 else 0
    return int(min(max(size, 576), 1500)) - 20 - 8 - 240 - 1


def _tail(kind: Kind, asked: Kind, wanted: bytes | None, room: int, ready: Mapping[int, bytes]) -> bytes:
    head = dhcp4.option(Code.KIND, bytes((kind,))) + ready[Code.SERVER]
    if kind is Kind.NAK:
        return head + dhcp4.option(Code.MESSAGE, b"not the address of this guest")
    room -= len(head)
    left = TIMES | {Code.SERVER} if asked is Kind.INFORM else {Code.SERVER}
    taken: dict[int, bytes] = {}
    # The table's order is that of need: what does not fit is left out from its end.
    for code, text in ready.items():
        if code in left or len(text) > room or not (code in ALWAYS or wanted is None or code in wanted):
            continue
        taken[code] = text
        room -= len(text)
    first = [code for code in dict.fromkeys(wanted or b"") if code in taken]
    return head + b"".join(taken[code] for code in dict.fromkeys([*first, *taken]))


def _destination(
    reply: Dhcp4, query: Dhcp4, datagram: frame.Datagram, hardware: bytes | None
) -> tuple[bytes, bytes, int]:
    """MAC, address and port to answer to (RFC 2131, 4.1); the frame leaves by the guest's own tap in any case."""
    if query.giaddr != UNSET:
        return hardware or query.chaddr, query.giaddr, dhcp4.SERVER_PORT
    to = query.ciaddr
    if to == UNSET and not query.flags & dhcp4.BROADCAST_FLAG:
        to = reply.yiaddr
        if query.kind is Kind.INFORM:  # of a client that leaves ciaddr unset
            to = datagram.src
    if to == UNSET or reply.kind is Kind.NAK:
        return frame.BROADCAST, ANYWHERE, dhcp4.CLIENT_PORT
    return query.chaddr, to, dhcp4.CLIENT_PORT
