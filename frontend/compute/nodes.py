"""Ganeti's nodes in the table `node`: what the last comparison with Ganeti found. Who reads does not ask Ganeti."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from frontend.database import db
from frontend.effect.clusters import HOME
from frontend.reconcile.difference import Entry

log = logging.getLogger(__name__)

_ASKED = {"cpus": "ctotal", "memory": "mtotal", "memory_free": "mfree", "disk": "dtotal", "disk_free": "dfree"}

_UNTOLD = frozenset(("cluster", "name", "updated", "memory_free", "disk_free"))


def all_rows(connection: Connection) -> list[dict[str, Any]]:
    """The nodes of all clusters, by name."""
    return db.rows(connection, select(db.node).order_by(db.node.c.name, db.node.c.cluster))


def called(cluster: str, name: str) -> str:
    """A node, as administrators are shown it: NODE, or NODE@CLUSTER of another than the home cluster."""
    return f"{name}@{cluster}" if cluster != HOME else name


def named(host: str) -> tuple[str, str]:
    """The cluster and the name of a node that is called so."""
    name, _, cluster = host.partition("@")
    return cluster, name


def is_up(row: Mapping[str, Any]) -> bool:
    """Whether new servers may come to a node."""
    return bool(row["vm_capable"]) and not row["offline"] and not row["drained"]


def keep(engine: Engine, found: Sequence[Entry], now: float, cluster: str = HOME) -> None:
    """Make the table what Ganeti says of a cluster; a size that a node did not tell this time stays."""
    with engine.connect() as connection:
        known = {row["name"]: row for row in all_rows(connection) if row["cluster"] == cluster}
    wanted = {entry["name"]: {"cluster": cluster, **_columns(entry, known.get(entry["name"]))} for entry in found}
    changed = [row for name, row in wanted.items() if not _is_same(known.get(name), row)]
    gone = known.keys() - wanted.keys()
    if not changed and not gone:
        return
    try:
        with engine.begin() as connection:
            _write(connection, known, ({**row, "updated": now} for row in changed))
            if gone:
                connection.execute(
                    delete(db.node).where(db.node.c.cluster == cluster, db.node.c.name.in_(sorted(gone)))
                )
    except IntegrityError:  # another consumer has just done so
        log.debug("the nodes were kept by another process")


def _write(
    connection: Connection, known: Mapping[str, Mapping[str, Any]], changed: Iterable[Mapping[str, Any]]
) -> None:
    for row in changed:
        name, before = row["name"], known.get(row["name"], {})
        same = (db.node.c.cluster == row["cluster"], db.node.c.name == name)
        write = update(db.node).where(*same) if before else insert(db.node)
        connection.execute(write.values(row))
        # What is free is another at each look.
        words = [f"{key} {row[key]}" for key in row if key not in _UNTOLD and (not before or before[key] != row[key])]
        if words:
            log.info("node %s: %s", called(row["cluster"], name), ", ".join(words))


def _columns(entry: Entry, known: Mapping[str, Any] | None) -> dict[str, Any]:
    row = {name: bool(entry[name]) for name in ("offline", "drained", "vm_capable")}
    sizes = {name: _number(entry.get(field)) for name, field in _ASKED.items()}
    kept = {name: known[name] if known and size is None else size for name, size in sizes.items()}
    return {"name": entry["name"], "zone": entry["group"], **row, **kept}


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _is_same(known: Mapping[str, Any] | None, row: Mapping[str, Any]) -> bool:
    return known is not None and all(known[name] == value for name, value in row.items())
