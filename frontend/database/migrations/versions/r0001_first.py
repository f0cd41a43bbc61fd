"""The tables as they were when they had no versions. A part of them may be there already."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

revision = "0001"
down_revision = None

metadata = MetaData()

Table(
    "project",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("max_servers", Integer, nullable=False),
    Column("max_cores", Integer, nullable=False),
    Column("max_ram", Integer, nullable=False),
)

Table(
    "user_account",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("password_hash", String(255), nullable=False),
    Column("enabled", Boolean, nullable=False),
)

Table(
    "membership",
    metadata,
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String(16), primary_key=True),
)

Table(
    "flavor",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("vcpus", Integer, nullable=False),
    Column("ram", Integer, nullable=False),
    Column("disk", Integer, nullable=False),
)

Table(
    "image",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("owner_id", ForeignKey("project.id"), nullable=True),
    Column("visibility", String(16), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("min_disk", Integer, nullable=False),
    Column("min_ram", Integer, nullable=False),
    Column("created", Float, nullable=False),
    Column("properties", JSON, nullable=False),
)

Table(
    "network",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("subnet", String(64), nullable=True),
    Column("gateway", String(64), nullable=True),
    Column("subnet6", String(64), nullable=True),
    Column("gateway6", String(64), nullable=True),
    Column("tags", JSON, nullable=False),
    Column("updated", Float, nullable=False),
    Column("read_order", JSON, nullable=True),
)

Table(
    "removed_network",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("order", JSON, nullable=False),
)

Table(
    "server",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("instance", String(255), nullable=False, unique=True),
    Column("project_id", String(36), nullable=False, index=True),
    Column("user_id", String(36), nullable=False),
    Column("name", Text, nullable=False),
    Column("flavor_id", String(36), nullable=False),
    Column("image_id", String(36), nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("ram", Integer, nullable=False),
    Column("disk", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("task", String(32), nullable=True),
    Column("fault", Text, nullable=True),
    Column("host", String(255), nullable=True),
    Column("nics", JSON, nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("deleted", Float, nullable=True),
    Column("job", Integer, nullable=True),
    Column("job_order", JSON, nullable=True),
    Column("power", String(16), nullable=True),
    Column("clocks", JSON, nullable=True),
)

Table(
    "dead_letter",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("body", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("time", Float, nullable=False),
)


def upgrade() -> None:
    metadata.create_all(op.get_bind(), checkfirst=True)
