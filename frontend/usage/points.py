"""The points of many things in the table `usage_span`: read in one statement, written in three at most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection, RowMapping

from frontend.database import db
from frontend.usage import spans
from frontend.usage.spans import Key, Points

_SPAN = db.usage_span.c
# Made once: to make a statement takes longer than to run it. Nor is a message to wait for a list of one to be put
# into words (frontend/update/rows.py).
_OF_KIND = select(db.usage_span).where(_SPAN.kind == bindparam("kind"))
_OF_ONE = _OF_KIND.where(_SPAN.thing == bindparam("thing"))
_OF_THINGS = _OF_KIND.where(_SPAN.thing.in_(bindparam("things", expanding=True)))
_ITS = and_(*(column == bindparam(f"its_{column.name}") for column in db.usage_span.primary_key))
_DELETE = delete(db.usage_span).where(_ITS)
_UPDATE = update(db.usage_span).where(_ITS)


class Change(NamedTuple):
    """The points of a thing, as they were read and as they are to be."""

    thing: str
    before: Points
    after: Points


def of_one(connection: Connection, kind: str, thing: str) -> dict[Key, dict[str, Any]]:
    """{} of one of which nothing was said."""
    found = connection.execute(_OF_ONE, {"kind": kind, "thing": thing}).mappings()
    return {_key(row): row["said"] for row in found}


def of_things(connection: Connection, kind: str, things: Sequence[str]) -> dict[str, dict[Key, dict[str, Any]]]:
    """The same of each of some hundred (each is a parameter), by thing."""
    found: dict[str, dict[Key, dict[str, Any]]] = {thing: {} for thing in things}
    for row in connection.execute(_OF_THINGS, {"kind": kind, "things": list(things)}).mappings():
        found[row["thing"]][_key(row)] = row["said"]
    return found


def write(connection: Connection, kind: str, changes: Iterable[Change]) -> None:
    """The spans that follow from other points than before."""
    gone, new, other = [], [], []
    for thing, before, after in changes:
        was, held = spans.folded(before), spans.folded(after)
        gone += [_is(kind, thing, key) for key in was.keys() - held.keys()]
        for key, values in held.items():
            if key not in was:
                new.append({"kind": kind, "thing": thing, **key._asdict(), "said": dict(after[key]), **values})
            elif was[key] != values:
                other.append({**_is(kind, thing, key), **values})
    for statement, rows in ((_DELETE, gone), (insert(db.usage_span), new), (_UPDATE, other)):
        if rows:
            connection.execute(statement, rows)


def _key(row: RowMapping) -> Key:
    return Key(row["began"], row["job"], row["op_index"])


def _is(kind: str, thing: str, key: Key) -> Mapping[str, Any]:
    return {f"its_{name}": value for name, value in {"kind": kind, "thing": thing, **key._asdict()}.items()}
