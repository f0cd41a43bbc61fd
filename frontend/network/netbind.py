"""Which cluster a tenant's network is of: the first subnet binds it (docs/clusters.md)."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from frontend.cluster import placement
from frontend.compute import zones
from frontend.database import db
from frontend.effect import clusters
from frontend.network import netlink
from frontend.network.tenantnet import Row
from frontend.web import context, schema
from frontend.web.fault import NotFound

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


def hinted(sent: Mapping[str, Any], project: str) -> str | None:
    """The cluster that the availability_zone_hints of a new network name; None: they name none, or there is but one.

    NotFound, as Neutron says it, where there is no such zone.
    """
    hints = schema.items(sent, "availability_zone_hints") if sent.get("availability_zone_hints") else []
    with context.database() as connection:
        known = placement.seen(connection, project)
        if not hints or not known.rows:
            return None
        try:
            found = {zones.find(connection, known.rows, str(hint)).cluster for hint in hints}
        except zones.Unknown as err:
            raise NotFound(f"AvailabilityZone {', '.join(map(str, hints)):.80} could not be found.") from err
    patience = context.services().settings.clusters.unknown
    return placement.choose(known, time.time(), patience, among={each for each in found if each is not None} or None)


def link(row: Row) -> str:
    """The bridge of tenants' networks in a network's cluster, or one that this network has to itself."""
    with context.database() as connection:
        query = select(db.cluster.c.link).where(db.cluster.c.id == clusters.of(row))
        found: str | None = connection.execute(query).scalar()
    front = context.services().settings.front
    return found or (netlink.take(row) if front.links else front.tenant_link)
