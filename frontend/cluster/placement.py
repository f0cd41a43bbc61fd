"""Which cluster something new goes to, by what the database knows: Ganeti is not asked. Pure, but for `seen`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.engine import Connection

from frontend.compute import nodes
from frontend.database import db
from frontend.effect import clusters
from frontend.effect.clusters import HOME, OPEN
from frontend.update import state
from frontend.web.fault import BadRequest, Unavailable

Row = Mapping[str, Any]

NOBODY = "No valid host was found."


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to choose from. No `rows`: the home cluster is the only one, and there is nothing to choose."""

    rows: Mapping[str, Row] = field(default_factory=dict)
    """Of the table `cluster`, by id."""
    nodes: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    """Those that take servers, by cluster."""
    promised: Mapping[str, int] = field(default_factory=dict)
    """MiB of servers that were made since their cluster told what is free."""
    pins: frozenset[str] = frozenset()
    """Clusters that the project is pinned to; none: it may go anywhere."""
    has: Mapping[str, int] = field(default_factory=dict)
    """How many servers and networks the project has, by cluster."""


def seen(connection: Connection, project: str) -> Seen:
    rows = {row["id"]: row for row in clusters.every(connection)}
    if not rows:
        return Seen()
    found: dict[str, tuple[Row, ...]] = {}
    for node in nodes.all_rows(connection):
        if nodes.is_up(node):
            found[node["cluster"]] = (*found.get(node["cluster"], ()), node)
    server, pin, net = db.server.c, db.cluster_pin.c, db.tenant_network.c
    alive = select(server.cluster, func.count().label("count")).where(server.deleted.is_(None))
    has = {
        row.cluster: int(row[1])
        for row in connection.execute(alive.where(server.project_id == project).group_by(server.cluster))
    }
    bound = select(net.cluster).where(net.project_id == project, net.cluster.is_not(None))
    for cluster in connection.execute(bound).scalars():
        has[cluster] = has.get(cluster, 0) + 1
    pins = frozenset(connection.execute(select(pin.cluster).where(pin.project_id == project)).scalars())
    return Seen(rows, found, _promised(connection, rows), pins, has)


def _promised(connection: Connection, rows: Mapping[str, Row]) -> dict[str, int]:
    """What is still being built has taken no memory yet, or not all of it, when its node was asked."""
    column = db.server.c
    found = {}
    for ident, row in rows.items():
        late = or_(column.created > (row["told"] or 0.0), column.status == state.BUILD)
        new = (column.cluster == ident, column.deleted.is_(None), late)
        found[ident] = int(connection.execute(select(func.sum(column.ram)).where(*new)).scalar() or 0)
    return found


def choose(
    known: Seen,
    now: float,
    patience: float,
    *,
    among: Collection[str] | None = None,
    ram: int = 0,
    count: int = 1,
    zone: str | None = None,
    near: bool = False,
) -> str:
    """The cluster for `count` servers of `ram` MiB each, or for what needs no memory.

    `among`: those that what it is made of lets it go to; None: any. `zone`: the node group that is wanted. `near`:
    rather where the project has something already, for what servers are to use later. BadRequest where none
    has room, as Nova has it; Unavailable where those that could have do not answer.
    """
    if not known.rows:
        return HOME
    wanted = [row for row in known.rows.values() if among is None or row["id"] in among]
    if known.pins:
        wanted = [row for row in wanted if row["id"] in known.pins]
    opened = [row for row in wanted if row["state"] == OPEN]
    there = [row for row in opened if not clusters.is_lost(row, now, patience)]
    if opened and not there:
        names = ", ".join(map(clusters.shown, opened))
        raise Unavailable(f"{NOBODY} Cluster {names} does not answer now. Try again later.")
    fitting = [row for row in there if fits(known, row, ram, count, zone)]
    if not fitting:
        raise BadRequest(f"{NOBODY} {_why(known, wanted, opened)}")
    return str(
        max(fitting, key=lambda row: (near and known.has.get(row["id"], 0), score(known, row), row["id"] == HOME))["id"]
    )


def fits(known: Seen, row: Row, ram: int, count: int, zone: str | None) -> bool:
    """Whether so many servers find room on a cluster's nodes, one by one. What no node has told yet counts as room."""
    mine = [node for node in known.nodes.get(row["id"], ()) if zone in (None, node["zone"])]
    if any(node["memory_free"] is None for node in mine):
        return True
    if not ram:
        return bool(mine) or row["told"] is None
    free = _less((node["memory_free"] for node in mine), known.promised.get(row["id"], 0))
    return row["told"] is None or sum(each // ram for each in free) >= count


def _less(free: Iterable[int], promised: int) -> list[int]:
    """What is left when what was promised comes to where most is free, as an allocator would have it."""
    left = sorted(free, reverse=True)
    for number, each in enumerate(left):
        taken = min(each, promised)
        left[number], promised = each - taken, promised - taken
    return left


def score(known: Seen, row: Row) -> float:
    """Free MiB of all nodes that take servers, by the cluster's weight."""
    free = sum(node["memory_free"] or 0 for node in known.nodes.get(row["id"], ()))
    return float(max(0, free - known.promised.get(row["id"], 0)) * row["weight"])


def _why(known: Seen, wanted: Collection[Row], opened: Collection[Row]) -> str:
    if opened:
        return "There are not enough hosts available."
    if wanted:
        return f"Cluster {', '.join(map(clusters.shown, wanted))} takes no new servers."
    return "The project is pinned to other clusters." if known.pins else "There is no such cluster."


def storing(known: Seen, cluster: str, also: Collection[str] = ()) -> frozenset[str] | None:
    """The clusters that see the images and stores of one; None: there is but one cluster.

    `also`: other storages that have it (see `stored`).
    """
    if not known.rows:
        return None
    row = known.rows.get(cluster)
    store = row["storage"] if row is not None else HOME
    return frozenset(ident for ident, each in known.rows.items() if each["storage"] in (store, *also))


def stored(connection: Connection, image_id: str) -> frozenset[str]:
    """The storages into which an administrator has put an image besides its own."""
    column = db.cluster_image.c
    return frozenset(connection.execute(select(column.storage).where(column.image_id == image_id)).scalars())
