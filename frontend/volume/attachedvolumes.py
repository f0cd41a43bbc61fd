"""The volumes that servers have, as the database knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.web import context


def of_server(server_id: str) -> list[dict[str, Any]]:
    """The rows of a server's volumes, in the order of its disks; those that it is just given are among them."""
    with context.database() as connection:
        return of_servers(connection, [server_id]).get(server_id, [])


def of_servers(connection: Connection, idents: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """The same of several servers, by their ids; those that have none are left out."""
    column = db.volume.c
    having = (column.server_id.in_(list(idents)), column.deleted.is_(None))
    found: dict[str, list[dict[str, Any]]] = {}
    rows = db.rows(connection, select(db.volume).where(*having))
    for row in sorted(rows, key=lambda row: (row["device"] or "", row["id"])):
        found.setdefault(row["server_id"], []).append(row)
    return found
