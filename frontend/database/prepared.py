"""Statements that are put into words once, and go to the driver by a shorter way.

For SQLAlchemy to find a statement's words again, and to wrap what comes of it, takes longer than SQLite needs to do it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError


class Prepared(NamedTuple):
    text: str
    names: Sequence[str]
    """Of the parameters, in their order."""
    is_positional: bool
    converters: Mapping[str, Callable[[Any], Any]]
    """For the values that the driver does not take as they are."""

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """As the driver takes them."""
        found = {name: values[name] for name in self.names}
        for name, convert in self.converters.items():
            found[name] = convert(found[name])
        return list(found.values()) if self.is_positional else found


@functools.lru_cache(1000)
def prepare(statement: Any, names: frozenset[str], dialect: Dialect) -> Prepared:
    """A statement, with values for these of its parameters or columns, each of which stands in it once."""
    made = statement.compile(dialect=dialect, column_keys=sorted(names))
    converters = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in made.binds.items()}
    known = {name: convert for name, convert in converters.items() if convert is not None}
    return Prepared(made.string, made.positiontup or list(converters), dialect.positional, known)


def run(connection: Connection, statement: Any, values: Mapping[str, Any]) -> Any:
    """Run a statement in SQLite; the driver's cursor."""
    made = prepare(statement, frozenset(values), connection.dialect)
    return say(connection, made.text, made.parameters(values))


def say(connection: Connection, text: str, parameters: Sequence[Any] = ()) -> Any:
    """The same with words. The errors are SQLAlchemy's."""
    raw: Any = connection.connection.dbapi_connection
    try:
        return raw.execute(text, parameters)
    except raw.Error as err:
        raise DBAPIError.instance(text, None, err, raw.Error, hide_parameters=True, dialect=connection.dialect) from err
