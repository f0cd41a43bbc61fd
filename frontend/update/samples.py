"""What servers use: a node's samples (ganeti_ext/event.py), each kept as a row until it is pruned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from frontend.database import db
from frontend.update.rows import Row, Rows
from frontend.update.whose import OF
from ganeti_ext import event

_MOST = (1 << 63) - 1  # that a column holds
_COUNTERS = ("cpu_ns", "memory_kib", "read", "written")
_BEGAN = 32  # characters
_OF_NIC = 8


def apply(rows: Rows, message: Mapping[str, Any]) -> bool:
    """Keep those of servers that are known here, in one statement; what came before is left as it is.

    ValueError, TypeError or KeyError when one of them is none.
    """
    measured = event.seconds(message["event_time"])
    if measured is None:
        raise ValueError(f"event_time {message['event_time']!r:.80} is not [seconds, microseconds]")
    at = min(measured, rows.now)  # whose clock is ahead has not measured the newest for ever
    told = {each["instance"]: _values(each) for each in message["instances"]}
    column = db.server.c
    known = select(column.id, column.instance).where(
        column.cluster == message[OF], column.instance.in_(sorted(told)), column.deleted.is_(None)
    )
    found = rows.connection.execute(known.order_by(column.id)).all()
    if not found:
        return False
    new = [{"server_id": row.id, "at": at, **told[row.instance]} for row in found]
    rows.connection.execute(db.insert_or(rows.connection, db.sample).on_conflict_do_nothing(), new)
    return True


def _values(one: Mapping[str, Any]) -> Row:
    began, nics = one["began"], one["nics"]
    if not isinstance(began, str) or len(began) > _BEGAN:
        raise ValueError(f"began {began!r:.80} is no text of {_BEGAN} characters at most")
    for tap, *counted in nics:
        if not isinstance(tap, str) or len(counted) != _OF_NIC:
            raise ValueError(f"nics {nics!r:.80} are not [tap, and {_OF_NIC} numbers] each")
    values = {key: _count(key, one[key]) for key in _COUNTERS}
    return {
        **values,
        "began": began,
        "nics": [[tap, *(_count(tap, each) for each in counted)] for tap, *counted in nics],
    }


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value <= _MOST:
        raise ValueError(f"{name} {value!r:.80} is no number of 64 bits")
    return value
