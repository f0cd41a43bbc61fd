"""Firewall profiles (docs/firewall.md) as the JSON of security groups, of Network v2.0 and of Compute. Pure.

So are the groups that tenants make: grouprules.py says which of them a profile stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from frontend.network import grouprules, grouptags, netview
from frontend.network.grouprules import EGRESS, FAMILIES, INGRESS, Rule
from frontend.network.netview import DEFAULT_GROUP
from frontend.web.view import stamp

_MEANS = {
    "ssh": "SSH over IPv4 and all of ICMP may come, nothing else that is new",
    "unprotected": "Anything may come",
    "limited": "SSH, remote desktop and ping may come, nothing else that is new",
    "protected": "Nothing new comes in",
}
_ANYWHERE = {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}


def group(project: str, name: str, default: str) -> dict[str, Any]:
    """A group that is a profile, of Network v2.0; `default` is the profile that the group of that name means."""
    profile = default if name == DEFAULT_GROUP else name
    rules = [rule(project, row) for row in rows_of(project, name, profile)]
    return _group(netview.group_id(project, name), project, name, _description(name, profile), rules)


def rows_of(project: str, name: str, profile: str) -> list[dict[str, Any]]:
    """The rules of a group that is a profile, as rows of the table; of an administrator's own, not what comes."""
    ident = netview.group_id(project, name)
    come = sorted(grouprules.PROFILES.get(profile, ()), key=str)
    sent = [_made(ident, EGRESS, Rule(family)) for family in FAMILIES]
    return sent + [_made(ident, INGRESS, rule) for rule in come]


def own_group(row: Mapping[str, Any], rules: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A group of the project's own, with its rows of rules."""
    shown = [rule(row["project_id"], each) for each in rules]
    times = {"created_at": stamp(row["created"]), "updated_at": stamp(row["updated"])}
    return {**_group(row["id"], row["project_id"], row["name"], row["description"], shown), **times}


def rule(project: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table."""
    when = stamp(row["created"])
    return {
        "id": row["id"],
        "security_group_id": row["group_id"],
        "direction": row["direction"],
        "ethertype": row["ethertype"],
        "protocol": row["protocol"],
        "port_range_min": row["port_min"],
        "port_range_max": row["port_max"],
        "remote_ip_prefix": row["remote_ip"],
        "remote_group_id": row["remote_group"],
        "description": row["description"],
        "tenant_id": project,
        "project_id": project,
        "created_at": when,
        "updated_at": when,
    }


def _group(ident: str, project: str, name: str, description: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": ident,
        "name": name,
        "description": description,
        "security_group_rules": rules,
        "stateful": True,
        "shared": False,
        "tenant_id": project,
        "project_id": project,
        "tags": [],
    }


def _made(group_id: str, direction: str, of: Rule) -> dict[str, Any]:
    row = {"direction": direction, "ethertype": of.ethertype, "protocol": of.protocol, "port_min": of.first}
    row |= {"port_max": of.last, "remote_ip": None, "remote_group": None}
    return {**row, "id": grouptags.rule_id(group_id, row), "group_id": group_id, "description": "", "created": 0.0}


def compute_group(found: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A group of Network v2.0 as Compute's proxy shows it, which knows rules of what comes; `names` of groups by id."""
    shown = {key: found[key] for key in ("id", "name", "description", "tenant_id")}
    rules = [compute_rule(each, names) for each in found["security_group_rules"] if each["direction"] == INGRESS]
    return {**shown, "rules": rules}


def compute_rule(of: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    remote = of["remote_group_id"]
    return {
        "id": of["id"],
        "parent_group_id": of["security_group_id"],
        "ip_protocol": of["protocol"],
        "from_port": of["port_range_min"],
        "to_port": of["port_range_max"],
        "ip_range": {} if remote else {"cidr": of["remote_ip_prefix"] or _ANYWHERE[of["ethertype"]]},
        "group": {"tenant_id": of["tenant_id"], "name": names.get(remote, "")} if remote else {},
    }


def _description(name: str, profile: str) -> str:
    means = _MEANS.get(profile, f"The administrator's firewall profile {profile}")
    return f"{means}, where the network has no profile of its own" if name == DEFAULT_GROUP else means
