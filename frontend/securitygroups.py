"""Security groups: the nodes' firewall profiles, one of which a server's NICs have.

A profile is the administrator's (docs/firewall.md), so groups and their rules are there to read. Which one a server has
is the tag of its instance that the node reads: a change is in force within a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, jsonify

from frontend import context, facts, groupview, netview, requests, schema
from frontend.fault import BadRequest, Conflict, Forbidden, NotFound
from frontend.netview import DEFAULT_GROUP

_FACT = "firewall"
_WHOSE = (
    "Security groups are the firewall profiles that the cloud's administrator has made: they cannot be changed here."
)


def names() -> list[str]:
    """The groups that there are."""
    profiles = context.services().settings.firewall.profiles
    return [DEFAULT_GROUP, *profiles]


def all_groups(project: str) -> list[dict[str, Any]]:
    """The groups of a project, as Network v2.0 shows them."""
    default = context.services().settings.firewall.default
    return [groupview.group(project, name, default) for name in names()]


def chosen(wanted: Sequence[str], project: str) -> str | None:
    """The profile that a new server's groups (names or ids) mean, None for the network's or the nodes' own.

    BadRequest for a group that there is not, and for two profiles.
    """
    found = set()
    for each in wanted:
        name = _find(each, project)
        if name is None:
            raise BadRequest(f"Security group {each[:80]} not found.")
        found.add(name)
    profiles = sorted(found - {DEFAULT_GROUP})
    if len(profiles) > 1:
        raise BadRequest(f"security_groups: {', '.join(profiles)}: a server has one firewall profile, choose one")
    return profiles[0] if profiles else None


def add(server: Mapping[str, Any], argument: object) -> tuple[str, int]:
    """Action addSecurityGroup. Another group comes in place of `default`, and that besides it changes nothing."""
    name = _asked("addSecurityGroup", server, argument)

    def wanted(row: Mapping[str, Any]) -> dict[str, str | None]:
        now = netview.groups_of(row)
        if now in ([], [DEFAULT_GROUP]):
            return {_FACT: None if name == DEFAULT_GROUP else name} if now != [name] else {}
        if name not in (DEFAULT_GROUP, *now):
            raise Conflict(f"Instance {row['id']} is in group {now[0]}, and cannot be in two: remove that first.")
        return {}

    return _change("addSecurityGroup", server, wanted)


def remove(server: Mapping[str, Any], argument: object) -> tuple[str, int]:
    """Action removeSecurityGroup: a server in no group gets nothing that is new."""
    name = _asked("removeSecurityGroup", server, argument)

    def wanted(row: Mapping[str, Any]) -> dict[str, str | None]:
        now = netview.groups_of(row)
        if name in now:
            return {_FACT: netview.NO_GROUP}
        if name == DEFAULT_GROUP and now:  # another took its place
            return {}
        raise NotFound(f"Security group {name} is not associated with the instance {row['id']}")

    return _change("removeSecurityGroup", server, wanted)


def list_compute() -> Response:
    """GET /os-security-groups."""
    found = [groupview.compute_group(group) for group in all_groups(context.project_id())]
    return jsonify({"security_groups": found})


def show_compute(group_id: str) -> Response:
    return jsonify({"security_group": groupview.compute_group(_need(group_id))})


def list_of(server: Mapping[str, Any]) -> Response:
    """GET /servers/ID/os-security-groups."""
    project, default = server["project_id"], context.services().settings.firewall.default
    found = [groupview.group(project, name, default) for name in netview.groups_of(server)]
    return jsonify({"security_groups": [groupview.compute_group(group) for group in found]})


def refuse() -> Response:
    """To make a group or a rule."""
    raise Forbidden(_WHOSE)


def refuse_group(group_id: str) -> Response:
    """To change or delete a group: the one that is always there, another, none."""
    if _need(group_id)["name"] == DEFAULT_GROUP:
        raise BadRequest(f"Security group {DEFAULT_GROUP} cannot be changed or deleted.")
    raise Forbidden(_WHOSE)


def refuse_rule(rule_id: str) -> Response:
    """To delete a rule."""
    groups = all_groups(context.project_id())
    if rule_id not in (rule["id"] for group in groups for rule in group["security_group_rules"]):
        raise NotFound(f"Security group rule {rule_id} does not exist")
    raise Forbidden(_WHOSE)


def _asked(action: str, server: Mapping[str, Any], argument: object) -> str:
    if not isinstance(argument, dict):
        raise BadRequest(f"{action}: expected an object")
    wanted = schema.text(argument, "name")
    name = _find(wanted, server["project_id"])
    if name is None:
        raise NotFound(f"Security group {wanted} not found.")
    return name


def _change(action: str, server: Mapping[str, Any], wanted: Any) -> tuple[str, int]:
    jobs = facts.change(server, wanted)
    requests.note(context.services().engine, action, server["id"], jobs)
    return "", 202


def _find(wanted: str, project: str) -> str | None:
    """The group's name, by it or by its id."""
    known = names()
    ids = {netview.group_id(project, name): name for name in known}
    return wanted if wanted in known else ids.get(wanted)


def _need(group_id: str) -> dict[str, Any]:
    for group in all_groups(context.project_id()):
        if group["id"] == group_id:
            return group
    raise NotFound(f"Security group {group_id} not found.")
