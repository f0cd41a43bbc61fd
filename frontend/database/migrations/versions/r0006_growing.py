"""How large a volume is to be that is extended: its quota is taken before Ganeti is asked."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Integer

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("volume", Column("growing", Integer, nullable=True))
