"""Ports that their guest gets when it starts next."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Integer

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("port", Column("waits", Integer, nullable=True))
