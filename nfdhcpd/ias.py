"""The identity associations of DHCPv6: which of them has the guest's address or prefix (RFC 8415, section 12).

A guest's address is a fact and not a loan: whatever IA asks first has it, whichever message it asks with, and nothing
is kept of what was told. So the server is one that makes bindings as it renews (18.3.4, 18.3.5).
"""

from __future__ import annotations

from itertools import compress
from operator import not_
from typing import TYPE_CHECKING, NamedTuple

from nfdhcpd import dhcp6
from nfdhcpd.dhcp6 import Code, Kind, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nfdhcpd.dhcp6 import Dhcp6, Ia
    from nfdhcpd.lease6 import Grant, Lease6

MOST = 8  # leases of one IA that are told; a client has one or two

OFF_LINK = dhcp6.status(Status.NOT_ON_LINK, "not an address of this guest")
_UNKNOWN = dhcp6.status(Status.NO_BINDING, "not what this guest has")
_NO_ADDRESS = dhcp6.status(Status.NO_ADDRS_AVAIL, "no address to give")
_NO_PREFIX = dhcp6.status(Status.NO_PREFIX_AVAIL, "no prefix to give")


class Held(NamedTuple):
    """What a kind of IA holds: ours of it, how it is written, and what is said when there is none."""

    ours: Callable[[Lease6], Grant | None]
    write: Callable[[bytes, int, int], bytes]
    none: bytes


HELD: Mapping[int, Held] = {
    Code.IA_NA: Held(lambda lease: lease.address, dhcp6.address, _NO_ADDRESS),
    # Temporary addresses are for a guest to make by itself; it has one of Ganeti's.
    Code.IA_TA: Held(lambda _lease: None, dhcp6.address, _NO_ADDRESS),
    Code.IA_PD: Held(lambda lease: lease.prefix, dhcp6.prefix, _NO_PREFIX),
}


def grant(query: Dhcp6, lease: Lease6) -> tuple[list[str], list[bytes]]:
    """What is given, for people, and each IA of the answer."""
    request = query.kind == Kind.REQUEST
    strange = [request and _is_strange(ia, lease) for ia in query.ias]
    owners = _owners(compress(query.ias, map(not_, strange)), lease)
    given, content = [], []
    for ia, refused in zip(query.ias, strange, strict=True):
        held = HELD[ia.code]
        found = held.ours(lease)
        if refused:
            content.append(dhcp6.ia(ia.code, ia.iaid, 0, 0, OFF_LINK))
        elif found is not None and ia is owners[ia.code]:
            given.append(found.text)
            mine = held.write(found.packed, lease.preferred, lease.valid)
            rest = _taken_back(query, ia, held, found.packed)
            content.append(dhcp6.ia(ia.code, ia.iaid, lease.t1, lease.t2, mine + rest))
        else:
            rest = _taken_back(query, ia, held, b"") if not request else b""
            content.append(dhcp6.ia(ia.code, ia.iaid, 0, 0, rest or held.none))
    return given, content


def unknown(query: Dhcp6, lease: Lease6) -> list[bytes]:
    """Those of the IAs that name nothing which the guest has, for the answer to a Release or Decline."""
    return [dhcp6.ia(ia.code, ia.iaid, 0, 0, _UNKNOWN) for ia in query.ias if not _is_ours(ia, lease)]


def _is_ours(ia: Ia, lease: Lease6) -> bool:
    ours = HELD[ia.code].ours(lease)
    return ours is not None and ours.packed in ia.leases


def _owners(ias: Iterable[Ia], lease: Lease6) -> dict[int, Ia]:
    """The IA of each kind that has what there is one of: the one that names it, else the first."""
    owners: dict[int, Ia] = {}
    for ia in ias:
        if ia.code not in owners or (_is_ours(ia, lease) and not _is_ours(owners[ia.code], lease)):
            owners[ia.code] = ia
    return owners


def _is_strange(ia: Ia, lease: Lease6) -> bool:
    """Whether a Request asks for an address of another link: all of the IA is refused then (18.3.2)."""
    if ia.code == Code.IA_PD:
        return False
    own = lease.address.packed if lease.address else None
    return any(address != own and not lease.has(address) for address in ia.leases)


def _taken_back(query: Dhcp6, ia: Ia, held: Held, own: bytes) -> bytes:
    """What a client thinks it has besides, with lifetimes of 0 (18.3.4); a Solicit names only what it would like."""
    if query.kind == Kind.SOLICIT:
        return b""
    return b"".join(held.write(other, 0, 0) for other in ia.leases[:MOST] if other != own)
