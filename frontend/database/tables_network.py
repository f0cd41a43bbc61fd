"""Tables of the front's database, continued: ports that tenants made or said something of."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, String, Table

from frontend.database.tables_storage import metadata

__all__ = ["metadata", "port"]

# NICs are in the rows of servers; here is what no NIC tells (frontend/network/portstore.py).
port = Table(
    "port",
    metadata,
    Column("id", String(36), primary_key=True),  # of a NIC that has no name of ours, Ganeti's UUID of that
    Column("project_id", String(36), nullable=False, index=True),
    Column("network", String(36), nullable=True),  # Ganeti's UUID of it; null: a NIC's, which was not made beforehand
    Column("address", String(64), nullable=True),  # IPv4, and set apart in Ganeti's pool
    Column("mac", String(17), nullable=True, unique=True),
    Column("facts", JSON, nullable=False),  # {name, description, groups[], pairs[], open}: portstore.py
    Column("server_id", String(36), nullable=True),  # who was given it last, and by which job, as far as it is known
    Column("job", Integer, nullable=True),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
)

Index("port_address", port.c.network, port.c.address, unique=True)
