"""Lists of volume snapshots: whose they are, filters, order, pages."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import func, select, true
from sqlalchemy.sql.expression import ColumnElement

from frontend.database import db
from frontend.volume import resourcefilter, volumefilter
from frontend.web import context, ordering, paging, schema
from frontend.web.fault import BadRequest, NotFound
from frontend.web.ordering import Key

Shape = Callable[[Mapping[str, Any]], dict[str, Any]]

_SNAPSHOT = db.volume_snapshot.c
_EQUAL: Mapping[str, ColumnElement[Any]] = {
    **dict.fromkeys(("name", "display_name"), _SNAPSHOT.name),
    "status": _SNAPSHOT.status,
    "volume_id": _SNAPSHOT.volume_id,
    "id": _SNAPSHOT.id,
}
_LIKE: Mapping[str, ColumnElement[Any]] = {
    "name": _SNAPSHOT.name,
    "status": _SNAPSHOT.status,
    "description": func.coalesce(_SNAPSHOT.description, ""),
}
_BY_METADATA = (3, 22)
# By Cinder's names (cinder/db/sqlalchemy/models.py Snapshot). What may lack has a value to sort by.
_SORTED: Mapping[str, ColumnElement[Any]] = {
    "id": _SNAPSHOT.id,
    **dict.fromkeys(("name", "display_name"), _SNAPSHOT.name),
    "status": _SNAPSHOT.status,
    "created_at": _SNAPSHOT.created,
    "updated_at": _SNAPSHOT.updated,
    "volume_id": _SNAPSHOT.volume_id,
    "volume_size": _SNAPSHOT.size,
    "size": _SNAPSHOT.size,
    "project_id": _SNAPSHOT.project_id,
    "user_id": _SNAPSHOT.user_id,
    **dict.fromkeys(("description", "display_description"), func.coalesce(_SNAPSHOT.description, "")),
}


def answer(shape: Shape) -> Response:
    """The page that the request's query asks for; newest first, unless it says otherwise."""
    resourcefilter.check("snapshot")
    asked, scope, keys = paging.asked(), _scope(), _order()
    query = select(db.volume_snapshot).where(scope, *_conditions())
    first, metadata = paging.number("offset"), _metadata()
    with context.database() as connection:
        try:
            query = ordering.behind(connection, query, keys, asked.marker, _SNAPSHOT.id, scope)
        except BadRequest as err:  # of a marker; Cinder's is 404
            raise NotFound(f"Snapshot {str(asked.marker)[:80]} could not be found.") from err
        if not metadata:
            rows = db.rows(connection, query.offset(first).limit(asked.limit))
        else:
            found = (dict(row) for row in connection.execute(query).mappings())
            passed = (row for row in found if metadata.items() <= row["metadata"].items())
            rows = list(itertools.islice(passed, first, first + asked.limit))
    body: dict[str, Any] = {"snapshots": [shape(row) for row in rows]}
    # As Cinder: whoever got a full page is told of the next, which may be empty.
    if links := paging.next_link(rows, len(rows) == asked.limit):
        body["snapshots_links"] = links
    return jsonify(body)


def _scope() -> ColumnElement[bool]:
    """The project's, or for an administrator who asks for it everybody's."""
    if context.is_admin() and schema.flag(request.args, "all_tenants", default=False):
        project = request.args.get("project_id")
        return _SNAPSHOT.project_id == project if project else true()
    return _SNAPSHOT.project_id == context.project_id()


def _conditions() -> list[ColumnElement[bool]]:
    equal = [column == request.args[key] for key, column in _EQUAL.items() if request.args.get(key)]
    parts = [(column, resourcefilter.like(key)) for key, column in _LIKE.items()]
    return [*equal, *(resourcefilter.contains(column, part) for column, part in parts if part)]


def _metadata() -> dict[str, str]:
    """Items that a snapshot has to have, from 3.22."""
    is_asked = context.version() >= _BY_METADATA and request.args.get("metadata")
    return volumefilter.items_of("metadata") if is_asked else {}


def _order() -> list[Key]:
    """By `sort=KEY[:DIR],...`, or `sort_key` and `sort_dir` of old; else newest first."""
    args = request.args
    if "sort" in args:
        pairs = [text.strip().partition(":") for text in args["sort"].split(",") if text.strip()]
        asked = [(name, direction or "desc") for name, _, direction in pairs]
    else:
        asked = [(args.get("sort_key") or "created_at", args.get("sort_dir") or "desc")]
    unknown = [name for name, _ in asked if name not in _SORTED]
    if unknown:
        raise BadRequest(f"Invalid input received: Sort key {unknown[0]!r:.80} is invalid.")
    found = [Key(_SORTED[name], ordering.rises(word)) for name, word in asked] or [Key(_SNAPSHOT.created, False)]
    return [*found, Key(_SNAPSHOT.id, found[-1].rising)]  # of equal ones, the id decides
