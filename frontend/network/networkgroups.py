"""Security groups and their rules in Network v2.0. Those that are firewall profiles are the administrator's."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Response, jsonify
from sqlalchemy import delete, insert, or_, update

from frontend.database import db
from frontend.network import grouprules, groupstore, groupview, netview, networkquota, securitygroups
from frontend.network.groupstore import Known
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, Forbidden, NotFound

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
    now, found = time.time(), known()
    ident = str(uuid.uuid4())
    row = {"id": ident, "project_id": found.project, **_words(sent, ""), "created": now, "updated": now}
    rules = groupstore.new_rules(ident)
    with context.database() as connection:
        networkquota.check(connection, found.project, {"security_group": 1})
        connection.execute(insert(db.security_group).values(row))
        connection.execute(insert(db.security_group_rule), rules)
        connection.commit()
    log.info("security group %s: made", row["id"])
    return groupview.own_group(row, rules)


def changed(group_id: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Another name or description."""
    found = known()
    row = _own(found, group_id)
    new = {**row, **_words(sent, None), "updated": time.time()}
    values = {key: new[key] for key in ("name", "description", "updated")}
    with context.database() as connection:
        connection.execute(update(db.security_group).where(db.security_group.c.id == group_id).values(values))
        connection.commit()
    return groupview.own_group(new, found.rules[group_id])


def forget(group_id: str) -> None:
    """Delete a group that no server is in, with the rules of others that name it."""
    found = known()
    if group_id == netview.default_group_id(found.project):
        raise Conflict("Removing default security group not allowed.")
    _own(found, group_id)
    rule = db.security_group_rule.c
    with context.database() as connection:
        if securitygroups.using(connection, found.project, group_id):
            raise Conflict(f"Security Group {group_id} in use.")
        connection.execute(
            delete(db.security_group_rule).where(or_(rule.group_id == group_id, rule.remote_group == group_id))
        )
        connection.execute(delete(db.security_group).where(db.security_group.c.id == group_id))
        connection.commit()
    log.info("security group %s: deleted", group_id)


def made_rules(wanted: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """New rules of one group, as they are shown. Its servers get the profile that they mean, or there are none."""
    found = known()
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
    more, group = {"security_group_rule": len(new)}, new[0]["group_id"]
    with context.database() as connection:  # before the servers of the group are told
        networkquota.check(connection, found.project, more)
    after = found.with_rules(group, [*found.rules[group], *new])
    with securitygroups.changing(after, group), context.database() as connection:
        networkquota.check(connection, found.project, more)
        connection.execute(insert(db.security_group_rule), new)
        connection.commit()
    log.info("security group %s: %d rules more", group, len(new))
    return [groupview.rule(found.project, row) for row in new]


def forget_rule(rule_id: str) -> None:
    """Delete a rule. The servers of its group get the profile that the others mean, or it stays."""
    found = known()
    for group, rules in found.rules.items():
        if rule_id in (rule["id"] for rule in rules):
            after = found.with_rules(group, [rule for rule in rules if rule["id"] != rule_id])
            with securitygroups.changing(after, group), context.database() as connection:
                connection.execute(delete(db.security_group_rule).where(db.security_group_rule.c.id == rule_id))
                connection.commit()
            log.info("security group %s: one rule less", group)
            return
    for shown in groupstore.shown(found):
        if rule_id in (rule["id"] for rule in shown["security_group_rules"]):
            raise Forbidden(_WHOSE.format(shown["name"]))
    raise NotFound(f"Security group rule {rule_id} does not exist")


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
