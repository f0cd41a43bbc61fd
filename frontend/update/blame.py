"""Whose fault it is that a message could not be applied: its own, the database's, or another transaction's."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.engine import Engine
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
)

from frontend.database import db

# The message's, for sure.
NOT_UNDERSTOOD = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)

_COLLISIONS = frozenset(("40001", "40P01"))  # PostgreSQL: serialization_failure, deadlock_detected


def is_the_databases(err: SQLAlchemyError, engine: Engine) -> bool:
    """Whether the message is not at fault: the database does not work, or is not as this program needs it."""
    if is_collision(err) or _is_the_messages(err):
        return False
    if is_silence(err):
        return True
    try:
        with engine.connect() as connection:
            for table in db.metadata.sorted_tables:
                connection.execute(select(table).limit(0))
    except SQLAlchemyError:
        return True
    return False


def is_silence(err: SQLAlchemyError) -> bool:
    """The database does not answer, or says that it cannot."""
    is_lost = isinstance(err, DBAPIError) and err.connection_invalidated
    return is_lost or (isinstance(err, OperationalError | InterfaceError) and not is_collision(err))


def is_collision(err: SQLAlchemyError) -> bool:
    """Two transactions were in each other's way: the next try goes through."""
    return isinstance(err, IntegrityError) or getattr(getattr(err, "orig", None), "pgcode", None) in _COLLISIONS


def _is_the_messages(err: SQLAlchemyError) -> bool:
    return isinstance(err, DataError) or (isinstance(err, StatementError) and not isinstance(err, DBAPIError))
