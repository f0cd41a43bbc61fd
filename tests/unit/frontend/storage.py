"""Volumes and snapshots as rows, and what is told of their jobs, as the tests of Block Storage need them."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import insert, select

from frontend.database import db
from frontend.update.mirror import Mirror
from frontend.volume import volumestate
from ganeti_ext import event
from tests.unit.frontend import updates
from tests.unit.frontend.conftest import ALICE, MINE, Api

BLOCK = f"/volume/v3/{MINE}"
VOLUME = "0aaa0000-0000-4000-8000-00000000000a"


def volume(api: Api, ident: str = VOLUME, **columns: Any) -> dict[str, Any]:
    """An available one of 2 GiB, unless changed: the row."""
    new = volumestate.new_row(ident, f"gx-vol-{ident}", {}, time.time())
    row = {**new, "project_id": MINE, "user_id": ALICE, "type": "cow", "size": 2, "name": "data", "held": True}
    row = {**row, **columns}
    row["status"] = columns.get("status") or volumestate.status(row)
    with api.engine.begin() as connection:
        connection.execute(insert(db.volume).values(row))
    return row


def attached(api: Api, *idents: str, **columns: Any) -> dict[str, Any]:
    """A server whose disks are its root, that of its seed, and these volumes: its row."""
    number = len(api.rows())
    name = f"gx-{number:08x}-0000-4000-8000-000000000000"
    disks = [
        {"name": f"{name}-root", "uuid": "u-root", "size": 5120},
        {"name": f"{name}-seed", "uuid": "u-s", "size": 4},
    ]
    disks += [{"name": f"vol-{ident}", "uuid": f"u-{at}", "size": 2048} for at, ident in enumerate(idents)]
    return api.server(**{"disks": disks, **columns})


def hear(api: Api, ident: str, status: str, kind: str, opcode: str = "SET_PARAMS", **more: Any) -> None:
    """What eventd tells of a job that is for this."""
    reason = [["gnt:user", f"ganeti-ext:{kind}:{ident}"]]
    Mirror(api.engine, "gx-").take(event.encode(updates.op(opcode, status, reason=reason, **more)))


def snapshots(api: Api) -> list[dict[str, Any]]:
    with api.engine.connect() as connection:
        return db.rows(connection, select(db.volume_snapshot).order_by(db.volume_snapshot.c.created))


def tags(api: Api) -> list[str]:
    """Those that the jobs so far set."""
    return [tag for method, path, _, query in api.rapi.calls if method == "PUT" and path.endswith("tags")
            for tag in query["tag"]]  # fmt: skip
