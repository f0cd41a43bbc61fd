"""Flavors, to read: the sizes of servers. One that is not public is there for the projects that have access to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import Column, and_, bindparam, not_, or_, select, true
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import BindParameter, ColumnElement, Select

from frontend.compute import customflavor
from frontend.database import db
from frontend.web import context, paging, view
from frontend.web.fault import BadRequest, NotFound

_NO = ("false", "f", "no", "n", "off", "0")
_YES = ("true", "t", "yes", "y", "on", "1")
_ALL = ("none",)

# Nova's names of what a list can be sorted by, as far as flavors have it here.
_SORT_KEYS: Mapping[str, Column[Any]] = {
    "flavorid": db.flavor.c.id,
    "id": db.flavor.c.id,
    "name": db.flavor.c.name,
    "memory_mb": db.flavor.c.ram,
    "vcpus": db.flavor.c.vcpus,
    "root_gb": db.flavor.c.disk,
    "is_public": db.flavor.c.public,
}


def find(connection: Connection, ident: str, project: str | None = None) -> dict[str, Any] | None:
    """A flavor that a project may use; the caller's where none is named."""
    return db.row(connection, _FIND, which=ident, whose=project or context.project_id())


def visible(connection: Connection, project: str) -> list[dict[str, Any]]:
    """Those that a project may use, by their memory."""
    return db.rows(connection, select(db.flavor).where(_usable(project)).order_by(db.flavor.c.ram, db.flavor.c.id))


def list_short() -> Response:
    return _list(detail=False)


def list_detail() -> Response:
    return _list(detail=True)


def show(flavor_id: str) -> Response:
    return jsonify({"flavor": shown(need(flavor_id), context.base())})


def extra_specs(flavor_id: str) -> Response:
    return jsonify({"extra_specs": need(flavor_id).get("extra_specs", {})})


def extra_spec(flavor_id: str, spec: str) -> Response:
    found = need(flavor_id).get("extra_specs", {})
    if spec not in found:
        raise NotFound(f"Flavor {flavor_id} has no extra specs with key {spec}.")
    return jsonify({spec: found[spec]})


def need(flavor_id: str) -> dict[str, Any]:
    """The flavor to be shown: that of servers without one, too, and to an administrator any."""
    with context.database() as connection:
        where = true() if context.is_admin() else _usable(context.project_id())
        found = db.row(connection, select(db.flavor).where(db.flavor.c.id == flavor_id, where))
    found = found or customflavor.find(flavor_id)
    if found is None:
        raise unknown(flavor_id)
    return found


def unknown(flavor_id: str) -> NotFound:
    return NotFound(f"Flavor {flavor_id} could not be found.")


def shown(row: Mapping[str, Any], base: str) -> dict[str, Any]:
    """As microversions below 2.55 show it. Ganeti has neither swap nor ephemeral disks."""
    return {
        **_short(row, base),
        "ram": row["ram"],
        "disk": row["disk"],
        "vcpus": row["vcpus"],
        "swap": "",
        "rxtx_factor": 1.0,
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": row.get("public", True),
    }


def _short(row: Mapping[str, Any], base: str) -> dict[str, Any]:
    return {"id": row["id"], "name": row["name"], "links": view.links(base, "flavors", row["id"])}


def _usable(project: str | BindParameter[str]) -> ColumnElement[bool]:
    return or_(db.flavor.c.public, _given(project))


def _given(project: str | BindParameter[str]) -> ColumnElement[bool]:
    access = db.flavor_access.c
    return db.flavor.c.id.in_(select(access.flavor_id).where(access.project_id == project))


_FIND = select(db.flavor).where(db.flavor.c.id == bindparam("which"), _usable(bindparam("whose")))


def _list(*, detail: bool) -> Response:
    column = db.flavor.c
    least_disk, least_ram = paging.number("minDisk"), paging.number("minRam")
    query = select(db.flavor).where(column.disk >= least_disk, column.ram >= least_ram, _wanted())
    with context.database() as connection:
        rows = db.rows(connection, _sorted(query))
    page, more = paging.cut(rows, paging.asked())
    shape = shown if detail else _short
    answer: dict[str, object] = {"flavors": [shape(row, context.base()) for row in page]}
    if links := paging.next_link(page, more):
        answer["flavors_links"] = links
    return jsonify(answer)


def _wanted() -> ColumnElement[bool]:
    """By is_public: absent or true, what the project may use; false, those of it that are not public; none, all."""
    asked = request.args.get("is_public", "true").lower()
    if asked not in (*_YES, *_NO, *_ALL):
        raise BadRequest(f"Invalid is_public filter [{asked[:80]}]")
    hidden, project = not_(db.flavor.c.public), context.project_id()
    if asked in _NO:
        return hidden if context.is_admin() else and_(hidden, _given(project))
    return true() if asked in _ALL and context.is_admin() else _usable(project)


def _sorted(query: Select[Any]) -> Select[Any]:
    key, direction = request.args.get("sort_key"), request.args.get("sort_dir", "asc")
    if direction not in ("asc", "desc"):
        raise BadRequest(f"sort_dir: expected asc or desc, got {direction[:80]!r}")
    if key is None:
        columns = [db.flavor.c.ram, db.flavor.c.id]
    elif key in _SORT_KEYS:
        columns = [_SORT_KEYS[key], db.flavor.c.id]
    else:
        raise BadRequest(f"sort_key: {key[:80]!r} is none of {', '.join(_SORT_KEYS)}")
    return query.order_by(*(column.desc() if direction == "desc" else column.asc() for column in columns))
