"""Tables of the front's database, continued: whom images are shown to, volumes, their snapshots and transfers.

Rows of `volume` are written by the update path alone, as those of servers (tables.py), but for the row of a volume
whose create job was just accepted.
"""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text, false, text

from frontend.database.tables import metadata

__all__ = ["image_member", "image_task", "metadata", "volume", "volume_snapshot", "volume_transfer"]

# Who was shown a private image.
image_member = Table(
    "image_member",
    metadata,
    Column("image_id", ForeignKey("image.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", String(36), primary_key=True, index=True),
    Column("status", String(16), nullable=False),  # pending accepted rejected
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
)

# Imports that tenants asked for (importer.py).
image_task = Table(
    "image_task",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("image_id", ForeignKey("image.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("project_id", String(36), nullable=False),
    Column("user_id", String(36), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("input", JSON, nullable=False),  # the request
    Column("status", String(16), nullable=False, index=True),  # pending processing success failure
    Column("message", Text, nullable=True),  # why it failed, for the tenant
    Column("tries", Integer, nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("lease", Float, nullable=True),  # until when somebody says again that he is at it
)

# A copy of what Ganeti has of volumes' holders and of servers' disks (mirror_volume.py), as `server` is.
volume = Table(
    "volume",
    metadata,
    Column("id", String(36), primary_key=True),  # its disk is called vol-ID
    Column("instance", String(255), nullable=False, unique=True),  # its holder's name in Ganeti
    Column("cluster", String(255), nullable=False, server_default=text("''")),
    Column("project_id", String(36), nullable=False),
    Column("user_id", String(36), nullable=False),
    Column("name", Text, nullable=False),
    Column("type", String(255), nullable=False),  # a provider, or PROVIDER:POOL
    Column("size", Integer, nullable=False),  # GiB
    Column("status", String(24), nullable=False),  # Cinder's: see volumestate.py
    Column("task", String(24), nullable=True),  # creating attaching detaching extending retyping deleting ...
    Column("fault", Text, nullable=True),  # why it is `error`
    Column("server_id", String(36), nullable=True, index=True),  # of the server whose disk it is now
    Column("device", String(32), nullable=True),  # /dev/vdb, as long as a server has it
    Column("attached", Float, nullable=True),  # since when
    Column("host", String(255), nullable=True),  # the node of its holder
    Column("held", Boolean, nullable=True),  # whether its holder has the disk; null: nobody said yet
    Column("facts", JSON, nullable=False, server_default="{}"),  # {fact: text}: tags.VOLUME
    Column("metadata", JSON, nullable=False, server_default="{}"),  # {name: value}, the tenant's
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("deleted", Float, nullable=True),
    Column("job", Integer, nullable=True),  # as of a server, as all below
    Column("job_order", JSON, nullable=True),
    Column("clocks", JSON, nullable=True),
    Column("wished", JSON, nullable=True),
    Column("growing", Integer, nullable=True),  # GiB that it is to have, while its task is `extending`
)
Index("volume_page", volume.c.project_id, volume.c.created, volume.c.id)
Index("volume_newest", volume.c.created, volume.c.id)

volume_snapshot = Table(
    "volume_snapshot",
    metadata,
    Column("id", String(36), primary_key=True),  # the provider's is called saved-ID
    Column("volume_id", String(36), nullable=False, index=True),
    Column("project_id", String(36), nullable=False),
    Column("user_id", String(36), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=True),
    Column("size", Integer, nullable=False),  # GiB
    Column("status", String(24), nullable=False),  # creating available deleting error error_deleting
    Column("fault", Text, nullable=True),
    Column("provider", String(64), nullable=False),
    Column("pool", String(64), nullable=True),
    Column("metadata", JSON, nullable=False, server_default="{}"),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("job", Integer, nullable=True),  # the last of those that make or remove it
    Column("noted", Float, nullable=True),  # `updated` of what was written down beside it: imagefacts.py
    Column("cluster", String(255), nullable=False, server_default=text("''")),
)
Index("volume_snapshot_page", volume_snapshot.c.project_id, volume_snapshot.c.created, volume_snapshot.c.id)

# A volume that its project offers to whoever knows the key.
volume_transfer = Table(
    "volume_transfer",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("volume_id", String(36), nullable=False, unique=True),
    Column("project_id", String(36), nullable=False, index=True),  # that offers it
    Column("name", String(255), nullable=False),
    Column("key_hash", String(255), nullable=False),
    Column("no_snapshots", Boolean, nullable=False, server_default=false()),
    Column("created", Float, nullable=False),
)
