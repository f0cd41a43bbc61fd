"""The rules of a firewall profile, as texts for nft: what may pass returns, the rest is dropped.

A rule may only let pass by a header that it sees: where one cannot be loaded, as in a fragment that conntrack did
not put together, the rule does not match and the chain ends in `drop`.
"""

from __future__ import annotations

from kvm_ifup import member_sets, profile
from kvm_ifup.profile import ANY4, ANY6, DROP, ICMP, ICMPV6, SCTP, TCP, UDP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kvm_ifup.profile import Allow, Profile

_ICMP = {ICMP: "icmp", ICMPV6: "icmpv6"}
_PORTED = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}


def of(each: Profile) -> Iterator[str]:
    """The rules of its chain, in their order."""
    if each.new != DROP:
        return
    yield "ct state established,related return"
    yield f"icmp type {_some(profile.NEEDED4)} return"
    yield f"icmpv6 type {_some(profile.NEEDED6)} return"
    for family, (server, client) in (("ipv4", profile.DHCP4), ("ipv6", profile.DHCP6)):
        yield f"meta nfproto {family} udp sport {server} udp dport {client} return"
    yield "ct state invalid drop"
    for allow in each.allowed:
        ends = f'{_what(allow)} return comment "allow {allow.name}"'.strip()
        yield from (f"{place} {ends}".strip() for place in _sources(allow))
    yield "drop"


def _sources(allow: Allow) -> Iterator[str]:
    """What a packet's source has to match, for each rule that takes."""
    if (allow.ip4, allow.ip6) == ((ANY4,), (ANY6,)):
        yield ""
        return
    for sources, every, version, name in ((allow.ip4, ANY4, 4, "ip"), (allow.ip6, ANY6, 6, "ip6")):
        if sources and allow.members:
            yield f"{name} saddr @{member_sets.name(allow.members, version)}"
        elif sources:
            yield f"meta nfproto ipv{version}" if sources == (every,) else f"{name} saddr {_some(sources)}"


def _what(allow: Allow) -> str:
    if allow.types:
        name = _ICMP[allow.protocol or 0]
        return f"{name} type {_some(allow.types)}" + ("" if allow.code is None else f" {name} code {allow.code}")
    if allow.ports:
        ranges = (str(first) if first == last else f"{first}-{last}" for first, last in allow.ports)
        return f"{_PORTED[allow.protocol or 0]} dport {_some(ranges)}"
    return f"meta l4proto {allow.protocol}" if allow.protocol else ""


def _some(values: Iterable[object]) -> str:
    return f"{{ {', '.join(map(str, values))} }}"
