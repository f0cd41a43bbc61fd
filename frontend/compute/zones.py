"""Availability zones: Ganeti's node groups, which an administrator names; and where there are several clusters, these.

The groups of the home cluster are called as they are, those of another CLUSTER/GROUP; CLUSTER is any of its groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Response, jsonify
from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.compute import nodes
from frontend.database import db
from frontend.effect import clusters
from frontend.effect.clusters import HOME
from frontend.web import context
from frontend.web.fault import BadRequest
from frontend.web.view import stamp

_ANY = "nova"  # what clients call the zone of clouds that have but one, and mean nothing by
_SERVICE = "nova-compute"

Row = Mapping[str, Any]


class Unknown(BadRequest):
    """There is no such zone."""


class Found(NamedTuple):
    """What a zone's name means; None: any."""

    cluster: str | None
    group: str | None


_ANYWHERE = Found(None, None)


def of(connection: Connection) -> dict[tuple[str, str], str]:
    """The zone of each node, by its cluster and name."""
    column = db.node.c
    found = connection.execute(select(column.cluster, column.name, column.zone))
    return {(row.cluster, row.name): _called(row.cluster, row.zone) for row in found}


def find(connection: Connection, known: Mapping[str, Row], name: str | None) -> Found:
    """What a zone means, of clusters by their ids (none: there is but one). BadRequest when there is no such zone."""
    if name in (None, "", _ANY):
        return _ANYWHERE
    for row in nodes.all_rows(connection):
        if _called(row["cluster"], row["zone"]) == name:
            return Found(row["cluster"], row["zone"])
    for cluster, each in known.items():
        if clusters.shown(each) == name:
            return Found(cluster, None)
    raise Unknown(f"The requested availability zone is not available: there is no {str(name)[:80]!r}.")


def _called(cluster: str, group: str) -> str:
    return f"{cluster}/{group}" if cluster != HOME else group


def list_short() -> Response:
    """GET /os-availability-zone: a zone is available while one node of it takes servers."""
    return jsonify({"availabilityZoneInfo": [_shown(name, rows) for name, rows in _zones().items()]})


def list_detail() -> Response:
    """GET /os-availability-zone/detail, for administrators: with the nodes."""
    found = [{**_shown(name, rows), "hosts": _hosts(rows)} for name, rows in _zones().items()]
    return jsonify({"availabilityZoneInfo": found})


def _zones() -> dict[str, list[Row]]:
    with context.database() as connection:
        rows, known = nodes.all_rows(connection), clusters.every(connection)
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(_called(row["cluster"], row["zone"]), []).append(row)
    for cluster in known:
        mine: list[Row] = [row for row in rows if row["cluster"] == cluster["id"]]
        # What takes no servers has no node that does.
        found.setdefault(clusters.shown(cluster), mine if cluster["state"] == clusters.OPEN else [])
    return dict(sorted(found.items()))


def _shown(name: str, rows: list[Row]) -> dict[str, Any]:
    return {"zoneName": name, "zoneState": {"available": any(map(nodes.is_up, rows))}, "hosts": None}


def _hosts(rows: list[Row]) -> dict[str, Any]:
    return {
        nodes.called(row["cluster"], row["name"]): {
            _SERVICE: {
                "active": nodes.is_up(row),
                "available": not row["offline"],
                "updated_at": stamp(row["updated"]).removesuffix("Z") + ".000000",
            }
        }
        for row in rows
    }
