"""Answers `explain`: what the node's files tell of a tap and what the node shows, put to explain.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganeti_ext import addresses
from ganeti_ext.nicenv import Nic
from kvm_ifup import explain, memberfile, packet, plan, profiles, reach, required
from kvm_ifup.explain import Seen
from kvm_ifup.packet import OUT, Guest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from kvm_ifup.explain import Met
    from kvm_ifup.packet import Packet
    from kvm_ifup.settings import Settings
    from kvm_ifup.standing import Node
    from kvm_ifup.state import Record


def answer(record: Record, direction: str, words: Iterable[str], settings: Settings, node: Node) -> dict[str, Any]:
    """The verdict on a packet, and why; PacketError when the words describe none, or too little of it."""
    described = packet.parse(direction, words, _guest(record, settings, node))
    used = {record.firewall.profile: profiles.load(record.firewall.profile)} if record.firewall else {}
    numbered = required.numbered([record], used)
    bridge = record.firewall.bridge if record.firewall else None
    # Whoever cut a connection has put that there, whatever profile this guest has.
    cut = plan.judging(settings) if "cut" in described.values else ""
    known = memberfile.read()
    text = cut + required.text([record], numbered, settings, known)
    seen = node.shown(bridge) if bridge else Seen()
    verdict, met = explain.explain(record, text, described, seen, required.legacy(numbered, settings), known)
    shown = packet.shown(described)
    return {
        "tap": record.tap,
        "instance": record.instance,
        "direction": direction,
        "said": {name: value for name, value in shown.items() if name not in described.assumed},
        "assumed": {name: value for name, value in shown.items() if name in described.assumed},
        "verdict": verdict,
        "why": _why(described, verdict, met),
        "met": [one._asdict() for one in met],
    }


def _guest(record: Record, settings: Settings, node: Node) -> Guest:
    nic = Nic.from_env(record.env)
    own = addresses.of(nic)
    return Guest(
        mac=nic.mac,
        ip4=own.ip,
        ip6=own.eui64,
        peer=reach.network(nic.mac, settings.mac_mask),
        host=node.mac(nic.bridge or record.tap) or settings.tap_mac,
        routed=nic.mode == "routed",
    )


def _why(described: Packet, verdict: str, met: list[Met]) -> str:
    if verdict == explain.DROP:
        return met[-1].words or "by a rule of ganeti-ext"
    if met:
        return "no rule on its way drops it"
    if described.direction == OUT:
        return "a tag allows this guest to say anything"
    return "no rule judges what comes this way"
