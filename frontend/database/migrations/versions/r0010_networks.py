"""Ports by the id that a tenant knows their network by; quotas of floating addresses; bridges of tenants' networks."""

from __future__ import annotations

import json
import re

from alembic import op
from sqlalchemy import JSON, Column, Integer, String, text

revision = "0010"
down_revision = "0009"

_OURS = re.compile(r".+\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.DOTALL)
_PORTS = text("UPDATE port SET network = :ident WHERE network = :uuid")


def upgrade() -> None:
    op.add_column("project", Column("max_floating_ips", Integer, nullable=True))
    op.add_column("network", Column("groups", JSON, nullable=True))
    op.add_column("tenant_network", Column("link", String(64), nullable=True))
    op.create_index("ix_tenant_network_link", "tenant_network", ["link"], unique=True)
    connection = op.get_bind()
    for uuid, name, tags in connection.execute(text("SELECT id, name, tags FROM network")).all():
        found, known = _OURS.fullmatch(name), json.loads(tags) if isinstance(tags, str) else tags
        if found and any(tag.startswith("ganeti-ext:project:") for tag in known):
            connection.execute(_PORTS, {"ident": found[1], "uuid": uuid})
