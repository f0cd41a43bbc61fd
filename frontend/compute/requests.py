"""What tenants asked of servers, and by which jobs it is done: rows of the table `request`."""

from __future__ import annotations

import time
from collections.abc import Collection

from flask import g
from sqlalchemy import Connection, Engine, delete, insert

from frontend.database import db
from frontend.web import context


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
    where.execute(insert(db.request).values(row))
