"""Limits of images and addresses, what is set apart for what is being made, and what was used."""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Integer, String

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for name in ("max_images", "max_image_gigabytes", "max_addresses"):
        op.add_column("project", Column(name, Integer, nullable=True))
    op.create_table(
        "quota_default",
        Column("name", String(64), primary_key=True),
        Column("most", Integer, nullable=False),
    )
    op.create_table(
        "reservation",
        Column("id", String(36), primary_key=True),
        Column("project_id", String(36), nullable=False),
        Column("vcpus", Integer, nullable=True),
        Column("ram", Integer, nullable=True),
        Column("ports", Integer, nullable=False),
        Column("addresses", Integer, nullable=False),
        Column("job", Integer, nullable=True),
        Column("due", Float, nullable=False),
    )
    op.create_index("ix_reservation_project_id", "reservation", ["project_id"])
    op.create_index("ix_reservation_due", "reservation", ["due"])
    op.create_table(
        "budget",
        Column("project_id", String(36), ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
        Column("credits", Float, nullable=False),
        Column("since", Float, nullable=False),
    )
    _create_usage_span()


def _create_usage_span() -> None:
    op.create_table(
        "usage_span",
        Column("kind", String(16), primary_key=True),
        Column("thing", String(36), primary_key=True),
        Column("began", Float, primary_key=True),
        Column("job", Integer, primary_key=True, autoincrement=False),
        Column("op_index", Integer, primary_key=True, autoincrement=False),
        Column("said", JSON, nullable=False),
        Column("until", Float, nullable=True),
        Column("alive", Boolean, nullable=False),
        Column("project_id", String(36), nullable=False),
        Column("flavor_id", String(36), nullable=False),
        Column("vcpus", Integer, nullable=False),
        Column("ram", Integer, nullable=False),
        Column("gib", Float, nullable=False),
    )
    op.create_index("usage_span_project", "usage_span", ["project_id", "until"])
    op.create_index("usage_span_until", "usage_span", ["until"])
