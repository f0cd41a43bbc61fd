"""What is written down of snapshots of volumes beside them."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Float

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("volume_snapshot", Column("noted", Float, nullable=True))
