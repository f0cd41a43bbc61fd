"""Which cluster a tenant's network is of: the first subnet binds it (docs/clusters.md)."""

from __future__ import annotations

import logging
import time

from sqlalchemy import select, update

from frontend.cluster import placement
from frontend.database import db
from frontend.effect import clusters
from frontend.network.tenantnet import Row
from frontend.web import context

log = logging.getLogger(__name__)


def bound(row: Row) -> Row:
    """A network of a tenant's, bound to a cluster by now: rather to one where its project has something already."""
    if row["uuid"] is not None or row.get("cluster") is not None:
        return row
    column = db.tenant_network.c
    with context.database() as connection:
        known = placement.seen(connection, row["project_id"])
        cluster = placement.choose(known, time.time(), context.services().settings.clusters.unknown, near=True)
        free = (column.id == row["id"], column.cluster.is_(None))
        if known.rows and connection.execute(update(db.tenant_network).where(*free).values(cluster=cluster)).rowcount:
            log.info("network %s: is bound to cluster %s", row["id"], cluster or "of [rapi]")
        found = connection.execute(select(column.cluster).where(column.id == row["id"])).scalar()
        connection.commit()
    return {**row, "cluster": found if found is not None else cluster}


def link(row: Row) -> str:
    """The bridge of tenants' networks in a network's cluster."""
    with context.database() as connection:
        query = select(db.cluster.c.link).where(db.cluster.c.id == clusters.of(row))
        found: str | None = connection.execute(query).scalar()
    return found or context.services().settings.front.tenant_link
