"""The front's database: what tenants may use, and a copy of what Ganeti has.

Rows of `server`, `network` and their columns are written by the update path alone (consumer.py, and
reconcile.py at its start), with one exception: the row of a server whose create job was just accepted.
All of it can be rebuilt from Ganeti; `project`, `user`, `membership`, `flavor` and `image` are the
administrator's, by ganeti-ext-manage.

Times are UTC seconds since 1970 (float). SQLAlchemy Core, in the subset that 1.4 and 2.0 share.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Engine,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
)

metadata = MetaData()

project = Table(
    "project",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("max_servers", Integer, nullable=False),
    Column("max_cores", Integer, nullable=False),
    Column("max_ram", Integer, nullable=False),  # MiB
)

user = Table(
    "user_account",  # "user" is a reserved word of SQL
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("password_hash", String(255), nullable=False),
    Column("enabled", Boolean, nullable=False),
)

membership = Table(
    "membership",
    metadata,
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String(16), primary_key=True),  # member, reader, admin
)

flavor = Table(
    "flavor",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("vcpus", Integer, nullable=False),
    Column("ram", Integer, nullable=False),  # MiB
    Column("disk", Integer, nullable=False),  # GiB
)

image = Table(
    "image",
    metadata,
    Column("id", String(36), primary_key=True),  # also the file's name in the image store: ID.raw
    Column("name", String(255), nullable=False),
    Column("owner_id", ForeignKey("project.id"), nullable=True),
    Column("visibility", String(16), nullable=False),  # public, private
    Column("size", BigInteger, nullable=False),  # bytes
    Column("sha256", String(64), nullable=False),
    Column("min_disk", Integer, nullable=False),  # GiB
    Column("min_ram", Integer, nullable=False),  # MiB
    Column("created", Float, nullable=False),
    Column("properties", JSON, nullable=False),
)

network = Table(
    "network",
    metadata,
    Column("id", String(36), primary_key=True),  # Ganeti's UUID of it
    Column("name", String(255), nullable=False, unique=True),
    Column("subnet", String(64), nullable=True),
    Column("gateway", String(64), nullable=True),
    Column("subnet6", String(64), nullable=True),
    Column("gateway6", String(64), nullable=True),
    Column("tags", JSON, nullable=False),
    Column("updated", Float, nullable=False),
)

server = Table(
    "server",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("instance", String(255), nullable=False, unique=True),  # its name in Ganeti
    Column("project_id", String(36), nullable=False, index=True),
    Column("user_id", String(36), nullable=False),
    Column("name", Text, nullable=False),
    Column("flavor_id", String(36), nullable=False),
    Column("image_id", String(36), nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("ram", Integer, nullable=False),
    Column("disk", Integer, nullable=False),
    Column("status", String(16), nullable=False),  # BUILD ACTIVE SHUTOFF ERROR
    Column("task", String(32), nullable=True),  # what a job is doing: see state.py
    Column("fault", Text, nullable=True),
    Column("host", String(255), nullable=True),  # the node
    Column("nics", JSON, nullable=False),  # [{network (name), ip, ip6, mac, uuid}]
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("deleted", Float, nullable=True),
    Column("job", Integer, nullable=True),  # the last job that was told of, and ...
    Column("job_order", JSON, nullable=True),  # ... the `order` of the last message applied (ganeti_ext/event.py)
    Column("settled_order", JSON, nullable=True),  # ... and of the last final success, or failed create
)


def connect(url: str) -> Engine:
    """An engine for sqlite:///PATH or postgresql://..., with the tables made where they lack."""
    engine = create_engine(url, future=True, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tune_sqlite)
    metadata.create_all(engine)
    return engine


def _tune_sqlite(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    # WAL: readers never wait for the consumer's writes.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
