"""What is kept of a tenant's network in its own row: facts, for the time that Ganeti does not have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from frontend.database import db


def read(connection: Connection, ident: str) -> dict[str, str]:
    """Nothing of a network that has no row: one whose database was made anew."""
    found = connection.execute(select(db.tenant_network.c.facts).where(db.tenant_network.c.id == ident)).scalar()
    return dict(found or {})


def write(connection: Connection, ident: str, facts: Mapping[str, str], **columns: Any) -> bool:
    """Change some facts, in the turn of the network's project (turns.py); an empty one is no more.

    False: the network has no row.
    """
    kept = {key: text for key, text in {**read(connection, ident), **facts}.items() if text}
    change = update(db.tenant_network).where(db.tenant_network.c.id == ident)
    return connection.execute(change.values(facts=kept, **columns)).rowcount > 0
