"""What servers use, as their nodes measure it."""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, BigInteger, Column, Float, String

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "sample",
        Column("server_id", String(36), primary_key=True),
        Column("at", Float, primary_key=True),
        Column("began", String(32), nullable=False),
        Column("cpu_ns", BigInteger, nullable=False),
        Column("memory_kib", BigInteger, nullable=False),
        Column("read", BigInteger, nullable=False),
        Column("written", BigInteger, nullable=False),
        Column("nics", JSON, nullable=False),
    )
    op.create_index("sample_at", "sample", ["at"])
