"""Which nodes a server was moved between."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, String

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    for name in ("source", "target"):
        op.add_column("action", Column(name, String(255), nullable=True))
