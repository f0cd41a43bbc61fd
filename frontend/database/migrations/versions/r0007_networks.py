"""Quotas of networks for each project, and what is said of a tenant's network as long as Ganeti does not have it."""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, Column, Integer

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for name in ("networks", "subnets", "ports", "security_groups", "security_group_rules"):
        op.add_column("project", Column(f"max_{name}", Integer, nullable=True))
    op.add_column("tenant_network", Column("facts", JSON, nullable=False, server_default="{}"))
