"""Several clusters: which one a thing is of, what is known of each, and which projects' servers are to go there."""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Integer, String, Text, text

revision = "0009"
down_revision = "0008"

_CONVENTION = {"uq": "uq_%(table_name)s_%(column_0_name)s"}
_SIZES = ("memory_free", "disk", "disk_free")  # MiB
# What Alembic does not take along when SQLite's tables are made anew: their indexes of a part of the rows.
_BUSY = "task IS NOT NULL AND deleted IS NULL"


def upgrade() -> None:
    for table in ("volume", "image", "volume_snapshot", "owed", "probe"):
        op.add_column(table, _of())
    op.add_column("comparison", Column("of_cluster", String(255), nullable=False, server_default=text("''")))
    op.add_column("tenant_network", Column("cluster", String(255), nullable=True))
    op.drop_index("server_busy", "server")
    _rename_apart("server", "instance")
    op.create_index("server_busy", "server", ["task"], postgresql_where=text(_BUSY), sqlite_where=text(_BUSY))
    op.create_index("server_instance", "server", ["instance"])
    _rename_apart("network", "name")
    op.create_index("network_name", "network", ["name"])
    _key_apart()
    _make_clusters()


def _of() -> Column[str]:
    return Column("cluster", String(255), nullable=False, server_default=text("''"))


def _rename_apart(table: str, column: str) -> None:
    """A name is one thing's in its cluster; it was so in all."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table(table, naming_convention=_CONVENTION) as batch:
        batch.add_column(_of())
        batch.drop_constraint(f"uq_{table}_{column}" if is_sqlite else f"{table}_{column}_key", type_="unique")
        batch.create_unique_constraint(f"{table}_of_cluster", ["cluster", column])


def _key_apart() -> None:
    """Nodes, and networks that are gone, by their cluster and name."""
    if op.get_bind().dialect.name != "sqlite":
        for table in ("node", "removed_network"):
            op.add_column(table, _of())
            op.drop_constraint(f"{table}_pkey", table)
            op.create_primary_key(f"{table}_pkey", table, ["cluster", "name"])
        for name in _SIZES:
            op.add_column("node", Column(name, Integer, nullable=True))
        return
    columns = "name, zone, offline, drained, vm_capable, cpus, memory, updated"
    for table, kept in (("node", columns), ("removed_network", 'name, "order"')):
        op.rename_table(table, f"{table}_before")
        _make(table)
        op.execute(f"INSERT INTO {table} ({kept}) SELECT {kept} FROM {table}_before")  # noqa: S608 (our own words)
        op.drop_table(f"{table}_before")


def _make(table: str) -> None:
    if table == "node":
        op.create_table(
            table,
            Column("cluster", String(255), primary_key=True, server_default=text("''")),
            Column("name", String(255), primary_key=True),
            Column("zone", String(255), nullable=False),
            *(Column(name, Boolean, nullable=False) for name in ("offline", "drained", "vm_capable")),
            *(Column(name, Integer, nullable=True) for name in ("cpus", "memory", *_SIZES)),
            Column("updated", Float, nullable=False),
        )
        return
    op.create_table(
        table,
        Column("cluster", String(255), primary_key=True, server_default=text("''")),
        Column("name", String(255), primary_key=True),
        Column("order", JSON, nullable=False),
    )


def _make_clusters() -> None:
    op.create_table(
        "cluster",
        Column("id", String(255), primary_key=True),
        Column("name", String(255), nullable=True, unique=True),
        Column("uuid", String(36), nullable=True),
        *(Column(name, Text, nullable=True) for name in ("url", "user", "password", "ca", "broker")),
        Column("link", String(64), nullable=True),
        Column("state", String(16), nullable=False, server_default="open"),
        Column("weight", Float, nullable=False, server_default="1"),
        Column("storage", String(255), nullable=False, server_default=text("''")),
        Column("added", Float, nullable=False),
        *(Column(name, Float, nullable=True) for name in ("seen", "silent", "told")),
        Column("fault", Text, nullable=True),
    )
    op.create_table(
        "cluster_pin",
        Column("project_id", String(36), ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
        Column("cluster", String(255), primary_key=True),
    )
