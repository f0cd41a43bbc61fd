"""Flavors, to change: what an administrator does. Whoever made a server of one keeps the server."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, jsonify
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from frontend.compute import extraspec, flavors
from frontend.database import db
from frontend.usage import price
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, NotFound

log = logging.getLogger(__name__)

_ID = re.compile(r"[A-Za-z0-9. _-]{1,36}")
_LARGEST = 0x7FFFFFFF


def create() -> Response:
    """POST /flavors."""
    sent = schema.mapping(schema.body(), "flavor")
    for key in ("swap", "OS-FLV-EXT-DATA:ephemeral"):
        if schema.number(sent, key, 0, 0, _LARGEST):
            raise BadRequest(f"{key}: {sent[key]!r}: a server has one disk and no swap of its own")
    row = {
        "id": _ident(sent),
        "name": schema.text(sent, "name"),
        "vcpus": schema.number(sent, "vcpus", schema.MISSING, 1, _LARGEST),
        "ram": schema.number(sent, "ram", schema.MISSING, 1, _LARGEST),
        "disk": schema.number(sent, "disk", schema.MISSING, 0, _LARGEST),
        "public": schema.flag(sent, "os-flavor-access:is_public", default=True),
        "extra_specs": {},
    }
    column = db.flavor.c
    with context.database() as connection:
        taken = select(column.id).where((column.id == row["id"]) | (column.name == row["name"]))
        if connection.execute(taken).first() is not None:
            raise Conflict(f"Flavor with name {row['name']} or ID {row['id']} already exists.")
        connection.execute(insert(db.flavor).values(row))
        connection.commit()
    log.info("flavor %s: made", row["id"])
    return jsonify({"flavor": flavors.shown(row, context.base())})


def remove(flavor_id: str) -> tuple[str, int]:
    """DELETE /flavors/ID."""
    with context.database() as connection:
        gone = connection.execute(delete(db.flavor).where(db.flavor.c.id == flavor_id))
        connection.commit()
    if not gone.rowcount:
        raise flavors.unknown(flavor_id)
    log.info("flavor %s: deleted", flavor_id)
    return "", 202


def add_extra_specs(flavor_id: str) -> Response:
    """POST /flavors/ID/os-extra_specs: these besides those that there are."""
    sent = schema.mapping(schema.body(), "extra_specs")
    new = {_spec_name(name): _spec_value(name, value) for name, value in sent.items()}
    _change_specs(flavor_id, lambda specs: {**specs, **new})
    return jsonify({"extra_specs": new})


def set_extra_spec(flavor_id: str, spec: str) -> Response:
    """PUT /flavors/ID/os-extra_specs/NAME."""
    sent = schema.body()
    if list(sent) != [spec]:
        raise BadRequest(f"Request body and URI mismatch: expected {spec[:80]!r} alone")
    value = _spec_value(_spec_name(spec), sent[spec])
    _change_specs(flavor_id, lambda specs: {**specs, spec: value})
    return jsonify({spec: value})


def remove_extra_spec(flavor_id: str, spec: str) -> tuple[str, int]:
    """DELETE /flavors/ID/os-extra_specs/NAME."""

    def without(specs: Mapping[str, str]) -> dict[str, str]:
        if spec not in specs:
            raise NotFound(f"Flavor {flavor_id} has no extra specs with key {spec}.")
        return {name: value for name, value in specs.items() if name != spec}

    _change_specs(flavor_id, without)
    return "", 200


def list_access(flavor_id: str) -> Response:
    """GET /flavors/ID/os-flavor-access: the projects that a flavor which is not public is for."""
    if _need(flavor_id)["public"]:
        raise NotFound("Access list not available for public flavors.")
    return _access(flavor_id)


def act(flavor_id: str) -> Response:
    """POST /flavors/ID/action."""
    name, argument = schema.action(schema.body())
    if name not in ("addTenantAccess", "removeTenantAccess"):
        raise BadRequest(f"There is no such action: {name[:80]}")
    if not isinstance(argument, dict):
        raise BadRequest(f"{name}: expected an object")
    project = schema.text(argument, "tenant")
    if _need(flavor_id)["public"]:
        raise Conflict(f"Flavor {flavor_id} is public: every project has access to it.")
    _give(flavor_id, project) if name == "addTenantAccess" else _take(flavor_id, project)
    log.info("flavor %s: %s %s", flavor_id, name, project)
    return _access(flavor_id)


def _give(flavor_id: str, project: str) -> None:
    with context.database() as connection:
        if connection.execute(select(db.project.c.id).where(db.project.c.id == project)).first() is None:
            raise BadRequest(f"Project ID {project} is not a valid project.")
        try:
            connection.execute(insert(db.flavor_access).values(flavor_id=flavor_id, project_id=project))
            connection.commit()
        except IntegrityError as err:
            raise Conflict(f"Flavor access already exists for flavor {flavor_id} and project {project}.") from err


def _take(flavor_id: str, project: str) -> None:
    column = db.flavor_access.c
    with context.database() as connection:
        gone = connection.execute(
            delete(db.flavor_access).where(column.flavor_id == flavor_id, column.project_id == project)
        )
        connection.commit()
    if not gone.rowcount:
        raise NotFound(f"Flavor access not found for flavor {flavor_id} and project {project}.")


def _access(flavor_id: str) -> Response:
    column = db.flavor_access.c
    query = select(column.project_id).where(column.flavor_id == flavor_id).order_by(column.project_id)
    with context.database() as connection:
        found = connection.execute(query).scalars().all()
    return jsonify({"flavor_access": [{"flavor_id": flavor_id, "tenant_id": project} for project in found]})


def _change_specs(flavor_id: str, change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
    with context.database() as connection:
        query = select(db.flavor.c.extra_specs).where(db.flavor.c.id == flavor_id).with_for_update()
        found = db.row(connection, query)
        if found is None:
            raise flavors.unknown(flavor_id)
        new = change(found["extra_specs"])
        connection.execute(update(db.flavor).where(db.flavor.c.id == flavor_id).values(extra_specs=new))
        connection.commit()
    log.info("flavor %s: extra specs %s", flavor_id, ", ".join(sorted(new)) or "none")


def _need(flavor_id: str) -> dict[str, Any]:
    with context.database() as connection:
        found = db.row(connection, select(db.flavor).where(db.flavor.c.id == flavor_id))
    if found is None:
        raise flavors.unknown(flavor_id)
    return found


def _ident(sent: Mapping[str, Any]) -> str:
    """Of a new flavor. Clients say "auto" where they wish none (novaclient), and numbers."""
    wanted = sent.get("id")
    if wanted in (None, "", "auto"):
        return str(uuid.uuid4())
    ident = schema.text({"id": str(wanted) if isinstance(wanted, int) else wanted}, "id")
    if not _ID.fullmatch(ident):
        raise BadRequest(f"id: {ident!r}: expected at most 36 letters, digits, blanks and . _ -")
    return ident


def _spec_name(name: str) -> str:
    if not extraspec.NAME.fullmatch(name):
        raise BadRequest(f"extra_specs: {name[:80]!r}: expected at most 255 letters, digits, blanks and _ . : -")
    return name


def _spec_value(name: str, value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not extraspec.is_value(value):
        raise BadRequest(f"extra_specs: {name}: expected at most {schema.MAX_NAME} printable characters")
    if name == price.SPEC and not price.is_price(value):
        raise BadRequest(f"extra_specs: {name}: {value!r:.80} is no number of credits from 0 on")
    return str(value)
