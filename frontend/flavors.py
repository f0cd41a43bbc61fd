"""Flavors: the sizes of servers, for everybody to read."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import Connection, select

from frontend import context, customflavor, db, paging, view
from frontend.fault import NotFound


def find(connection: Connection, ident: str) -> dict[str, Any] | None:
    return db.row(connection, select(db.flavor).where(db.flavor.c.id == ident))


def list_short() -> Response:
    return _list(detail=False)


def list_detail() -> Response:
    return _list(detail=True)


def show(flavor_id: str) -> Response:
    return jsonify({"flavor": view.flavor(_need(flavor_id), context.base())})


def extra_specs(flavor_id: str) -> Response:
    _need(flavor_id)
    return jsonify({"extra_specs": {}})


def _need(flavor_id: str) -> dict[str, Any]:
    with context.database() as connection:
        found = find(connection, flavor_id) or customflavor.find(flavor_id)
    if found is None:
        raise NotFound(f"Flavor {flavor_id} could not be found.")
    return found


def _list(*, detail: bool) -> Response:
    least_disk, least_ram = paging.number("minDisk"), paging.number("minRam")
    query = (
        select(db.flavor)
        .where(db.flavor.c.disk >= least_disk, db.flavor.c.ram >= least_ram)
        .order_by(db.flavor.c.ram, db.flavor.c.id)
    )
    if request.args.get("is_public", "").lower() in ("false", "f", "no", "n", "0"):
        query = query.where(db.flavor.c.id.is_(None))  # all are public
    with context.database() as connection:
        rows = db.rows(connection, query)
    page, more = paging.cut(rows, paging.asked())
    shape = view.flavor if detail else view.flavor_short
    answer: dict[str, object] = {"flavors": [shape(row, context.base()) for row in page]}
    if links := paging.next_link(page, more):
        answer["flavors_links"] = links
    return jsonify(answer)
