"""DHCPv6: what is answered to a guest's packet (RFC 8415, sections 16 and 18.3). No socket, no clock, no state.

The daemon is the one server that a guest can reach, so it speaks with authority.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from nfdhcpd import boot6, dhcp6, frame, ias, ndp
from nfdhcpd.answer import Answer, Pass, Silence, check_card
from nfdhcpd.dhcp6 import Code, Kind, Status
from nfdhcpd.frame import FrameError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nfdhcpd.client import Client
    from nfdhcpd.dhcp6 import Dhcp6
    from nfdhcpd.lease6 import Lease6

_RELAYED = (Kind.RELAY_FORW, Kind.RELAY_REPL)
_MULTICAST = dhcp6.status(Status.USE_MULTICAST, "ask by multicast")
_DONE = dhcp6.status(Status.SUCCESS, "done")
_ON_LINK = dhcp6.status(Status.SUCCESS, "the address of this guest")
_PREFERENCE = dhcp6.option(Code.PREFERENCE, b"\xff")  # 255: there is no other server to wait for (21.8)
_RAPID = dhcp6.option(Code.RAPID, b"")


def _fqdn(query: Dhcp6, lease: Lease6) -> bytes:
    """RFC 4704, 6: the name is Ganeti's; N says that we do not update DNS, O that the client wanted us to."""
    asked = query.options.get(Code.FQDN)
    if not asked:
        return b""
    return dhcp6.option(Code.FQDN, bytes((4 | (asked[0] & 1) << 1,)) + lease.fqdn)


# Options that depend on what was asked; the others stand ready in the lease.
OPTIONS: Mapping[int, Callable[[Dhcp6, Lease6], bytes]] = {
    Code.REFRESH: lambda query, lease: lease.refresh if query.kind == Kind.INFORMATION_REQUEST else b"",  # 21.23
    Code.FQDN: _fqdn,
    Code.BOOT_URL: lambda query, lease: boot6.url(query.options, lease.boot),
    Code.VENDOR_CLASS: lambda query, lease: boot6.vendor_class(query.options, lease.boot),
}


class Reply(NamedTuple):
    """The type, what it says in plain words, its options one by one; whether those that were asked for come too."""

    kind: Kind
    told: str
    options: list[bytes]
    more: bool = False


class Rule(NamedTuple):
    """`server` says whether a message names its server: it must (True), it must not (False), it may (None)."""

    server: bool | None
    reply: Callable[[Dhcp6, Lease6], Reply]


def answer(packet: bytes, hardware: bytes | None, client: Client) -> Answer:
    """The answer to an IPv6 packet to port 547.

    `hardware` is the source MAC of the packet's frame. Raises Silence, Pass or FrameError when there is no answer.
    """
    src, dst, _, port, payload = frame.parse_datagram6(packet)
    if port != dhcp6.SERVER_PORT:
        raise Pass
    kind = dhcp6.kind(payload)
    asked = NAMES.get(kind, f"DHCPv6 type {kind}")
    check_card(hardware, client, asked)
    unicast = dst != dhcp6.SERVERS
    if unicast and dst[0] == 0xFF:
        raise Silence("ignored", f"{asked} to {dst.hex()}, which is for relays", asked)
    if unicast and dst != client.source6 and kind in _RELAYED:
        raise Pass  # of a guest that relays for others, to a server of theirs
    rule = RULES.get(kind)
    if rule is None:
        raise Silence("ignored", f"a {asked} is no request of a client", asked)
    # busybox renews from its global address, by unicast. It would take UseMulticast for a refusal and give its address
    # up for a while; without an answer it asks all servers, a few seconds later.
    if not ndp.is_link_local(src):
        raise Silence("malformed", f"{asked} from {src.hex()}, which is not link-local", asked)
    lease = client.six
    if lease is None:
        raise Silence("nothing", "DHCPv6 has nothing for this guest", asked)
    query = dhcp6.parse(payload)
    _check(query, rule, lease, asked)
    reply = _to_unicast(rule, asked) if unicast else rule.reply(query, lease)
    out = frame.Datagram(client.source6, src, dhcp6.SERVER_PORT, dhcp6.CLIENT_PORT, _assemble(reply, query, lease))
    ether = (hardware or client.mac) + client.source + frame.IPV6
    return Answer(asked, f"{NAMES[reply.kind]} {reply.told}".strip(), ether + frame.build_datagram6(out))


def _check(query: Dhcp6, rule: Rule, lease: Lease6, asked: str) -> None:
    """Who must be named, and who must not (16.2 to 16.12)."""
    identity = query.options.get(Code.CLIENT)
    if identity is None:
        if query.kind != Kind.INFORMATION_REQUEST:
            raise Silence("malformed", f"{asked} without the identifier of its client", asked)
    elif not 3 <= len(identity) <= 130:  # 11.1
        raise Silence("malformed", f"{asked} with an identifier of {len(identity)} bytes", asked)
    server = query.options.get(Code.SERVER)
    if server is None:
        if rule.server:
            raise Silence("malformed", f"{asked} without the identifier of its server", asked)
    elif rule.server is False:
        raise Silence("malformed", f"{asked} that names a server", asked)
    elif server != lease.duid:
        raise Silence("other", f"{asked} to another server, {server.hex(':')}", asked)
    if query.kind == Kind.INFORMATION_REQUEST and query.ias:
        raise Silence("malformed", f"{asked} with an IA", asked)


def _to_unicast(rule: Rule, asked: str) -> Reply:
    """We never invite to unicast: what names its server learns so (18.3.2 and others), the rest is dropped (18.4).

    Some clients write to the address that the server had, on the node where the guest was then: they mean us.
    """
    if not rule.server:
        raise Silence("malformed", f"{asked} by unicast", asked)
    return Reply(Kind.REPLY, "UseMulticast", [_MULTICAST])


def _assemble(reply: Reply, query: Dhcp6, lease: Lease6) -> bytes:
    """The message; options that do not fit are left out."""
    out = bytes((reply.kind,)) + query.xid + dhcp6.option(Code.SERVER, lease.duid)
    identity = query.options.get(Code.CLIENT)
    if identity is not None:
        out += dhcp6.option(Code.CLIENT, identity)
    for text in reply.options:
        if len(out) + len(text) <= dhcp6.LARGEST:
            out += text
    wanted = query.options.get(Code.WANTED)
    if not wanted or not reply.more:
        return out
    if len(wanted) % 2:
        raise FrameError(f"DHCPv6 option request of {len(wanted)} bytes")
    for code in dict.fromkeys(struct.unpack(f"!{len(wanted) // 2}H", wanted)):
        text = lease.options.get(code) or (OPTIONS[code](query, lease) if code in OPTIONS else b"")
        if len(out) + len(text) <= dhcp6.LARGEST:
            out += text
    return out


def _solicit(query: Dhcp6, lease: Lease6) -> Reply:
    """18.3.1 and 18.3.9."""
    given, content = ias.grant(query, lease)
    if Code.RAPID in query.options and given:
        return Reply(Kind.REPLY, " ".join(given), [_RAPID, *content], more=True)
    return Reply(Kind.ADVERTISE, " ".join(given) or "nothing to give", [_PREFERENCE, *content], more=True)


def _grant(query: Dhcp6, lease: Lease6) -> Reply:
    """Request, Renew and Rebind (18.3.2, 18.3.4, 18.3.5)."""
    given, content = ias.grant(query, lease)
    return Reply(Kind.REPLY, " ".join(given) or "nothing to give", content, more=True)


def _confirm(query: Dhcp6, lease: Lease6) -> Reply:
    """18.3.3. A guest with an address of Ganeti's may use no other, so its link has no other."""
    named = [address for ia in query.ias if ia.code != Code.IA_PD for address in ia.leases]
    if not named or (lease.address is None and lease.network is None):
        raise Silence("nothing", "CONFIRM6 of what cannot be told", NAMES[query.kind])
    own = lease.address
    if all(address == own.packed if own else lease.has(address) for address in named):
        return Reply(Kind.REPLY, "Success", [_ON_LINK])
    return Reply(Kind.REPLY, "NotOnLink", [ias.OFF_LINK])


def _information(_query: Dhcp6, _lease: Lease6) -> Reply:
    """18.3.6."""
    return Reply(Kind.REPLY, "", [], more=True)


def _release(query: Dhcp6, lease: Lease6) -> Reply:
    """Release and Decline (18.3.7, 18.3.8): thanked for, and the address stays the guest's."""
    return Reply(Kind.REPLY, WORDS[query.kind], [_DONE, *ias.unknown(query, lease)])


RULES: Mapping[int, Rule] = {
    Kind.SOLICIT: Rule(server=False, reply=_solicit),
    Kind.REQUEST: Rule(server=True, reply=_grant),
    Kind.CONFIRM: Rule(server=False, reply=_confirm),
    Kind.RENEW: Rule(server=True, reply=_grant),
    Kind.REBIND: Rule(server=False, reply=_grant),
    Kind.RELEASE: Rule(server=True, reply=_release),
    Kind.DECLINE: Rule(server=True, reply=_release),
    Kind.INFORMATION_REQUEST: Rule(server=None, reply=_information),
}

# What is thought of what a client tells without asking.
WORDS: Mapping[int, str] = {
    Kind.RELEASE: "Success: the address stays the guest's",
    Kind.DECLINE: "Success: the guest found its address in use by another host",
}

# With a 6, as three of them are messages of DHCPv4 too.
NAMES: Mapping[int, str] = {kind: kind.name.replace("_", "-") + "6" for kind in Kind}
