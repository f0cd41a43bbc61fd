"""Security groups have a version, as they are tags of Ganeti's from now on; those that there are, are told to it."""

from __future__ import annotations

import uuid

from alembic import op
from sqlalchemy import Column, Float, Integer, MetaData, String, Table, Text, insert, select, text, update

revision = "0012"
down_revision = "0011"

_metadata = MetaData()
_group = Table("security_group", _metadata, Column("id", String(36)), Column("version", Integer))
_owed = Table(
    "owed",
    _metadata,
    *(Column("id", String(36)), Column("server_id", String(36)), Column("what", String(16)), Column("body", Text)),
    *(Column("tries", Integer), Column("due", Float)),
)


def upgrade() -> None:
    op.add_column("security_group", Column("version", Integer, nullable=False, server_default=text("0")))
    connection = op.get_bind()
    for ident in connection.execute(select(_group.c.id)).scalars().all():
        connection.execute(update(_group).where(_group.c.id == ident).values(version=1))
        made = {"id": str(uuid.uuid4()), "server_id": ident, "what": "group", "body": "1 0"}
        connection.execute(insert(_owed).values(**made, tries=0, due=0.0))
