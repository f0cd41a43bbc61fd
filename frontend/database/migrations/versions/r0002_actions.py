"""What jobs did, what the front owes, signs of life, the last comparison; more of servers and dead letters."""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, BigInteger, Column, Float, Integer, String, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("server", Column("progress", Integer, nullable=True))
    op.add_column("server", Column("metadata", JSON, nullable=False, server_default="{}"))
    op.add_column("dead_letter", Column("tries", Integer, nullable=False, server_default="0"))
    _forget_clocks()
    _make_action()
    _make_owed()
    _make_signs()


def _forget_clocks() -> None:
    """How new what is known is, was the time of the master's clock, and is the `seq` of messages from now on."""
    op.execute("UPDATE server SET clocks = NULL")
    op.execute("UPDATE network SET read_order = NULL")
    op.execute("DELETE FROM removed_network")


def _make_action() -> None:
    op.create_table(
        "action",
        Column("cluster", String(255), primary_key=True),
        Column("job", Integer, primary_key=True, autoincrement=False),
        Column("op_index", Integer, primary_key=True, autoincrement=False),
        Column("operation", String(64), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("name", String(255), nullable=False),
        Column("server_id", String(36), nullable=True, index=True),
        Column("status", String(16), nullable=False),
        Column("rank", Integer, nullable=False),
        Column("began", Float, nullable=False),
        Column("updated", Float, nullable=False, index=True),
        Column("message", Text, nullable=True),
        Column("ended", Float, nullable=True),
        Column("seq", JSON, nullable=True),
    )


def _make_owed() -> None:
    op.create_table(
        "owed",
        Column("id", String(36), primary_key=True),
        Column("server_id", String(36), nullable=False, index=True),
        Column("what", String(16), nullable=False),
        Column("body", Text, nullable=True),
        Column("job", Integer, nullable=True),
        Column("tries", Integer, nullable=False),
        Column("due", Float, nullable=False),
    )


def _make_signs() -> None:
    op.create_table(
        "probe",
        Column("id", String(255), primary_key=True),
        Column("sent", Float, nullable=False),
        Column("received", Float, nullable=True),
    )
    op.create_table(
        "beat",
        Column("name", String(255), primary_key=True),
        Column("time", Float, nullable=False),
        Column("last_event", Float, nullable=True),
        Column("waiting", Integer, nullable=True),
        Column("applied", BigInteger, nullable=False),
    )
    op.create_table(
        "comparison",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("time", Float, nullable=False),
        Column("seconds", Float, nullable=False),
        Column("found", JSON, nullable=False),
        Column("mended", Integer, nullable=False),
        Column("trigger", String(32), nullable=False),
        Column("error", Text, nullable=True),
        Column("cluster", String(36), nullable=True),
    )
