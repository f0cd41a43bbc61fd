"""How the clusters stand, where there are several: for GET /health, and for metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.effect import clusters
from frontend.effect.clusters import HOME, OFFLINE
from ganeti_ext.metric import Family, Sample

_PREFIX = "ganeti_ext_consumer_cluster"
_SLACK = 300.0  # seconds that a comparison may be late, as of the home cluster (health.py)
_MIB = 1 << 20


class Standing(NamedTuple):
    """One cluster's. Times in seconds since 1970."""

    name: str
    is_home: bool
    offline: bool
    silent: float | None
    compared: float | None
    failed: bool
    found: int
    servers: int
    memory: int
    memory_free: int
    """Of nodes that take servers, both in MiB."""


def read(connection: Connection) -> list[Standing]:
    """None where there is but one cluster."""
    rows = clusters.every(connection)
    if not rows:
        return []
    last = {row["of_cluster"]: row for row in db.rows(connection, select(db.comparison))}
    column, node = db.server.c, db.node.c
    alive = select(column.cluster, func.count()).where(column.deleted.is_(None)).group_by(column.cluster)
    servers = {cluster: int(count) for cluster, count in connection.execute(alive)}
    up = (node.offline.is_(False), node.drained.is_(False), node.vm_capable.is_(True))
    sums = select(node.cluster, func.sum(node.memory), func.sum(node.memory_free)).where(*up).group_by(node.cluster)
    sizes = {cluster: (int(total or 0), int(free or 0)) for cluster, total, free in connection.execute(sums)}
    return [_of(row, last.get(row["id"]), servers.get(row["id"], 0), sizes.get(row["id"], (0, 0))) for row in rows]


def _of(row: dict[str, Any], compared: dict[str, Any] | None, servers: int, size: tuple[int, int]) -> Standing:
    return Standing(
        name=clusters.shown(row),
        is_home=row["id"] == HOME,
        offline=row["state"] == OFFLINE,
        silent=row["silent"],
        compared=compared["time"] if compared is not None else None,
        failed=compared is not None and compared["error"] is not None,
        found=sum(compared["found"].values()) if compared is not None else 0,
        servers=servers,
        memory=size[0],
        memory_free=size[1],
    )


def judged(found: Sequence[Standing], period: float, unknown: float, now: float) -> tuple[bool, str, dict[str, int]]:
    """Whether all are well, in words, and in numbers. What an administrator set offline is as he wants it."""
    asked = [each for each in found if not each.offline]
    silent = sum(each.silent is not None and now - each.silent >= unknown for each in asked)
    bad = sum(not each.is_home and _is_bad(each, period, now) for each in asked)
    numbers = {"clusters": len(found), "offline": len(found) - len(asked), "silent": silent, "not_compared": bad}
    if not found:
        return True, "there is one", numbers
    words = f"{len(found)}, of which {silent} do not answer, and {bad} could not be compared of late"
    return not silent and not bad, words, numbers


def _is_bad(each: Standing, period: float, now: float) -> bool:
    late = bool(period) and each.compared is not None and now - each.compared > 2 * period + _SLACK
    return each.failed or late


def metrics(found: Sequence[Standing]) -> Iterator[Family]:
    """By cluster; none where there is but one."""

    def family(name: str, about: str, values: Mapping[str, float | None]) -> Family:
        samples = [Sample(value, {"cluster": key}) for key, value in values.items() if value is not None]
        return Family(f"{_PREFIX}_{name}", "gauge", about, samples)

    if not found:
        return
    yield family("up", "Whether a cluster answers", {each.name: float(each.silent is None) for each in found})
    yield family("offline", "Whether it was set offline", {each.name: float(each.offline) for each in found})
    yield family("servers", "Servers in it", {each.name: each.servers for each in found})
    sizes = {each.name: float(each.memory * _MIB) for each in found}
    yield family("memory_bytes", "Memory of its nodes that take servers", sizes)
    free = {each.name: float(each.memory_free * _MIB) for each in found}
    yield family("memory_free_bytes", "What was free of it when it was read last", free)
    about = "When the database was last compared with it, in seconds since 1970"
    yield family("comparison_timestamp_seconds", about, {each.name: each.compared for each in found})
    failed = {each.name: float(each.failed) for each in found}
    yield family("comparison_failed", "Whether its last comparison failed", failed)
    yield family("discrepancies", "What its last comparison found", {each.name: each.found for each in found})
