"""Security groups as rows, and as Ganeti's tags of the cluster tell of them (ganeti_ext/groups.py). Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from frontend.network import netview
from frontend.network.grouprules import FAMILIES
from ganeti_ext.groups import Group, Rule, key
from ganeti_ext.selection import OWN

Row = Mapping[str, Any]


def name(ident: str) -> str:
    """What an own group is called in the tag of a server or a NIC."""
    return OWN + key(ident)


def group(row: Row, rules: Iterable[Row]) -> Group:
    """Of rows of the tables `security_group` and `security_group_rule`."""
    return Group(
        ident=row["id"],
        project=row["project_id"],
        name=row["name"],
        description=row["description"],
        created=int(row["created"]),
        updated=int(row["updated"]),
        rules=tuple(_rule(each, int(row["created"])) for each in sorted(rules, key=_order)),
    )


def rows(found: Group) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The rows of a group, but for its version. ValueError for what has no room in them."""
    names = {"id": found.ident, "project_id": found.project, "name": found.name, "description": found.description}
    for column, most in (("project_id", 36), ("name", 255), ("description", 255)):
        if len(names[column]) > most:
            raise ValueError(f"{column} has {len(names[column])} characters, {most} at most")
    row = {**names, "created": float(found.created), "updated": float(found.updated)}
    return row, [_row(found.ident, rule) for rule in found.rules]


def rule_id(group_id: str, rule: Row) -> str:
    """The same for the same rule: a group has it once."""
    keys = ("direction", "ethertype", "protocol", "port_min", "port_max", "remote_ip", "remote_group")
    words = " ".join("-" if rule[each] is None else str(rule[each]) for each in keys)
    return netview.made(f"rule {words}", group_id)


def _order(row: Row) -> tuple[float, str]:
    return row["created"], row["id"]


def _rule(row: Row, since: int) -> Rule:
    return Rule(
        direction=row["direction"],
        family=int(row["ethertype"][-1]),
        protocol=row["protocol"],
        first=row["port_min"],
        last=row["port_max"],
        remote=row["remote_ip"],
        group=row["remote_group"],
        created=max(int(row["created"]), since),
        description=row["description"],
    )


def _row(ident: str, rule: Rule) -> dict[str, Any]:
    if rule.remote is not None:
        ipaddress.ip_network(rule.remote, strict=False)
    said = {
        "direction": rule.direction,
        "ethertype": FAMILIES[0 if rule.family == 4 else 1],
        "protocol": rule.protocol,
        "port_min": rule.first,
        "port_max": rule.last,
        "remote_ip": rule.remote,
        "remote_group": rule.group,
    }
    words = {"description": rule.description[:255], "created": float(rule.created)}
    return {"id": rule_id(ident, said), "group_id": ident, **said, **words}
