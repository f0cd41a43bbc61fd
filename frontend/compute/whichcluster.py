"""Which cluster a new server or volume goes to: what it is made of says where it may, what is free where it does."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from frontend.cluster import placement
from frontend.cluster.placement import NOBODY, Seen
from frontend.compute import zones
from frontend.effect import clusters
from frontend.effect.clusters import HOME
from frontend.web import context
from frontend.web.fault import BadRequest

Row = Mapping[str, Any]


class Limit(NamedTuple):
    """What binds: in words, and the clusters that it leaves."""

    what: str
    among: frozenset[str]


Bound = Limit | tuple[str, Row, bool]
"""Or: what it is called, its row, and whether its storage is what binds, which other clusters may see, too."""


class Picked(NamedTuple):
    cluster: str
    group: str | None
    """The node group there; None: any."""
    row: Row | None = None
    """Of the table `cluster`, if it is there."""


def pick(
    connection: Connection,
    zone: str | None,
    limits: Iterable[Bound],
    *,
    ram: int = 0,
    count: int = 1,
    near: bool = False,
) -> Picked:
    """`limits`: of each thing that it is made of.

    BadRequest where there is no such zone, no room, or where two of these are not to be had in one cluster.
    """
    known = placement.seen(connection, context.project_id())
    place = zones.find(connection, known.rows, zone)
    if not known.rows:
        return Picked(HOME, place.group)
    found = [each if isinstance(each, Limit) else _limit(connection, known, *each) for each in limits]
    if place.cluster is not None:
        found.append(Limit(f"availability zone {zone}", frozenset((place.cluster,))))
    among = _common(found)
    patience = context.services().settings.clusters.unknown
    chosen = placement.choose(
        known, time.time(), patience, among=among, ram=ram, count=count, zone=place.group, near=near
    )
    return Picked(chosen, place.group, known.rows.get(chosen))


def check(connection: Connection, row: Row, *, server: Row) -> None:
    """BadRequest where a server's cluster does not see the image or snapshot of a row."""
    known = placement.seen(connection, context.project_id())
    among = placement.storing(known, clusters.of(row), placement.stored(connection, row["id"]))
    if among is not None and clusters.of(server) not in among:
        raise BadRequest(f"{row['id']} is in the storage of another cluster than server {server['id']}.")


def same(what: str, row: Row, server: Row) -> None:
    """BadRequest where a server is to get what is of another cluster."""
    if clusters.of(row) != clusters.of(server):
        raise BadRequest(f"{what} {row['id']} is of another cluster than server {server['id']}.")


def _limit(connection: Connection, known: Seen, what: str, row: Row, is_stored: bool) -> Limit:
    cluster = clusters.of(row)
    also = placement.stored(connection, row["id"]) if is_stored else ()
    among = placement.storing(known, cluster, also) if is_stored else None
    return Limit(what, among or frozenset((cluster,)))


def _common(limits: Sequence[Limit]) -> frozenset[str] | None:
    common: frozenset[str] | None = None
    for number, each in enumerate(limits):
        left = each.among if common is None else common & each.among
        if not left:
            others = ", ".join(other.what for other in limits[:number])
            raise BadRequest(f"{NOBODY} {each.what} is of another cluster than {others}.")
        common = left
    return common
