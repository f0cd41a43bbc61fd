"""NICs that Ganeti has and a running guest has not: QEMU did not take them, and the job succeeded all the same.

Such a port is down until the guest starts anew (docs/api.md, "Ports"). Ganeti tells of it in the job's result alone
(instance_set_params.py _HotplugDevice), so what a message says of the job is kept here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from frontend.database import db
from frontend.effect import purpose
from frontend.network import portname
from frontend.update import state
from frontend.update.rows import Row, Rows

log = logging.getLogger(__name__)

_PLUGGED = frozenset(("OP_INSTANCE_STARTUP", "OP_INSTANCE_REBOOT"))
_WAITING = "unplugged"
_port, _done = db.port.c, db.action.c


def is_unplugged(message: state.Message) -> bool:
    """Whether a modification that succeeded did not come to the running guest."""
    if message["status"] != "success":
        return False
    return any(nic.get("hotplug") is False for nic in (message.get("applied") or {}).get("nics") or ())


def of_server(rows: Rows, message: state.Message, row: Row, clocks: Mapping[str, Any] | None) -> Row:
    """Apply what a message says of a server's ports, whose row is locked; what of that changes, if anything does.

    Of its `clocks` one is the jobs of ports that wait: few servers have any, and whoever starts is looked at by that.
    """
    job, waiting = message["order"][2], (clocks or {}).get(_WAITING, [])
    if message["status"] == "success" and message["operation"] in _PLUGGED:
        if not any(each < job for each in waiting):
            return {}
        idents = [ident for nic in row["nics"] if (ident := portname.ident(nic))]
        cleared = update(db.port).where(_port.id.in_(idents), _port.waits < job).values(waits=None)
        rows.connection.execute(cleared)
        return _with(clocks, [each for each in waiting if each > job])
    known = purpose.of(message)
    if known is None or known.kind != purpose.PLUG or not is_unplugged(message) or _is_started(rows, row, job):
        return {}
    _wait(rows, row, known, job)
    return _with(clocks, sorted({*waiting, job}))


def _with(clocks: Mapping[str, Any] | None, waiting: list[int]) -> Row:
    others = {name: order for name, order in (clocks or {}).items() if name != _WAITING}
    return {"clocks": {**others, **({_WAITING: waiting} if waiting else {})} or None}


def _wait(rows: Rows, row: Row, known: purpose.Purpose, job: int) -> None:
    log.warning("server %s: port %s comes to its guest when that starts next, by job %d", row["id"], known.detail, job)
    if not rows.connection.execute(update(db.port).where(_port.id == known.detail).values(waits=job)).rowcount:
        words = {"id": known.detail, "project_id": row["project_id"], "facts": {}, "waits": job}
        try:
            with rows.connection.begin_nested():
                rows.connection.execute(insert(db.port).values(**words, created=rows.now, updated=rows.now))
        except IntegrityError:  # its tenant has just said something of it
            rows.connection.execute(update(db.port).where(_port.id == known.detail).values(waits=job))


def _is_started(rows: Rows, row: Row, job: int) -> bool:
    """By a later job, of which was told first."""
    rows.flush_actions()  # it may have been told of a moment ago
    query = select(_done.job).where(_done.server_id == row["id"], _done.operation.in_(_PLUGGED), _done.job > job)
    return rows.connection.execute(query.where(_done.status == "success").limit(1)).first() is not None
