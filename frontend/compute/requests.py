"""What tenants asked of servers, and by which jobs it is done: rows of the table `request`."""

from __future__ import annotations

import time
from collections.abc import Collection

from flask import g
from sqlalchemy import delete, insert
from sqlalchemy.engine import Connection, Engine

from frontend.database import db
from frontend.web import context

_NEW = insert(db.request)


def note(
    where: Connection | Engine, action: str, server_id: str, jobs: Collection[int], message: str | None = None
) -> None:
    """Keep that this request asked for an action of a server; to be called once Ganeti has taken the jobs.

    `action` is Nova's word (nova/compute/instance_actions.py): create, reboot, resize, confirmResize ...
    Of a connection the caller commits. Noted again, the later words count.
    """
    if isinstance(where, Engine):
        with where.begin() as connection:
            note(connection, action, server_id, jobs, message)
        return
    column = db.request.c
    where.execute(delete(db.request).where(column.id == g.request_id, column.server_id == server_id))
    note_new(where, action, server_id, jobs, message)


def note_new(
    connection: Connection, action: str, server_id: str, jobs: Collection[int], message: str | None = None
) -> None:
    """The same of a server of which this request has said nothing yet."""
    row = {
        "id": g.request_id,
        "server_id": server_id,
        "action": action,
        "user_id": context.caller().user_id,
        "project_id": context.project_id(),
        "began": time.time(),
        "jobs": sorted(jobs),
        "message": message,
    }
    connection.execute(_NEW, row)
