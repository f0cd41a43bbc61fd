"""The order of a list, by several keys, and where a page of it begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import and_, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import ColumnElement, Select

from frontend.web.fault import BadRequest

_DIRECTIONS = {"asc": True, "desc": False}


class Key(NamedTuple):
    what: ColumnElement[Any]
    rising: bool


def rises(text: str) -> bool:
    """Of `asc` and `desc`."""
    try:
        return _DIRECTIONS[text.lower()]
    except KeyError:
        raise BadRequest(f"sort_dir: expected asc or desc, got {text!r:.80}") from None


def behind(
    connection: Connection,
    query: Select[Any],
    keys: list[Key],
    marker: str | None,
    ident: ColumnElement[Any],
    scope: ColumnElement[bool],
) -> Select[Any]:
    """In order, from behind the row whose `ident` is the marker on; `scope` says which rows the caller may name."""
    if marker is not None:
        place = connection.execute(select(*(key.what for key in keys)).where(ident == marker, scope)).first()
        if place is None:
            raise BadRequest(f"marker [{marker[:80]}] not found")
        query = query.where(or_(*_behind(keys, tuple(place))))
    return query.order_by(*(key.what.asc() if key.rising else key.what.desc() for key in keys))


def _behind(keys: list[Key], place: tuple[Any, ...]) -> Iterator[ColumnElement[bool]]:
    for count, (key, value) in enumerate(zip(keys, place, strict=True)):
        same = (each.what == its for each, its in zip(keys[:count], place, strict=False))
        yield and_(*same, key.what > value if key.rising else key.what < value)
