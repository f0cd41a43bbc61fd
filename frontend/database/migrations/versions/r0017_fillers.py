"""Who fills an image, so that one who was taken for dead knows that he is not the one any more."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, String

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("image", Column("filler", String(32), nullable=True))
