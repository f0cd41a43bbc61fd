"""Ports that tenants made before a server has them, or said something of."""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, Column, Float, Integer, String

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "port",
        Column("id", String(36), primary_key=True),
        Column("project_id", String(36), nullable=False),
        Column("network", String(36), nullable=True),
        Column("address", String(64), nullable=True),
        Column("mac", String(17), nullable=True, unique=True),
        Column("facts", JSON, nullable=False),
        Column("server_id", String(36), nullable=True),
        Column("job", Integer, nullable=True),
        Column("created", Float, nullable=False),
        Column("updated", Float, nullable=False),
    )
    op.create_index("ix_port_project_id", "port", ["project_id"])
    op.create_index("port_address", "port", ["network", "address"], unique=True)
