"""Tables of the front's database, continued: limits, what is set apart for them, what was used, and what is in use."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table

from frontend.database.tables_cluster import metadata

__all__ = ["budget", "metadata", "quota_default", "reservation", "sample", "usage_span"]

# Limits of projects that nobody gave others, where they are not those of [quota] (frontend/quota/limits.py).
quota_default = Table(
    "quota_default",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("most", Integer, nullable=False),  # -1: any number
)

# What counts though Ganeti does not have it yet (frontend/quota/reserved.py).
reservation = Table(
    "reservation",
    metadata,
    Column("id", String(36), primary_key=True),  # the server's; of a NIC, the port's
    Column("project_id", String(36), nullable=False, index=True),
    Column("vcpus", Integer, nullable=True),  # that the server is to have; null, as ram: of a NIC
    Column("ram", Integer, nullable=True),  # MiB
    Column("ports", Integer, nullable=False),  # but those that were made beforehand
    Column("addresses", Integer, nullable=False),  # public ones, of these ports
    Column("job", Integer, nullable=True),  # with whose end it is over; null: none was submitted yet
    Column("due", Float, nullable=False, index=True),  # it counts no longer than until then, whatever was missed
)

# What projects may use up, in credits (frontend/usage/budget.py).
budget = Table(
    "budget",
    metadata,
    Column("project_id", String(36), ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("credits", Float, nullable=False),
    Column("since", Float, nullable=False),  # what was used before does not count
)

# What was used of each thing, from one moment on until the next that something is said of it (frontend/usage/meter.py).
usage_span = Table(
    "usage_span",
    metadata,
    Column("kind", String(16), primary_key=True),  # server volume snapshot image address
    Column("thing", String(36), primary_key=True),  # its id; of an address, its port's
    Column("began", Float, primary_key=True),  # the master's clock, as of a message's `order`
    Column("job", Integer, primary_key=True, autoincrement=False),  # that brought it about; 0: none
    Column("op_index", Integer, primary_key=True, autoincrement=False),
    Column("said", JSON, nullable=False),  # what was said at that moment; the rest is as before
    Column("until", Float, nullable=True),  # null: it goes on
    Column("alive", Boolean, nullable=False),  # whether it was there from then on
    Column("project_id", String(36), nullable=False),
    Column("flavor_id", String(36), nullable=False),  # "" of what has none
    Column("vcpus", Integer, nullable=False),
    Column("ram", Integer, nullable=False),  # MiB
    Column("gib", Float, nullable=False),  # of its disk
)
Index("usage_span_project", usage_span.c.project_id, usage_span.c.until)
Index("usage_span_until", usage_span.c.until)

# What the guest of a server used since `began`, as its node measured it (frontend/update/samples.py).
sample = Table(
    "sample",
    metadata,
    Column("server_id", String(36), primary_key=True),
    Column("at", Float, primary_key=True),  # the node's clock
    Column("began", String(32), nullable=False),  # another one: all counters began anew
    Column("cpu_ns", BigInteger, nullable=False),
    Column("memory_kib", BigInteger, nullable=False),
    Column("read", BigInteger, nullable=False),  # octets, of all disks
    Column("written", BigInteger, nullable=False),
    Column("nics", JSON, nullable=False),  # [[tap, octets, packets, errors, drops it received, ... it sent]]
)
Index("sample_at", sample.c.at)
