"""os-resetState, for administrators: what the front believes of a server, until Ganeti says something newer."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import update

from frontend.database import db
from frontend.update import state
from frontend.web import context, schema
from frontend.web.fault import BadRequest

log = logging.getLogger(__name__)

_FAULTS = {"active": None, "error": "The server was set to ERROR by an administrator."}


def reset(server: Mapping[str, Any], argument: object) -> tuple[str, int]:
    """`active` takes the fault and the task away: the status is then as Ganeti said last. `error` sets a fault."""
    wanted = schema.text(schema.mapping({"os-resetState": argument}, "os-resetState"), "state")
    if wanted not in _FAULTS:
        raise BadRequest(f"state: expected active or error, got {wanted!r}")
    new = {"fault": _FAULTS[wanted], "task": None}
    new["status"] = state.status({**server, **new})
    with context.database() as connection:
        connection.execute(update(db.server).where(db.server.c.id == server["id"]).values(updated=time.time(), **new))
        connection.commit()
    log.info("server %s: its state was reset to %s", server["id"], wanted)
    return "", 202
