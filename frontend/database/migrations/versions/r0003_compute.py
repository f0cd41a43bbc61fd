"""What Compute and Identity keep besides servers: keys, groups, credentials, requests; more of flavors and images."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("server", Column("facts", JSON, nullable=False, server_default="{}"))
    op.add_column("server", Column("wished", JSON, nullable=True))
    op.add_column("flavor", Column("public", Boolean, nullable=False, server_default=true()))
    op.add_column("flavor", Column("extra_specs", JSON, nullable=False, server_default="{}"))
    op.add_column("flavor", Column("description", Text, nullable=True))
    _add_to_image()
    _make_identity()
    _make_compute()
    _make_indexes()


def _add_to_image() -> None:
    op.add_column("image", Column("status", String(16), nullable=False, server_default="active"))
    op.add_column("image", Column("origin", String(255), nullable=True))
    op.add_column("image", Column("provider", String(64), nullable=True))
    op.add_column("image", Column("job", Integer, nullable=True))
    op.add_column("image", Column("protected", Boolean, nullable=False, server_default=true()))
    op.add_column("image", Column("tags", JSON, nullable=False, server_default="[]"))
    op.add_column("image", Column("updated", Float, nullable=True))


def _make_identity() -> None:
    op.create_table(
        "application_credential",
        Column("id", String(36), primary_key=True),
        Column("user_id", String(36), ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
        Column("project_id", String(36), ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
        Column("name", String(255), nullable=False),
        Column("secret_hash", String(255), nullable=False),
        Column("description", Text, nullable=True),
        Column("roles", JSON, nullable=False),
        Column("unrestricted", Boolean, nullable=False),
        Column("created", Float, nullable=False),
        Column("expires", Float, nullable=True),
        UniqueConstraint("user_id", "name", name="application_credential_name"),
    )
    op.create_table(
        "attempt",
        Column("key", String(255), primary_key=True),
        Column("count", Integer, nullable=False),
        Column("since", Float, nullable=False),
        Column("until", Float, nullable=True),
    )
    op.create_table(
        "revocation",
        Column("audit_id", String(32), primary_key=True),
        Column("expires", Float, nullable=False),
    )
    op.add_column("user_account", Column("seen", Float, nullable=True))
    op.add_column("membership", Column("federated", Boolean, nullable=False, server_default=false()))


def _make_compute() -> None:
    op.create_table(
        "flavor_access",
        Column("flavor_id", String(36), ForeignKey("flavor.id", ondelete="CASCADE"), primary_key=True),
        Column("project_id", String(36), ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_table(
        "keypair",
        Column("user_id", String(36), primary_key=True),
        Column("name", String(255), primary_key=True),
        Column("type", String(16), nullable=False),
        Column("public_key", Text, nullable=False),
        Column("fingerprint", String(255), nullable=False),
        Column("created", Float, nullable=False),
    )
    op.create_table(
        "server_group",
        Column("id", String(36), primary_key=True),
        Column("project_id", String(36), nullable=False, index=True),
        Column("user_id", String(36), nullable=False),
        Column("name", String(255), nullable=False),
        Column("policy", String(32), nullable=False),
        Column("created", Float, nullable=False),
    )
    op.create_table(
        "tenant_network",
        Column("id", String(36), primary_key=True),
        Column("project_id", String(36), ForeignKey("project.id", ondelete="CASCADE"), nullable=False, index=True),
        Column("name", String(255), nullable=False),
        Column("created", Float, nullable=False),
    )
    _make_security_groups()
    _make_nodes()
    _make_requests()


def _make_indexes() -> None:
    op.create_index("server_page", "server", ["project_id", "created", "id"])
    op.create_index("server_newest", "server", ["created", "id"])
    for name, table, column, rows in (
        ("server_busy", "server", "task", "task IS NOT NULL AND deleted IS NULL"),
        ("action_unended", "action", "job", "ended IS NULL"),
    ):
        op.create_index(name, table, [column], postgresql_where=text(rows), sqlite_where=text(rows))


def _make_security_groups() -> None:
    op.create_table(
        "security_group",
        Column("id", String(36), primary_key=True),
        Column("project_id", String(36), nullable=False, index=True),
        Column("name", String(255), nullable=False),
        Column("description", String(255), nullable=False),
        Column("created", Float, nullable=False),
        Column("updated", Float, nullable=False),
    )
    op.create_table(
        "security_group_rule",
        Column("id", String(36), primary_key=True),
        Column("group_id", String(36), ForeignKey("security_group.id", ondelete="CASCADE"), nullable=False, index=True),
        Column("direction", String(8), nullable=False),
        Column("ethertype", String(4), nullable=False),
        Column("protocol", String(16), nullable=True),
        Column("port_min", Integer, nullable=True),
        Column("port_max", Integer, nullable=True),
        Column("remote_ip", String(64), nullable=True),
        Column("remote_group", String(36), nullable=True),
        Column("description", String(255), nullable=False),
        Column("created", Float, nullable=False),
    )


def _make_nodes() -> None:
    op.create_table(
        "node",
        Column("name", String(255), primary_key=True),
        Column("zone", String(255), nullable=False),
        Column("offline", Boolean, nullable=False),
        Column("drained", Boolean, nullable=False),
        Column("vm_capable", Boolean, nullable=False),
        Column("cpus", Integer, nullable=True),
        Column("memory", Integer, nullable=True),
        Column("updated", Float, nullable=False),
    )


def _make_requests() -> None:
    op.create_table(
        "request",
        Column("id", String(64), primary_key=True),
        Column("server_id", String(36), primary_key=True, index=True),
        Column("action", String(64), nullable=False),
        Column("user_id", String(36), nullable=False),
        Column("project_id", String(36), nullable=False),
        Column("began", Float, nullable=False, index=True),
        Column("jobs", JSON, nullable=False),
        Column("message", Text, nullable=True),
    )
    op.create_table(
        "console_token",
        Column("digest", String(64), primary_key=True),
        Column("server_id", String(36), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("expires", Float, nullable=False, index=True),
    )
