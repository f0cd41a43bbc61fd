"""Tables of the front's database, continued: networks, and ports that tenants made or said something of."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, String, Table, UniqueConstraint, text

from frontend.database.tables_storage import metadata

__all__ = ["metadata", "network", "port", "removed_network", "tenant_network"]

network = Table(
    "network",
    metadata,
    Column("id", String(36), primary_key=True),  # Ganeti's UUID of it
    Column("cluster", String(255), nullable=False, server_default=text("''")),  # that it is of: clusters.py
    Column("name", String(255), nullable=False),
    Column("subnet", String(64), nullable=True),
    Column("gateway", String(64), nullable=True),
    Column("subnet6", String(64), nullable=True),
    Column("gateway6", String(64), nullable=True),
    Column("tags", JSON, nullable=False),
    Column("updated", Float, nullable=False),
    Column("read_order", JSON, nullable=True),  # when Ganeti said this, see mirror.py
    Column("groups", JSON, nullable=True),  # [[node group that it is connected to, mode, link]]; null: not known yet
    UniqueConstraint("cluster", "name", name="network_of_cluster"),
)

Index("network_name", network.c.name)

# Networks that tenants made; from its subnet on one is in `network`, too, as Ganeti has it then (tenantnet.py).
tenant_network = Table(
    "tenant_network",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(36), ForeignKey("project.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("created", Float, nullable=False),
    Column("facts", JSON, nullable=False, server_default="{}"),  # {fact: text}: its description and label (tags.py)
    Column("cluster", String(255), nullable=True),  # that it was bound to; null: to none yet
    Column("link", String(64), nullable=True, index=True, unique=True),  # the bridge that it has to itself (netlink.py)
)

# So that a late message about a network does not bring it back.
removed_network = Table(
    "removed_network",
    metadata,
    Column("cluster", String(255), primary_key=True, server_default=text("''")),
    Column("name", String(255), primary_key=True),
    Column("order", JSON, nullable=False),  # of the job that removed it
)

# NICs are in the rows of servers; here is what no NIC tells (frontend/network/portstore.py).
port = Table(
    "port",
    metadata,
    Column("id", String(36), primary_key=True),  # of a NIC that has no name of ours, Ganeti's UUID of that
    Column("project_id", String(36), nullable=False, index=True),
    Column("network", String(36), nullable=True),  # its id, as its tenant knows it; null: a NIC's
    Column("address", String(64), nullable=True),  # IPv4, and set apart in Ganeti's pool
    Column("mac", String(17), nullable=True, unique=True),
    Column("facts", JSON, nullable=False),  # {name, description, groups[], pairs[], open, down}: portstore.py
    Column("server_id", String(36), nullable=True),  # who was given it last, and by which job, as far as it is known
    Column("job", Integer, nullable=True),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("waits", Integer, nullable=True),  # the job that did not bring it to its running guest (mirror_port.py)
)

Index("port_address", port.c.network, port.c.address, unique=True)
