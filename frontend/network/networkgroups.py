"""Security groups and their rules in Network v2.0. Those that are firewall profiles are the administrator's."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flask import Response, jsonify
from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.database import db, turns
from frontend.network import groupchange, grouprules, groupstore, groupview, netview, networkquota, securitygroups
from frontend.network.groupstore import Known
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, Forbidden, NotFound
from ganeti_ext import groups

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

_WHOSE = "Security group {} is a firewall profile of the cloud's administrator: it cannot be changed."


def all_groups() -> list[dict[str, Any]]:
    return groupstore.shown(known())


def create() -> tuple[Response, int]:
    """POST /security-groups."""
    return jsonify({"security_group": made(schema.mapping(schema.body(), "security_group"))}), 201


def change(group_id: str) -> Response:
    """PUT /security-groups/ID."""
    return jsonify({"security_group": changed(group_id, schema.mapping(schema.body(), "security_group"))})


def remove(group_id: str) -> tuple[str, int]:
    """DELETE /security-groups/ID."""
    forget(group_id)
    return "", 204


def create_rules() -> tuple[Response, int]:
    """POST /security-group-rules: one, or many of one group."""
    sent = schema.body()
    if "security_group_rules" in sent:
        wanted = [each if isinstance(each, dict) else {} for each in schema.items(sent, "security_group_rules")]
        return jsonify({"security_group_rules": made_rules(wanted)}), 201
    (rule,) = made_rules([schema.mapping(sent, "security_group_rule")])
    return jsonify({"security_group_rule": rule}), 201


def remove_rule(rule_id: str) -> tuple[str, int]:
    """DELETE /security-group-rules/ID."""
    forget_rule(rule_id)
    return "", 204


def known() -> Known:
    with context.database() as connection:
        return groupstore.read(connection, context.project_id())


def made(sent: Mapping[str, Any]) -> dict[str, Any]:
    """A new group, as it is shown."""
    project, now, ident = context.project_id(), time.time(), _new_id()
    row = {"id": ident, "project_id": project, **_words(sent, ""), "created": now, "updated": now}
    rules = groupstore.new_rules(ident)
    with context.database() as connection:
        networkquota.check(connection, project, {"security_group": 1})
        done = groupchange.keep(connection, groupstore.read(connection, project), ident, row, rules)
        connection.commit()
    groupchange.tell([done])
    log.info("security group %s: made", ident)
    return groupview.own_group(row, rules)


def changed(group_id: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Another name or description."""
    with _turn() as (connection, before):
        is_default = group_id == netview.default_group_id(before.project)
        if is_default and sent.get("name") not in (None, netview.DEFAULT_GROUP):
            raise Conflict("Updating default security group not allowed.")
        found = _with_default(connection, before, is_default)
        row, words = _own(found, group_id), {**sent, "name": None} if is_default else sent
        new, rules = {**row, **_words(words, None), "updated": time.time()}, found.rules[group_id]
        done = groupchange.keep(connection, before, group_id, new, rules)
        connection.commit()
    groupchange.tell([done])
    if is_default:
        securitygroups.renew(group_id)
    return groupview.own_group(new, rules)


def forget(group_id: str) -> None:
    """Delete a group that no server is in, with the rules of others that name it."""
    with _turn() as (connection, found):
        if group_id == netview.default_group_id(found.project):
            raise Conflict("Removing default security group not allowed.")
        _own(found, group_id)
        if securitygroups.is_used(connection, found.project, group_id):
            raise Conflict(f"Security Group {group_id} in use.")
        done = [groupchange.drop(connection, found, group_id)]
        for ident, rules in found.rules.items():
            rest = [rule for rule in rules if rule["remote_group"] != group_id]
            if ident != group_id and len(rest) < len(rules):
                done.append(groupchange.keep(connection, found, ident, found.own[ident], rest))
        connection.commit()
    groupchange.tell(done)
    log.info("security group %s: deleted", group_id)


def made_rules(wanted: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """New rules of one group, as they are shown: in force for its servers within a second."""
    wanted = list(wanted)
    with _turn({"security_group_rule": len(wanted)}) as (connection, before):
        default = netview.default_group_id(before.project)
        named = (sent.get(key) for sent in wanted for key in ("security_group_id", "remote_group_id"))
        found = _with_default(connection, before, default in named)
        new = _new_rules(found, wanted)
        group = new[0]["group_id"]
        after = found.with_rules(group, [*found.rules[group], *new])
        securitygroups.check_members(connection, after, group)
        changed = [group] if group == default or found is before else [default, group]
        done = [groupchange.keep(connection, before, each, found.own[each], after.rules[each]) for each in changed]
        connection.commit()
    groupchange.tell(done)
    for each in changed:
        securitygroups.renew(each)
    log.info("security group %s: %d rules more", group, len(new))
    return [groupview.rule(found.project, row) for row in new]


def forget_rule(rule_id: str) -> None:
    """Delete a rule, for the servers of its group within a second."""
    with _turn() as (connection, before):
        found = _with_default(connection, before, _is_of_default(before, rule_id))
        group = _group_of(found, rule_id)
        after = found.with_rules(group, [rule for rule in found.rules[group] if rule["id"] != rule_id])
        securitygroups.check_members(connection, after, group)
        done = groupchange.keep(connection, before, group, found.own[group], after.rules[group])
        connection.commit()
    groupchange.tell([done])
    securitygroups.renew(group)
    log.info("security group %s: one rule less", group)


@contextlib.contextmanager
def _turn(more: Mapping[str, int] | None = None) -> Iterator[tuple[Connection, Known]]:
    """Nobody else changes the project's groups; OverQuota when it may not have so many more of these."""
    project = context.project_id()
    with context.database() as connection:
        turns.take(connection, project)
        found = groupstore.read(connection, project)
        if more:
            networkquota.check(connection, project, more)
        yield connection, found


def _with_default(connection: Connection, before: Known, wanted: bool) -> Known:
    """With the project's own `default`, if that is wanted; Conflict while a server of it is being built."""
    found = groupstore.with_default(connection, before) if wanted else before
    if found is not before:
        securitygroups.check_built(connection, before.project, netview.default_group_id(before.project))
    return found


def _is_of_default(found: Known, rule_id: str) -> bool:
    """Whether a rule is shown of the project's `default`, which is not its own yet."""
    default = netview.default_group_id(found.project)
    shown = next(group for group in groupstore.shown(found) if group["id"] == default)
    return default not in found.own and rule_id in (rule["id"] for rule in shown["security_group_rules"])


def _new_rules(found: Known, wanted: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    new: list[dict[str, Any]] = []
    for sent in wanted:
        group = _own(found, schema.text(sent, "security_group_id"))["id"]
        if new and new[0]["group_id"] != group:
            raise BadRequest("security_group_rules: all have to be of one group")
        row = groupstore.new_rule(group, grouprules.asked(sent), _description(sent, ""))
        _check_remote(found, row["remote_group"])
        for other in (*found.rules[group], *new):
            if grouprules.is_same(row, other):
                raise Conflict(f"Security group rule already exists. Rule id is {other['id']}.")
        new.append(row)
    if not new:
        raise BadRequest("security_group_rules: there is none")
    return new


def _group_of(found: Known, rule_id: str) -> str:
    """The own group that has a rule; Forbidden when it is a profile's."""
    for group, rules in found.rules.items():
        if rule_id in (rule["id"] for rule in rules):
            return group
    for shown in groupstore.shown(found):
        if rule_id in (rule["id"] for rule in shown["security_group_rules"]):
            raise Forbidden(_WHOSE.format(shown["name"]))
    raise NotFound(f"Security group rule {rule_id} does not exist")


def _new_id() -> str:
    """One whose first digits, by which nodes know it, no other group has."""
    with context.database() as connection:
        taken = {groups.key(ident) for ident in connection.execute(select(db.security_group.c.id)).scalars()}
    while groups.key(ident := str(uuid.uuid4())) in taken:
        pass
    return ident


def _own(found: Known, group_id: str) -> Row:
    if group_id in found.own:
        return found.own[group_id]
    for name in groupstore.profiles():
        if group_id == netview.group_id(found.project, name):
            raise Forbidden(_WHOSE.format(name))
    raise NotFound(f"Security group {group_id} does not exist")


def _check_remote(found: Known, group_id: str | None) -> None:
    if group_id is not None and group_id not in (group["id"] for group in groupstore.shown(found)):
        raise NotFound(f"Security group {group_id} does not exist")


def _words(sent: Mapping[str, Any], default: str | None) -> dict[str, str]:
    """Name and description, with the blanks that they were sent with; without a default those that were sent."""
    found = {}
    if default is not None or sent.get("name") is not None:
        schema.text(sent, "name")
        found["name"] = str(sent["name"])
        if found["name"].strip() in groupstore.profiles():
            raise Conflict(f"Security group {found['name'].strip()} already exists.")
    if default is not None or sent.get("description") is not None:
        found["description"] = _description(sent, default or "")
    return found


def _description(sent: Mapping[str, Any], default: str) -> str:
    value = sent.get("description")
    return default if value in (None, "") else str(schema.text(sent, "description"))
