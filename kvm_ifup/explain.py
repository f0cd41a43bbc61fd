"""Which rule decides about a packet: the rules that we load for a tap, met in the kernel's order. No effects.

What a guest says is judged at its tap's ingress. What goes to a guest on a bridge meets, in this order: bridge forward
below the priority of br_netfilter, inet forward (if br_netfilter shows the frame to the IP tables), bridge forward
behind it, bridge postrouting. What the node routes to a guest meets inet forward; what it routes onto a bridge, bridge
postrouting too; what the node says itself, bridge postrouting alone.
"""

from __future__ import annotations

from collections import defaultdict, namedtuple
from types import MappingProxyType
from typing import TYPE_CHECKING

from ganeti_ext.nicenv import Nic
from kvm_ifup import describe, fields, iptables_rule, nftrule, plan, reasons
from kvm_ifup.nfttext import Ruleset
from kvm_ifup.packet import OUT, shown
from kvm_ifup.packet_words import BRIDGED, IP4, IP6, ROUTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kvm_ifup.iptables_rule import Legacy, Members
    from kvm_ifup.nftrule import Step
    from kvm_ifup.packet import Packet
    from kvm_ifup.state import Record

PASS, DROP = "pass", "drop"
_NOBODY: Members = MappingProxyType({})
# Priorities; those before and behind br_netfilter are of bridge forward.
_ANY, _BEFORE, _BEHIND = range(-1000, 1000), range(-1000, 0), range(1000)
_VERDICTS = {"accept": PASS, "return": PASS, "drop": DROP}


class Seen(namedtuple("Seen", "ip4 ip6 tagged", defaults=(True, True, False))):
    """What br_netfilter shows to the IP tables: IPv4, IPv6, and both of them behind VLAN tags."""

    __slots__ = ()
    ip4: bool
    ip6: bool
    tagged: bool


class Met(namedtuple("Met", "stage words table chain rule verdict")):
    """A rule that says something of the packet; `verdict` is what it decides, of its stage at least, or None."""

    __slots__ = ()
    stage: str
    words: str
    table: str
    chain: str
    rule: str
    verdict: str | None


def explain(
    record: Record,
    text: str,
    packet: Packet,
    seen: Seen,
    legacy: Legacy | None = None,
    known: Members = _NOBODY,
) -> tuple[str, list[Met]]:
    """The verdict, and the rules on the way to it; `text` is the nft text that makes all rules of the tap.

    `legacy` are the chains of iptables, by IP version, where they judge, and `known` the members of groups that are in
    their sets (memberfile.py). PacketError when the description leaves out what decides.
    """
    values = _values(record, packet)
    met: list[Met] = []
    for step in _walk(record, Ruleset(text), packet, seen, (legacy or {}, known)):
        reason = reasons.of(step)
        words = "" if reason is None else reason.fails if step.verdict is None else reason.holds
        verdict = _VERDICTS.get(step.verdict or "")
        if words or verdict == DROP:
            stage = reason.stage if reason else ""
            met.append(Met(stage, words.format_map(values), step.table, step.chain, step.rule, verdict))
        if verdict == DROP:
            return DROP, met
    return PASS, met


def _walk(
    record: Record, ruleset: Ruleset, packet: Packet, seen: Seen, filters: tuple[Legacy, Members]
) -> Iterator[Step]:
    if packet.direction == OUT:
        if plan.judged(record):
            found = fields.of(packet, {"iifname": record.tap})
            yield from nftrule.walk(ruleset, "netdev ganeti_ext", f"port_{record.ifindex}", found)
        return
    below = record.firewall.bridge if record.firewall else None
    mark: int | str | fields.Unsaid = 0
    for family, hook, priorities in _path(record, packet, seen):
        found = fields.of(packet, {"oifname": record.tap})
        if family == "inet":
            found = fields.behind_tag(packet, {"oifname": below or record.tap})
        found["meta mark"] = mark
        for table, chain in _based(ruleset, family, hook, priorities):
            yield from nftrule.walk(ruleset, table, chain, found)
        if family == "inet":
            yield from iptables_rule.walk(*filters, found)
        mark = found["meta mark"]


def _path(record: Record, packet: Packet, seen: Seen) -> Iterator[tuple[str, str, range]]:
    """Hooks that a packet to the guest comes through: family, hook, and the priorities of the chains there."""
    by = packet.values["by"]
    bridged = record.firewall is not None and record.firewall.bridge is not None
    if by == BRIDGED and not bridged:
        return  # Open vSwitch, which shows netfilter nothing
    if by == BRIDGED:
        yield "bridge", "forward", _BEFORE
    if by == ROUTED or (by == BRIDGED and _shown(packet, seen)):
        yield "inet", "forward", _ANY
    if by == BRIDGED:
        yield "bridge", "forward", _BEHIND
    if bridged:
        yield "bridge", "postrouting", _ANY


def _shown(packet: Packet, seen: Seen) -> bool:
    tagged = "vlan" not in packet.values or seen.tagged
    return tagged and {IP4: seen.ip4, IP6: seen.ip6}.get(packet.number("ethertype") or 0, False)


def _based(ruleset: Ruleset, family: str, hook: str, priorities: range) -> list[tuple[str, str]]:
    found = [
        (chain.priority, place)
        for place, chain in ruleset.chains.items()
        if place[0].startswith(f"{family} ") and chain.hook == hook and chain.priority in priorities
    ]
    return [place for _, place in sorted(found)]


def _values(record: Record, packet: Packet) -> Mapping[str, str]:
    """What stands in the braces of reasons.py."""
    values = shown(packet)
    nic = Nic.from_env(record.env)
    src = packet.values.get("src")
    values["why"] = "" if src is None else describe.origin(nic, str(src))
    values["profile"] = f"the profile {record.firewall.profile}" if record.firewall else "no profile"
    return defaultdict(lambda: "?", values)
