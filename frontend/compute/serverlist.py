"""The list of servers: whose they are, filters, order, pages."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, jsonify
from sqlalchemy import select

from frontend.compute import serverfilter, serversort, serverview
from frontend.database import db
from frontend.web import context, paging

Shape = Callable[[Mapping[str, Any], serverview.Eye], dict[str, Any]]


def answer(shape: Shape) -> Response:
    """The page that the request's query asks for; newest first, unless it says otherwise."""
    page, keys = paging.asked(), serversort.asked()
    scope, tests = serverfilter.scope(), serverfilter.tests()
    query = select(db.server).where(scope, *serverfilter.conditions())
    with context.database() as connection:
        query = serversort.page(connection, query, keys, page.marker, scope)
        if not tests:
            query = query.limit(page.limit + 1)
        found = (dict(row) for row in connection.execute(query).mappings())
        passed = (row for row in found if all(test(row) for test in tests))
        rows = list(itertools.islice(passed, page.limit + 1))
    shown = rows[: page.limit]
    seen = serverview.eye(shown)
    body: dict[str, Any] = {"servers": [shape(row, seen) for row in shown]}
    if links := paging.next_link(shown, len(rows) > page.limit):
        body["servers_links"] = links
    return jsonify(body)
