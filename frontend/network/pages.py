"""A list out of several tables, by id: the database finds the ids of a page, then what is shown of these is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import Select

from frontend.web import context

MOST = 1000
"""Ids that are read at a time."""

Shown = dict[str, Any]


def walk(
    places: Callable[[Connection], Select[Any]],
    read: Callable[[Connection, Sequence[Any]], list[Shown]],
    marker: str | None,
    first: int,
) -> Iterator[Shown]:
    """What `read` makes of the rows of `places`, which has a column `id` and is in its order, behind the marker.

    The `first` so many are read at once, and more as they are asked for: `read` may leave some out, and who asks, too.
    """
    count = first
    while True:
        with context.database() as connection:
            query = places(connection)
            if marker is not None:
                query = query.where(query.selected_columns.id > marker)
            found = connection.execute(query.limit(count)).all()
            page = read(connection, found)
        yield from page
        if len(found) < count:
            return
        marker, count = found[-1].id, min(2 * count, MOST)
