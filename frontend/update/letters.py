"""Dead letters: messages that could not be understood or applied, kept for an administrator to read and replay."""

from __future__ import annotations

import hashlib
import traceback
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from frontend.database import db
from frontend.update.incoming import LARGEST

Row = dict[str, Any]

_CUT = 65536  # octets that are kept of one that is too large
_REASON_LENGTH = 1024
_HERE = Path(__file__).parents[2]


def digest(body: str | bytes) -> str:
    """What a letter is called."""
    return hashlib.sha256(_raw(body)).hexdigest()


def reason(err: BaseException) -> str:
    """An error in one line: what it says itself, without a statement's parameters, and where it was raised."""
    said = str(getattr(err, "orig", None) or err) if isinstance(err, SQLAlchemyError) else str(err)
    frames = [frame for frame in traceback.extract_tb(err.__traceback__) if _HERE in Path(frame.filename).parents]
    where = f", in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(err).__name__}: {said.partition(chr(10))[0]}"[:_REASON_LENGTH] + where


def keep(connection: Connection, body: str | bytes, why: str, tries: int, now: float) -> None:
    """Lay a message aside; one that lies there already has been tried more often."""
    raw, name = _raw(body), digest(body)
    text = raw[: _CUT if len(raw) > LARGEST else None].decode(errors="replace")
    column = db.dead_letter.c
    row = {"reason": _plain(why), "time": now}
    known = connection.execute(select(column.tries).where(column.digest == name).with_for_update()).scalar()
    if known is None:
        connection.execute(insert(db.dead_letter).values(digest=name, body=_plain(text), tries=tries, **row))
    else:
        write = update(db.dead_letter).where(column.digest == name)
        connection.execute(write.values(tries=known + tries, **row))


def listed(connection: Connection, start: str = "") -> list[Row]:
    """All letters whose digest begins so, the oldest first."""
    column = db.dead_letter.c
    query = select(db.dead_letter).where(column.digest.startswith(start, autoescape=True))
    return db.rows(connection, query.order_by(column.time, column.digest))


def drop(connection: Connection, name: str) -> bool:
    """Forget a letter; whether it was there."""
    return connection.execute(delete(db.dead_letter).where(db.dead_letter.c.digest == name)).rowcount > 0


def _raw(body: str | bytes) -> bytes:
    return body.encode(errors="surrogatepass") if isinstance(body, str) else body


def _plain(text: str) -> str:
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()  # neither NUL nor half a character
