"""What a DHCPv4 reply tells: of the lease's options those for this client, its own beside them, and what is echoed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nfdhcpd import boot, dhcp4, options4
from nfdhcpd.dhcp4 import Code, Dhcp4, Kind
from nfdhcpd.layout4 import Layout, lay_out, room

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nfdhcpd.client import Client
    from nfdhcpd.lease import Lease

ECHOED = 240  # bytes of what is echoed, beside which the least message has room for what every client needs

_TYPES = {kind: dhcp4.option(Code.KIND, bytes((kind,))) for kind in Kind}
_RAPID = dhcp4.option(Code.RAPID, b"")
_REFUSED = dhcp4.option(Code.MESSAGE, b"not the address of this guest")


def layout(reply: Kind, query: Dhcp4, client: Client) -> Layout:
    """Fields and options: the type first, then the server, then what the client wants in its order, then the rest."""
    asked = query.options
    head, echo = _TYPES[reply], _echo(asked)
    if reply is Kind.NAK or reply is Kind.LEASEUNKNOWN:
        return Layout(head + client.options[Code.SERVER] + (_REFUSED if reply is Kind.NAK else b"") + echo)
    if reply is Kind.ACK and query.kind is Kind.DISCOVER:
        head += _RAPID
    text, siaddr, file, sname = _make(asked, client, len(head) + len(echo), inform=query.kind is Kind.INFORM)
    return Layout(head + text + echo, siaddr, file, sname)


def _echo(asked: Mapping[int, bytes]) -> bytes:
    """RFC 6842: the client's identifier in every reply; RFC 3046, 2.2: the relay's information, at the end."""
    identity = asked.get(Code.CLIENT)
    echo = dhcp4.option(Code.CLIENT, identity) if identity and len(identity) <= 255 else b""
    if Code.RELAY in asked:
        relay = dhcp4.option(Code.RELAY, asked[Code.RELAY])
        if len(echo) + len(relay) <= ECHOED:
            echo += relay
    return echo


def _make(asked: Mapping[int, bytes], client: Client, spent: int, *, inform: bool) -> Layout:
    wanted, lease, ready = asked.get(Code.WANTED), client.lease, client.options
    free = room(asked.get(Code.SIZE, b""), lease.mtu if lease else None) - spent
    if lease is None:  # to stay without an address is told by each option that asks for it
        by = {Code.SERVER, *(wanted or b"")} | ({Code.AUTOCONF} & asked.keys())
        return lay_out({code: text for code, text in ready.items() if code in by}, free, wanted)
    choice = boot.choose(lease.shared.boot, asked) if lease.shared.boot else None
    own = {code: text for code, text in _own(choice, asked, lease, wanted).items() if code not in ready}
    left_out = options4.TIMES if inform else ()
    always = {code: text for code, text in ready.items() if code in options4.ALWAYS and code not in left_out}
    if wanted is None:
        rest = {code: text for code, text in ready.items() if code not in options4.BY_NAME}
    else:
        rest = {code: text for code, text in ready.items() if code in wanted}
    told = {**always, **own, **{code: text for code, text in rest.items() if code not in left_out}}
    if choice is None:
        return lay_out(told, free, wanted)
    return lay_out(told, free, wanted, file=choice.file)._replace(siaddr=choice.siaddr)


def _own(
    choice: boot.Choice | None, asked: Mapping[int, bytes], lease: Lease, wanted: bytes | None
) -> dict[int, bytes]:
    """Options that follow from the client as well as from its lease, encoded."""
    own: dict[int, bytes] = {}
    for code, value in choice.options.items() if choice else ():
        if choice and (choice.booting or wanted is None or code in wanted):
            own[code] = dhcp4.option(code, value)
    name = options4.fqdn(asked[Code.FQDN], lease) if Code.FQDN in asked else None
    if name is not None:
        own[Code.FQDN] = dhcp4.option(Code.FQDN, name)
    return own
