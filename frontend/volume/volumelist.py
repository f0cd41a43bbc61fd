"""Lists of volumes: whose they are, filters, order, pages; and their sum."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import select
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import Select

from frontend.database import db
from frontend.volume import resourcefilter, volumefilter, volumeview
from frontend.web import context, ordering, paging
from frontend.web.fault import BadRequest, NotFound

_WITH_METADATA = (3, 36)

Row = dict[str, Any]
Shape = Callable[[Mapping[str, Any], volumeview.Eye], dict[str, Any]]


def answer(shape: Shape) -> Response:
    """The page that the request's query asks for; newest first, unless it says otherwise."""
    limit = paging.asked().limit
    with context.database() as connection:
        rows = page(connection)
    seen = volumeview.eye()
    body: dict[str, Any] = {"volumes": [shape(row, seen) for row in rows]}
    # As Cinder: whoever got a full page is told of the next, which may be empty.
    if links := paging.next_link(rows, len(rows) == limit):
        body["volumes_links"] = links
    return jsonify(body)


def page(connection: Connection) -> list[Row]:
    """The rows of that page; NotFound for the address of one volume whose id is blank."""
    if request.path.endswith("volumes/"):
        raise NotFound("The resource could not be found.")
    resourcefilter.check("volume")
    asked, first, scope = paging.asked(), paging.number("offset"), volumefilter.scope()
    keys = volumefilter.order()
    query = select(db.volume).where(scope, *volumefilter.conditions())
    try:
        query = ordering.behind(connection, query, keys, asked.marker, db.volume.c.id, scope)
    except BadRequest as err:  # of a marker; Cinder's is 404
        raise NotFound(f"Volume {str(asked.marker)[:80]} could not be found.") from err
    tests = volumefilter.tests()
    if not tests:
        query = query.offset(first).limit(asked.limit)
        first = 0
    return list(itertools.islice(_passed(connection, query, tests), first, first + asked.limit))


def summary() -> Response:
    """GET /volumes/summary, from 3.12: how many, and how many GiB, of those that the filters let through.

    From 3.36 with the values that each item of their metadata has.
    """
    query = select(db.volume).where(volumefilter.scope(), *volumefilter.conditions())
    with context.database() as connection:
        rows = list(_passed(connection, query, volumefilter.tests()))
    shown: dict[str, Any] = {"total_size": sum(row["size"] for row in rows), "total_count": len(rows)}
    if context.version() >= _WITH_METADATA:
        values: dict[str, set[str]] = {}
        for name, value in itertools.chain.from_iterable(row["metadata"].items() for row in rows):
            values.setdefault(name, set()).add(value)
        shown["metadata"] = {name: sorted(found) for name, found in sorted(values.items())}
    return jsonify({"volume-summary": shown})


def _passed(connection: Connection, query: Select[Any], tests: list[volumefilter.Test]) -> Iterator[Row]:
    found = (dict(row) for row in connection.execute(query).mappings())
    return (row for row in found if all(test(row) for test in tests))
