"""The tables of the front's database: what tenants may use, and a copy of what Ganeti has.

Rows of `server`, `network` and their columns are written by the update path alone (consumer.py, and
reconcile.py at its start), with one exception: the row of a server whose create job was just accepted.
All of it can be rebuilt from Ganeti; `project`, `user`, `membership`, `flavor` and `image` are the
administrator's, by ganeti-ext-manage.

Times are UTC seconds since 1970 (float). SQLAlchemy Core, in the subset that 1.4 and 2.0 share. Whoever changes a
table adds a migration (migrations/versions). Tables of images' members and of volumes: tables_storage.py.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    false,
    text,
    true,
)

metadata = MetaData()

project = Table(
    "project",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("max_servers", Integer, nullable=False),  # -1: any number; -2: as many as any project may have (limits.py)
    Column("max_cores", Integer, nullable=False),
    Column("max_ram", Integer, nullable=False),  # MiB
    Column("max_volumes", Integer, nullable=True),  # null, as all below, means -2
    Column("max_gigabytes", Integer, nullable=True),  # GiB, of volumes and their snapshots
    Column("max_snapshots", Integer, nullable=True),
    Column("max_networks", Integer, nullable=True),
    Column("max_subnets", Integer, nullable=True),
    Column("max_ports", Integer, nullable=True),
    Column("max_floating_ips", Integer, nullable=True),
    Column("max_security_groups", Integer, nullable=True),
    Column("max_security_group_rules", Integer, nullable=True),
    Column("max_images", Integer, nullable=True),
    Column("max_image_gigabytes", Integer, nullable=True),  # GiB
    Column("max_addresses", Integer, nullable=True),  # in public networks
)

user = Table(
    "user_account",  # "user" is a reserved word of SQL
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("password_hash", String(255), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("seen", Float, nullable=True),  # when the federation vouched for him last; null: a user of our own
)

membership = Table(
    "membership",
    metadata,
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String(16), primary_key=True),  # member, reader, admin
    Column("federated", Boolean, nullable=False, server_default=false()),  # the federation said so, and may end it
)

flavor = Table(
    "flavor",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("vcpus", Integer, nullable=False),
    Column("ram", Integer, nullable=False),  # MiB
    Column("disk", Integer, nullable=False),  # GiB
    Column("public", Boolean, nullable=False, server_default=true()),  # else flavor_access says whose it is
    Column("extra_specs", JSON, nullable=False, server_default="{}"),  # {name: text}
    Column("description", Text, nullable=True),
)

flavor_access = Table(
    "flavor_access",
    metadata,
    Column("flavor_id", ForeignKey("flavor.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", ForeignKey("project.id", ondelete="CASCADE"), primary_key=True),
)

application_credential = Table(
    "application_credential",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False),
    Column("project_id", ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("secret_hash", String(255), nullable=False),
    Column("description", Text, nullable=True),
    Column("roles", JSON, nullable=False),  # [name]: those that a token of it has, as far as the user has them
    Column("unrestricted", Boolean, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=True),
    UniqueConstraint("user_id", "name", name="application_credential_name"),
)

# Passwords that did not fit, by whose they were to be and by where they came from: see attempts.py.
attempt = Table(
    "attempt",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("since", Float, nullable=False),
    Column("until", Float, nullable=True),  # no password is looked at before
)

# Tokens that were taken back, until they would have ended by themselves.
revocation = Table(
    "revocation",
    metadata,
    Column("audit_id", String(32), primary_key=True),
    Column("expires", Float, nullable=False),
)

keypair = Table(
    "keypair",
    metadata,
    Column("user_id", String(36), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("type", String(16), nullable=False),  # ssh
    Column("public_key", Text, nullable=False),
    Column("fingerprint", String(255), nullable=False),
    Column("created", Float, nullable=False),
)

server_group = Table(
    "server_group",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(36), nullable=False, index=True),
    Column("user_id", String(36), nullable=False),
    Column("name", String(255), nullable=False),
    Column("policy", String(32), nullable=False),  # anti-affinity, ...
    Column("created", Float, nullable=False),
)

# What tenants make of security groups; the firewall profiles are groups besides, and have no rows.
security_group = Table(
    "security_group",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(36), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("description", String(255), nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    # Of its tags on the clusters (ganeti_ext/groups.py); 0: they do not have it yet.
    Column("version", Integer, nullable=False, server_default=text("0")),
)

security_group_rule = Table(
    "security_group_rule",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("group_id", ForeignKey("security_group.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("direction", String(8), nullable=False),  # ingress, egress
    Column("ethertype", String(4), nullable=False),  # IPv4, IPv6
    Column("protocol", String(16), nullable=True),  # null: any, as all below
    Column("port_min", Integer, nullable=True),
    Column("port_max", Integer, nullable=True),
    Column("remote_ip", String(64), nullable=True),
    Column("remote_group", String(36), nullable=True),
    Column("description", String(255), nullable=False),
    Column("created", Float, nullable=False),
)

image = Table(
    "image",
    metadata,
    Column("id", String(36), primary_key=True),  # also the file's name in the image store: ID.raw
    Column("name", String(255), nullable=False),
    Column("owner_id", ForeignKey("project.id"), nullable=True),
    Column("visibility", String(16), nullable=False),  # public private shared community
    Column("size", BigInteger, nullable=False),  # bytes
    Column("sha256", String(64), nullable=False),
    Column("min_disk", Integer, nullable=False),  # GiB
    Column("min_ram", Integer, nullable=False),  # MiB
    Column("created", Float, nullable=False),
    Column("properties", JSON, nullable=False),
    Column("status", String(16), nullable=False, server_default="active"),  # queued saving active ... deleted
    Column("origin", String(255), nullable=True),  # what the provider clones; null: the image of this id
    Column("provider", String(64), nullable=True),  # that has it; null: whichever servers are made with
    Column("job", Integer, nullable=True),  # the last of those that save it
    Column("protected", Boolean, nullable=False, server_default=true()),
    Column("tags", JSON, nullable=False, server_default="[]"),
    Column("updated", Float, nullable=True),  # null: since it was created
    Column("pool", String(64), nullable=True),  # of its provider; null: the default one
    Column("disk_format", String(16), nullable=True, server_default="raw"),  # as it is sent; raw once it is stored
    Column("container_format", String(16), nullable=True, server_default="bare"),
    Column("md5", String(32), nullable=True),  # of its content, as sha256
    Column("hidden", Boolean, nullable=False, server_default=false()),
    Column("lease", Float, nullable=True),  # until when somebody says again that he is filling it
    Column("filler", String(32), nullable=True),  # who does, or did until he was given up: his word
    Column("noted", Float, nullable=True),  # `updated` of what was written down beside it: imagefacts.py
    Column("cluster", String(255), nullable=False, server_default=text("''")),  # whose storage has it
)

server = Table(
    "server",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("cluster", String(255), nullable=False, server_default=text("''")),
    Column("instance", String(255), nullable=False),  # its name in Ganeti
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
    Column("nics", JSON, nullable=False),  # [{network (name), ip, ip6, mac, uuid, port}]: reading.py
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("deleted", Float, nullable=True),
    Column("job", Integer, nullable=True),  # the last job that has or had a task, and ...
    Column("job_order", JSON, nullable=True),  # ... the `order` of its last message (ganeti_ext/event.py)
    Column("power", String(16), nullable=True),  # ACTIVE, SHUTOFF: what Ganeti said last, also when status is ERROR
    Column("clocks", JSON, nullable=True),  # {facet: order of what was said of it last}, see state.py
    Column("progress", Integer, nullable=True),  # percent of the image's copy while the server is made
    Column("metadata", JSON, nullable=False, server_default="{}"),  # {name: value}, the tenant's
    Column("facts", JSON, nullable=False, server_default="{}"),  # {fact: text}, the rest of its tags: tags.GIVEN
    Column("wished", JSON, nullable=True),  # what of it is shown before Ganeti has it: wished.py
    Column("disks", JSON, nullable=True),  # [{name, uuid, size (MiB)}] in Ganeti's order; null: nobody said yet
    UniqueConstraint("cluster", "instance", name="server_of_cluster"),
)

Index("server_instance", server.c.instance)
# Pages of a project's servers, newest first, and those that something is under way with: pressure.py counts them.
Index("server_page", server.c.project_id, server.c.created, server.c.id)
Index("server_newest", server.c.created, server.c.id)  # of all projects, for an administrator
_busy = and_(server.c.task.is_not(None), server.c.deleted.is_(None))
Index("server_busy", server.c.task, postgresql_where=_busy, sqlite_where=_busy)

# Ganeti's nodes, as the last comparison found them: nodes.py.
node = Table(
    "node",
    metadata,
    Column("cluster", String(255), primary_key=True, server_default=text("''")),
    Column("name", String(255), primary_key=True),
    Column("zone", String(255), nullable=False),  # the name of its node group
    Column("offline", Boolean, nullable=False),
    Column("drained", Boolean, nullable=False),
    Column("vm_capable", Boolean, nullable=False),
    Column("cpus", Integer, nullable=True),  # null: it has not told yet
    Column("memory", Integer, nullable=True),  # MiB, as all below
    Column("memory_free", Integer, nullable=True),
    Column("disk", Integer, nullable=True),
    Column("disk_free", Integer, nullable=True),
    Column("updated", Float, nullable=False),
)

# What tenants asked of servers, and the jobs that came of it.
request = Table(
    "request",
    metadata,
    Column("id", String(64), primary_key=True),  # as the answer told it: req-UUID
    Column("server_id", String(36), primary_key=True, index=True),  # one request may make several
    Column("action", String(64), nullable=False),  # create, reboot, ... as Nova calls them
    Column("user_id", String(36), nullable=False),
    Column("project_id", String(36), nullable=False),
    Column("began", Float, nullable=False, index=True),
    Column("jobs", JSON, nullable=False),  # [number]
    Column("message", Text, nullable=True),
)

# One-time tokens of consoles, by their SHA-256.
console_token = Table(
    "console_token",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("server_id", String(36), nullable=False),
    Column("kind", String(16), nullable=False),  # novnc, serial
    Column("expires", Float, nullable=False, index=True),
)

# Jobs' opcodes on objects that are ours to tell of, for a while. What must be done once for each of them hangs on
# the transaction that sets `ended`.
action = Table(
    "action",
    metadata,
    Column("cluster", String(255), primary_key=True),
    Column("job", Integer, primary_key=True, autoincrement=False),
    Column("op_index", Integer, primary_key=True, autoincrement=False),
    Column("operation", String(64), nullable=False),  # OP_INSTANCE_CREATE, ...
    Column("kind", String(16), nullable=False),  # instance network node group cluster
    Column("name", String(255), nullable=False),  # of the instance, the network ...
    Column("server_id", String(36), nullable=True, index=True),
    Column("status", String(16), nullable=False),  # ganeti_ext/event.py RANKS
    Column("rank", Integer, nullable=False),
    Column("began", Float, nullable=False),  # the master's clock, as all of a message's `order`
    Column("updated", Float, nullable=False, index=True),
    Column("message", Text, nullable=True),  # why it failed, without secrets
    Column("ended", Float, nullable=True),  # null until it is final
    Column("seq", JSON, nullable=True),  # of the message that this is from (ganeti_ext/event.py)
    Column("source", String(255), nullable=True),  # of a move: the node that the instance was on, as far as it is known
    Column("target", String(255), nullable=True),  # and the one that it is on, once it has moved
)

_unended = action.c.ended.is_(None)
Index("action_unended", action.c.job, postgresql_where=_unended, sqlite_where=_unended)

# What the front has promised and cannot do yet.
owed = Table(
    "owed",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("server_id", String(36), nullable=False, index=True),  # of an untag: the image's or snapshot's
    Column("what", String(16), nullable=False),  # create, remove, untag, unmake, chain, give, group
    # Of a create and a chain: the requests, encrypted with the front's secret; of an untag: the instance and the tag;
    # of an unmake: the instance; of a group: its version, and the last one that was taken away.
    Column("body", Text, nullable=True),
    Column("job", Integer, nullable=True),  # the one that it waits for
    Column("tries", Integer, nullable=False),
    Column("due", Float, nullable=False),
    Column("cluster", String(255), nullable=False, server_default=text("''")),
)

# Signs of life sent through the whole path, and when they came out of it.
probe = Table(
    "probe",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("sent", Float, nullable=False),
    Column("received", Float, nullable=True),
    Column("cluster", String(255), nullable=False, server_default=text("''")),  # that it was sent through
)

# What each consumer says of itself, now and then.
beat = Table(
    "beat",
    metadata,
    Column("name", String(255), primary_key=True),  # of its machine
    Column("time", Float, nullable=False),
    Column("last_event", Float, nullable=True),  # event_time of the newest message that it applied
    Column("waiting", Integer, nullable=True),  # messages
    Column("applied", BigInteger, nullable=False),  # messages since its start
)

# What the last comparison with each cluster found: one row.
comparison = Table(
    "comparison",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("of_cluster", String(255), nullable=False, server_default=text("''")),
    Column("time", Float, nullable=False),
    Column("seconds", Float, nullable=False),  # that it took
    Column("found", JSON, nullable=False),  # {kind of discrepancy: how many}
    Column("mended", Integer, nullable=False),
    Column("trigger", String(32), nullable=False),
    Column("error", Text, nullable=True),
    Column("cluster", String(36), nullable=True),  # Ganeti's UUID of it
)

# Messages that could not be understood or applied, for an administrator: see letters.py.
dead_letter = Table(
    "dead_letter",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the body: a repeated message is kept once
    Column("body", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("time", Float, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),  # how often it was applied in vain
)
