"""The security groups of projects: those that are firewall profiles, and the rows of their own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.network import grouprules, grouptags, groupview, netview
from frontend.network.netview import DEFAULT_GROUP, NO_GROUP
from frontend.web import context
from frontend.web.fault import BadRequest, Conflict, Forbidden
from ganeti_ext.tags import PREFIX

Row = Mapping[str, Any]

JOINT = "+"
# Characters that the names of groups may have together in a server's tag, and in that of one NIC (porttag.py).
_ROOM, NIC_ROOM = 108, 66

_GROUP, _RULE = db.security_group.c, db.security_group_rule.c
_GROUPS = select(db.security_group).where(_GROUP.project_id == bindparam("whose")).order_by(_GROUP.created, _GROUP.id)
_RULES = select(db.security_group_rule).join(db.security_group).where(_GROUP.project_id == bindparam("whose"))
_RULES = _RULES.order_by(_RULE.created, _RULE.id)


class Known(NamedTuple):
    """A project's groups."""

    project: str
    own: Mapping[str, Row]
    """By id."""
    rules: Mapping[str, Sequence[Row]]
    """By the id of their group."""

    def with_rules(self, group_id: str, rules: Sequence[Row]) -> Known:
        """As it would be if a group had these rules."""
        return self._replace(rules={**self.rules, group_id: rules})


def profiles() -> list[str]:
    """Names of the groups that there are in every project."""
    return [DEFAULT_GROUP, *context.services().settings.firewall.profiles]


def read(connection: Connection, project: str) -> Known:
    own = {row["id"]: row for row in db.rows(connection, _GROUPS, whose=project)}
    rules: dict[str, list[Row]] = {ident: [] for ident in own}
    for row in db.rows(connection, _RULES, whose=project) if own else ():
        rules[row["group_id"]].append(row)
    return Known(project, own, rules)


def names(connection: Connection, project: str | None) -> dict[str, str]:
    """Names of own groups by id: of a project, or of all."""
    column = db.security_group.c
    query = select(column.id, column.name)
    if project is not None:
        query = query.where(column.project_id == project)
    return {row.id: row.name for row in connection.execute(query)}


def shown(known: Known) -> list[dict[str, Any]]:
    """All groups, as Network v2.0 shows them."""
    default = context.services().settings.firewall.default
    names = [name for name in profiles() if netview.group_id(known.project, name) not in known.own]
    found = [groupview.group(known.project, name, default) for name in names]
    return found + [groupview.own_group(row, known.rules[ident]) for ident, row in known.own.items()]


def find(known: Known, wanted: str) -> str | None:
    """The group of this name or id, as servers have it: the name of a profile, or the id of an own one.

    BadRequest when two have the name.
    """
    if wanted in known.own:
        return wanted
    for name in profiles():
        if wanted in (name, netview.group_id(known.project, name)):
            return real(known, [name])[0]
    found = [ident for ident, row in known.own.items() if row["name"] == wanted]
    if len(found) > 1:
        raise BadRequest(f"Multiple security groups are called {wanted[:80]!r}: say which id: {', '.join(found)}")
    return found[0] if found else None


def real(known: Known, groups: Iterable[str]) -> list[str]:
    """Groups as servers have them, `default` by its id where it is the project's own by now."""
    ident = netview.default_group_id(known.project)
    return [ident if group == DEFAULT_GROUP and ident in known.own else group for group in groups]


def with_default(connection: Connection, known: Known) -> Known:
    """As it is when the project's `default` is its own: with the rules that are shown of it, in the tags from then on.

    Forbidden where it is the administrator's to say what `default` means: by a profile of his own, or by networks.
    """
    ident, profile = netview.default_group_id(known.project), context.services().settings.firewall.default
    if ident in known.own:
        return known
    if profile not in grouprules.PROFILES:
        raise Forbidden(
            f"Security group default is the administrator's firewall profile {profile}: it cannot be changed."
        )
    for network in connection.execute(select(db.network.c.name, db.network.c.tags)):
        if any(tag.startswith(f"{PREFIX}:firewall:") for tag in network.tags):
            raise Forbidden(
                f"Security group default is not the same in all networks, as {network.name} has a firewall profile:"
                " it cannot be changed."
            )
    now = time.time()
    row = {"id": ident, "project_id": known.project, "name": DEFAULT_GROUP, "created": now, "updated": now}
    rules = [{**each, "created": now} for each in groupview.rows_of(known.project, DEFAULT_GROUP, profile)]
    own = {ident: {**row, "description": "Default security group"}, **known.own}
    return known._replace(own=own, rules={**known.rules, ident: rules})


def facts(known: Known, groups: Sequence[str]) -> dict[str, str | None]:
    """What the tags of a server in these groups say; Conflict when its node could not keep to what they say."""
    groups = real(known, groups)
    if groups == [DEFAULT_GROUP]:
        return {"firewall": None, "groups": None}
    if not groups:
        return {"firewall": NO_GROUP, "groups": None}
    if len(groups) == 1 and groups[0] not in known.own:
        return {"firewall": groups[0], "groups": None}
    return {"firewall": profile(known, groups), "groups": ",".join(groups)}


def profile(known: Known, groups: Iterable[str], room: int = _ROOM) -> str:
    """What groups are called in the tag of a server or a NIC, all together (docs/firewall.md); Conflict as `check`."""
    groups = real(known, groups)
    check(known, groups)
    found = JOINT.join(sorted(grouptags.name(group) if group in known.own else group for group in groups))
    if len(found) > room:
        raise Conflict(
            f"Security groups: {len(groups)} are too many: {found!r} has {len(found)} characters, not {room}."
        )
    return found or NO_GROUP


def check(known: Known, groups: Sequence[str]) -> None:
    """Conflict when no node could keep to what these groups of one server say."""
    rows: list[Row] = []
    for group in real(known, groups):
        rows += known.rules[group] if group in known.own else new_rules(group)
    why = grouprules.unfit(rows, known.own) if groups else None
    if why is not None:
        raise Conflict(f"Security groups {', '.join(groups)}: {why}.")


def new_rule(group_id: str, rule: Row, description: str = "") -> dict[str, Any]:
    """A row of the table."""
    ident = grouptags.rule_id(group_id, rule)
    return {"id": ident, "group_id": group_id, **rule, "description": description, "created": time.time()}


def new_rules(group_id: str) -> list[dict[str, Any]]:
    """Those of a new group: all may be sent."""
    sent = ({"direction": grouprules.EGRESS, "ethertype": family} for family in grouprules.FAMILIES)
    return [new_rule(group_id, grouprules.asked(rule)) for rule in sent]
