"""The list of a project's servers: filters, order, pages."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import ColumnElement, Connection, Select, and_, false, not_, or_, select

from frontend import context, customflavor, db, paging, reading, translate
from frontend.fault import BadRequest
from frontend.pattern import Pattern

Shape = Callable[[Mapping[str, Any], str], dict[str, Any]]


def answer(shape: Shape) -> Response:
    """The page that the request's query asks for; newest first."""
    page = paging.asked()
    wanted = _patterns()
    query = select(db.server).where(db.server.c.project_id == context.project_id(), *_conditions())
    with context.database() as connection:
        query = _after(connection, query, page.marker)
        if not wanted:
            query = query.limit(page.limit + 1)
        rows = _first(_matching((dict(row) for row in connection.execute(query).mappings()), wanted), page.limit + 1)
    shown = rows[: page.limit]
    found: dict[str, Any] = {"servers": [shape(row, context.base()) for row in shown]}
    if links := paging.next_link(shown, len(rows) > page.limit):
        found["servers_links"] = links
    return jsonify(found)


def _conditions() -> Iterator[ColumnElement[bool]]:
    args = request.args
    if "changes-since" in args:  # with those that were deleted since
        yield db.server.c.updated >= _time(args["changes-since"])
    else:
        yield db.server.c.deleted.is_(None)
    if args.getlist("status"):
        yield or_(false(), *(_has_status(each.upper()) for each in args.getlist("status")))
    if args.get("image"):
        yield db.server.c.image_id == _last(args["image"])
    if args.get("flavor"):
        yield _has_flavor(_last(args["flavor"]))
    for key, column in (("uuid", db.server.c.id), ("user_id", db.server.c.user_id)):
        if args.get(key):
            yield column == args[key]


def _last(reference: str) -> str:
    """An id, or the id that ends a URL."""
    return reference.rstrip("/").rsplit("/", 1)[-1]


def _has_flavor(ident: str) -> ColumnElement[bool]:
    custom, column = customflavor.find(ident), db.server.c
    if custom is None:
        return column.flavor_id == ident
    return and_(
        column.flavor_id == reading.CUSTOM, *(column[size] == custom[size] for size in ("vcpus", "ram", "disk"))
    )


def _has_status(wanted: str) -> ColumnElement[bool]:
    """Of the status that is shown: see translate.status."""
    if wanted == "DELETED":
        return db.server.c.deleted.is_not(None)
    found = []
    for kept in {wanted, *translate.SHOWN}:
        shown = translate.SHOWN.get(kept, {})
        hides = db.server.c.task.in_(list(shown))
        if kept == wanted:
            found.append(and_(db.server.c.status == kept, or_(db.server.c.task.is_(None), not_(hides))))
        elif tasks := [task for task, status in shown.items() if status == wanted]:
            found.append(and_(db.server.c.status == kept, db.server.c.task.in_(tasks)))
    return and_(db.server.c.deleted.is_(None), or_(*found))


def _time(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as err:
        raise BadRequest(f"changes-since: {text!r} is no ISO 8601 time") from err


def _patterns() -> dict[str, Pattern]:
    """The regular expressions of the query, by what they are compared with."""
    found = {}
    for key in ("name", "ip", "ip6"):
        if request.args.get(key):
            try:
                found[key] = Pattern(request.args[key])
            except ValueError as err:
                raise BadRequest(f"{key}: {err}") from err
    return found


def _matching(rows: Iterable[dict[str, Any]], wanted: Mapping[str, Pattern]) -> Iterator[dict[str, Any]]:
    for row in rows:
        texts = {
            "name": [row["name"]],
            "ip": [nic.get("ip") or "" for nic in row["nics"]],
            "ip6": [nic.get("ip6") or "" for nic in row["nics"]],
        }
        if all(any(map(pattern.search, texts[key])) for key, pattern in wanted.items()):
            yield row


def _first(rows: Iterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    return list(itertools.islice(rows, count))


def _after(connection: Connection, query: Select[Any], marker: str | None) -> Select[Any]:
    """In order, from behind the marker on."""
    created, ident = db.server.c.created, db.server.c.id
    if marker is not None:
        place = connection.execute(
            select(created).where(ident == marker, db.server.c.project_id == context.project_id())
        ).scalar_one_or_none()
        if place is None:
            raise BadRequest(f"marker: {marker!r} was not found")
        query = query.where(or_(created < place, and_(created == place, ident < marker)))
    return query.order_by(created.desc(), ident.desc())
