"""Firewall profiles (docs/firewall.md) as the JSON of security groups, of Network v2.0 and of Compute. Pure.

A NIC has one profile, whereas security groups add up: so a server is in one group, or in none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from frontend import netview
from frontend.netview import DEFAULT_GROUP


class Rule(NamedTuple):
    """What may come that is new; None: any. Of ICMP the ports are type and code (Network v2.0)."""

    ethertype: str
    protocol: str | None = None
    first: int | None = None
    last: int | None = None


_BOTH = ("IPv4", "IPv6")
# What the shipped profiles let come; the rules of an administrator's own stand on his nodes alone.
RULES: Mapping[str, Sequence[Rule]] = {
    "unprotected": tuple(Rule(family) for family in _BOTH),
    "limited": (
        *(Rule(family, "tcp", port, port) for port in (22, 3389) for family in _BOTH),
        *(Rule(family, "udp", 3389, 3389) for family in _BOTH),
        Rule("IPv4", "icmp", 8, None),
        Rule("IPv6", "ipv6-icmp", 128, None),
    ),
    netview.NO_GROUP: (),
}
_MEANS = {
    "unprotected": "Anything may come",
    "limited": "SSH, remote desktop and ping may come, nothing else that is new",
    "protected": "Nothing new comes in",
}
_ANYWHERE = {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}


def group(project: str, name: str, default: str) -> dict[str, Any]:
    """One group of Network v2.0; `default` is the profile that the group of that name means."""
    ident, profile = netview.group_id(project, name), default if name == DEFAULT_GROUP else name
    rules = [_rule(project, ident, "egress", Rule(family)) for family in _BOTH]
    rules += [_rule(project, ident, "ingress", rule) for rule in RULES.get(profile, ())]
    return {
        "id": ident,
        "name": name,
        "description": _description(name, profile),
        "security_group_rules": rules,
        "stateful": True,
        "shared": False,
        "tenant_id": project,
        "project_id": project,
        "tags": [],
    }


def compute_group(found: Mapping[str, Any]) -> dict[str, Any]:
    """A group of Network v2.0 as Compute's proxy shows it: its rules are those of what comes."""
    shown = {key: found[key] for key in ("id", "name", "description", "tenant_id")}
    rules = [_compute_rule(rule) for rule in found["security_group_rules"] if rule["direction"] == "ingress"]
    return {**shown, "rules": rules}


def _description(name: str, profile: str) -> str:
    means = _MEANS.get(profile, f"The administrator's firewall profile {profile}")
    return f"{means}, where the network has no profile of its own" if name == DEFAULT_GROUP else means


def _rule(project: str, group_id: str, direction: str, rule: Rule) -> dict[str, Any]:
    words = [direction, *(str(part) for part in rule if part is not None)]
    return {
        "id": netview.made(" ".join(words), group_id),
        "security_group_id": group_id,
        "direction": direction,
        "ethertype": rule.ethertype,
        "protocol": rule.protocol,
        "port_range_min": rule.first,
        "port_range_max": rule.last,
        "remote_ip_prefix": None,
        "remote_group_id": None,
        "description": "",
        "tenant_id": project,
        "project_id": project,
    }


def _compute_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": rule["id"],
        "parent_group_id": rule["security_group_id"],
        "ip_protocol": rule["protocol"],
        "from_port": rule["port_range_min"],
        "to_port": rule["port_range_max"],
        "ip_range": {"cidr": _ANYWHERE[rule["ethertype"]]},
        "group": {},
    }
