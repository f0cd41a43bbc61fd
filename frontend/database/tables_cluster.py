"""Tables of the front's database, continued: the clusters (docs/clusters.md)."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, String, Table, Text, text

from frontend.database.tables_network import metadata

__all__ = ["cluster", "cluster_image", "cluster_pin", "metadata"]

# The home cluster, of [rapi], has a row once it was asked how large it is; the others are the administrator's to add.
cluster = Table(
    "cluster",
    metadata,
    Column("id", String(255), primary_key=True),  # what the columns `cluster` have: "" of the home cluster
    Column("name", String(255), nullable=True, unique=True),  # Ganeti's, which its messages have
    Column("uuid", String(36), nullable=True),  # Ganeti's
    Column("url", Text, nullable=True),  # null, as those below: [rapi] has it
    Column("user", Text, nullable=True),
    Column("password", Text, nullable=True),  # encrypted with the front's secret
    Column("ca", Text, nullable=True),  # PEM
    Column("broker", Text, nullable=True),  # encrypted; null: its messages come by [broker]
    Column("link", String(64), nullable=True),  # the bridge of tenants' networks; null: [front] tenant_link
    Column("state", String(16), nullable=False, server_default="open"),  # open drained offline
    Column("weight", Float, nullable=False, server_default="1"),  # what its free memory counts
    Column("storage", String(255), nullable=False, server_default=text("''")),  # the cluster whose images it has
    Column("added", Float, nullable=False),
    Column("seen", Float, nullable=True),  # when it answered last
    Column("silent", Float, nullable=True),  # since when it does not answer; null: it does
    Column("told", Float, nullable=True),  # when its nodes told what is free
    Column("fault", Text, nullable=True),  # why it does not answer
)

# Projects whose new servers go to these clusters alone.
cluster_pin = Table(
    "cluster_pin",
    metadata,
    Column("project_id", String(36), ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("cluster", String(255), primary_key=True),
)

# Images that are in the storage of a cluster, besides those that were made there: an administrator put them there.
cluster_image = Table(
    "cluster_image",
    metadata,
    Column("storage", String(255), primary_key=True),  # as cluster.storage
    Column("image_id", String(36), ForeignKey("image.id", ondelete="CASCADE"), primary_key=True),
)
