"""Volumes, their snapshots and transfers, and whom images are shown to; servers' disks, more quotas."""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Integer, String, Text, false

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("server", Column("disks", JSON, nullable=True))
    for name in ("max_volumes", "max_gigabytes", "max_snapshots"):
        op.add_column("project", Column(name, Integer, nullable=True))
    _add_to_image()
    _make_image_member()
    _make_image_task()
    _make_volume()
    _make_volume_snapshot()
    _make_volume_transfer()


def _add_to_image() -> None:
    op.add_column("image", Column("pool", String(64), nullable=True))
    op.add_column("image", Column("disk_format", String(16), nullable=True, server_default="raw"))
    op.add_column("image", Column("container_format", String(16), nullable=True, server_default="bare"))
    op.add_column("image", Column("md5", String(32), nullable=True))
    op.add_column("image", Column("hidden", Boolean, nullable=False, server_default=false()))
    op.add_column("image", Column("lease", Float, nullable=True))
    op.add_column("image", Column("noted", Float, nullable=True))


def _make_image_task() -> None:
    op.create_table(
        "image_task",
        Column("id", String(36), primary_key=True),
        Column("image_id", String(36), ForeignKey("image.id", ondelete="CASCADE"), nullable=False, index=True),
        Column("project_id", String(36), nullable=False),
        Column("user_id", String(36), nullable=False),
        Column("request_id", String(64), nullable=False),
        Column("input", JSON, nullable=False),
        Column("status", String(16), nullable=False, index=True),
        Column("message", Text, nullable=True),
        Column("tries", Integer, nullable=False),
        Column("created", Float, nullable=False),
        Column("updated", Float, nullable=False),
        Column("lease", Float, nullable=True),
    )


def _make_image_member() -> None:
    op.create_table(
        "image_member",
        Column("image_id", String(36), ForeignKey("image.id", ondelete="CASCADE"), primary_key=True),
        Column("project_id", String(36), primary_key=True, index=True),
        Column("status", String(16), nullable=False),
        Column("created", Float, nullable=False),
        Column("updated", Float, nullable=False),
    )


def _make_volume() -> None:
    op.create_table(
        "volume",
        Column("id", String(36), primary_key=True),
        Column("instance", String(255), nullable=False, unique=True),
        Column("project_id", String(36), nullable=False),
        Column("user_id", String(36), nullable=False),
        Column("name", Text, nullable=False),
        Column("type", String(255), nullable=False),
        Column("size", Integer, nullable=False),
        Column("status", String(24), nullable=False),
        Column("task", String(24), nullable=True),
        Column("fault", Text, nullable=True),
        Column("server_id", String(36), nullable=True, index=True),
        Column("device", String(32), nullable=True),
        Column("attached", Float, nullable=True),
        Column("host", String(255), nullable=True),
        Column("held", Boolean, nullable=True),
        Column("facts", JSON, nullable=False, server_default="{}"),
        Column("metadata", JSON, nullable=False, server_default="{}"),
        Column("created", Float, nullable=False),
        Column("updated", Float, nullable=False),
        Column("deleted", Float, nullable=True),
        Column("job", Integer, nullable=True),
        Column("job_order", JSON, nullable=True),
        Column("clocks", JSON, nullable=True),
        Column("wished", JSON, nullable=True),
    )
    op.create_index("volume_page", "volume", ["project_id", "created", "id"])
    op.create_index("volume_newest", "volume", ["created", "id"])


def _make_volume_snapshot() -> None:
    op.create_table(
        "volume_snapshot",
        Column("id", String(36), primary_key=True),
        Column("volume_id", String(36), nullable=False, index=True),
        Column("project_id", String(36), nullable=False),
        Column("user_id", String(36), nullable=False),
        Column("name", Text, nullable=False),
        Column("description", Text, nullable=True),
        Column("size", Integer, nullable=False),
        Column("status", String(24), nullable=False),
        Column("fault", Text, nullable=True),
        Column("provider", String(64), nullable=False),
        Column("pool", String(64), nullable=True),
        Column("metadata", JSON, nullable=False, server_default="{}"),
        Column("created", Float, nullable=False),
        Column("updated", Float, nullable=False),
        Column("job", Integer, nullable=True),
    )
    op.create_index("volume_snapshot_page", "volume_snapshot", ["project_id", "created", "id"])


def _make_volume_transfer() -> None:
    op.create_table(
        "volume_transfer",
        Column("id", String(36), primary_key=True),
        Column("volume_id", String(36), nullable=False, unique=True),
        Column("project_id", String(36), nullable=False, index=True),
        Column("name", String(255), nullable=False),
        Column("key_hash", String(255), nullable=False),
        Column("no_snapshots", Boolean, nullable=False, server_default=false()),
        Column("created", Float, nullable=False),
    )
