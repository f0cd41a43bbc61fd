"""The rules that profile_iptables.py makes, on the fields of one packet. Values in, values out."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from kvm_ifup import member_sets
from kvm_ifup.fields import STATES, Unsaid
from kvm_ifup.nftrule import RuleError, Step
from kvm_ifup.packet_words import PacketError
from kvm_ifup.profile_iptables import DISPATCH, JUMP, SET, line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from kvm_ifup.fields import Fields
    from kvm_ifup.profile_iptables import Rule

    # Chains by IP version and name.
    Legacy = Mapping[int, Mapping[str, tuple[Rule, ...]]]
    # Addresses by the keys of groups.
    Members = Mapping[str, Iterable[str]]

_VERSIONS = {2: (4, "iptables"), 10: (6, "ip6tables")}  # by nfproto
_VERDICTS = {"DROP": "drop", "RETURN": "return"}


def walk(legacy: Legacy, known: Members, fields: Fields) -> Iterator[Step]:
    """The rules that a packet meets in FORWARD, as nftrule.walk; none when there are none for its family.

    `known` is what the sets of groups' members hold.
    """
    version, tool = _VERSIONS.get(_number(fields, "meta nfproto") or 0, (0, ""))
    if version in legacy:
        field = "ip saddr" if version == 4 else "ip6 saddr"
        source = _number(fields, field) if known else None
        among = {key for key, some in known.items() if source in [int(ip_address(each)) for each in some]}
        sets = frozenset(member_sets.legacy(key, version) for key in among)
        yield from _chain(legacy[version], f"{tool} filter", DISPATCH, (fields, sets))


def lines(legacy: Legacy) -> list[str]:
    """All of them as iptables.found has them: `iptables -S` behind its tool's name, with the jumps in FORWARD."""
    tools = dict(_VERSIONS.values())
    return [
        f"{tools[version]} {line(name, rule)}"
        for version, chains in legacy.items()
        for name, rules in (("FORWARD", (JUMP,)), *chains.items())
        for rule in rules
    ]


def _chain(
    chains: Mapping[str, tuple[Rule, ...]], table: str, chain: str, packet: tuple[Fields, frozenset[str]]
) -> Iterator[Step]:
    """A packet is its fields, and the sets that its source is in."""
    for rule in chains[chain]:
        if not _holds(rule, *packet):
            yield Step(table, chain, line(chain, rule), None)
        elif rule.target == "MARK":
            packet[0]["meta mark"] = 0
            yield Step(table, chain, line(chain, rule), "")
        elif rule.target in chains:
            yield Step(table, chain, line(chain, rule), f"jump {rule.target}")
            last = None
            for last in _chain(chains, table, rule.target, packet):
                yield last
            if last is not None and last.verdict == "drop":
                return
        else:
            yield Step(table, chain, line(chain, rule), _VERDICTS[rule.target])
            return


def _holds(rule: Rule, fields: Fields, sets: frozenset[str]) -> bool:
    if rule.protocol and _number(fields, "meta l4proto") != rule.protocol:
        return False
    if rule.source and not _within(fields, rule.source):
        return False
    return all(_match(name, dict(options), fields, sets) for name, options in rule.matches)


def _within(fields: Fields, source: str) -> bool:
    network = ip_network(source)
    address = _number(fields, "ip saddr" if network.version == 4 else "ip6 saddr") or 0
    return int(network.network_address) <= address <= int(network.broadcast_address)


def _match(name: str, options: Mapping[str, str], fields: Fields, sets: frozenset[str]) -> bool:
    if name == SET:
        return options["match-set"].removesuffix(" src") in sets
    if name not in _MATCHES:
        raise RuleError(f"cannot read the match {name!r} of iptables")
    return _MATCHES[name](options, fields)


def _masked(field: str, text: str, fields: Fields) -> bool:
    wanted, mask = (int(part, 16) for part in text.split("/"))
    value = _number(fields, field)
    return value is not None and value & mask == wanted


def _state(options: Mapping[str, str], fields: Fields) -> bool:
    return _number(fields, "ct state") in [STATES[word.lower()] for word in options["ctstate"].split(",")]


def _ports(options: Mapping[str, str], fields: Fields) -> bool:
    """Of `udp` and `multiport`."""
    for option, text in options.items():
        side = "sport" if option.startswith("s") else "dport"
        found = [_number(fields, f"{proto} {side}") for proto in ("tcp", "udp", "sctp")]
        value = next((port for port in found if port is not None), -1)
        ranges = [part.partition(":") for part in text.split(",")]
        if not any(int(first) <= value <= int(last or first) for first, _, last in ranges):
            return False
    return True


def _kind(protocol: str, text: str, fields: Fields) -> bool:
    """Whether it has a type, TYPE, or a type and a code, TYPE/CODE."""
    kind, slash, code = text.partition("/")
    if _number(fields, f"{protocol} type") != int(kind):
        return False
    return not slash or _number(fields, f"{protocol} code") == int(code)


_MATCHES: Mapping[str, Callable[[Mapping[str, str], Fields], bool]] = {
    "comment": lambda _options, _fields: True,
    "mark": lambda options, fields: _masked("meta mark", options["mark"], fields),
    "connmark": lambda options, fields: _masked("ct mark", options["mark"], fields),
    "conntrack": _state,
    "icmp": lambda options, fields: _kind("icmp", options["icmp-type"], fields),
    "icmp6": lambda options, fields: _kind("icmpv6", options["icmpv6-type"], fields),
    "udp": _ports,
    "multiport": _ports,
}


def _number(fields: Fields, name: str) -> int | None:
    """A field's value; None when the packet has none such."""
    value = fields.get(name)
    if isinstance(value, Unsaid):
        raise PacketError(f"say {value.word} too: a rule looks at it")
    return value if isinstance(value, int) else None
