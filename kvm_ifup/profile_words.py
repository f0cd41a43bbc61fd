"""A firewall profile in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kvm_ifup.profile import ANY4, ANY6, CUT, DROP, PROTOCOLS
from kvm_ifup.profile_fields import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kvm_ifup.profile import Allow, Profile

_NAMES = {number: name.upper() if number != 58 else "ICMPv6" for name, number in PROTOCOLS.items()}


def rules(profile: Profile) -> Iterator[str]:
    """What may come to a guest that has the profile, a sentence each."""
    if profile.established == CUT:
        yield "connections that stand are cut when it comes into force"
    if profile.new != DROP:
        yield "anything may come"
        return
    yield "what belongs to connections that stand may come"
    yield "ICMP that IP needs, neighbour discovery and answers of DHCP servers may come"
    for allow in profile.allowed:
        yield f"{_what(allow)} may come from {_sources(allow)} [allow {allow.name}]"
    yield "nothing else may"


def _what(allow: Allow) -> str:
    if allow.protocol is None:
        return "anything"
    name = _NAMES.get(allow.protocol, f"IP protocol {allow.protocol}")
    if allow.types:
        known = {number: word for word, number in TYPES[allow.protocol].items()}
        code = "" if allow.code is None else f" with code {allow.code}"
        return f"{name} {_list(known.get(kind, f'type {kind}') for kind in allow.types)}{code}"
    if allow.ports:
        ranges = (str(first) if first == last else f"{first}-{last}" for first, last in allow.ports)
        return f"{name} to port {_list(ranges)}"
    return name


def _sources(allow: Allow) -> str:
    if allow.members:
        families = " and ".join(f"IPv{version}" for version, some in ((4, allow.ip4), (6, allow.ip6)) if some)
        return f"the members of security group {allow.members} in {families}"
    either: dict[tuple[str, ...], str] = {(ANY4,): "anywhere in IPv4", (ANY6,): "anywhere in IPv6"}
    if (allow.ip4, allow.ip6) == ((ANY4,), (ANY6,)):
        return "anywhere"
    return " and ".join(either.get(some, _list(some)) for some in (allow.ip4, allow.ip6) if some)


def _list(words: Iterator[str] | tuple[str, ...]) -> str:
    return ", ".join(words)
