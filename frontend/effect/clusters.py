"""Which cluster a thing is of, and the remote API of that: the one way from a row to Ganeti (docs/clusters.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, select

from frontend.database import db
from frontend.effect.remote import RemoteApi

HOME = ""
"""The cluster of [rapi], in the column `cluster` of what is of it."""


def of(row: Mapping[str, Any]) -> str:
    """The cluster that a row's object is of."""
    found: str | None = row.get("cluster")
    return found or HOME


def asked(rapi: object) -> str:
    """The cluster whose remote API it is."""
    found: str = getattr(rapi, "of_cluster", HOME)
    return found


def actions(cluster: str) -> ColumnElement[bool]:
    """The rows of the table `action` that are of a cluster: they have the name that Ganeti's messages have."""
    table, name = db.cluster.c, db.action.c.cluster
    if cluster == HOME:
        return name.not_in(select(table.name).where(table.id != HOME, table.name.is_not(None)))
    return name == select(table.name).where(table.id == cluster).scalar_subquery()


class Clusters:
    """The remote APIs. `shape` is what each is wrapped into before it is handed out."""

    def __init__(self, home: RemoteApi, shape: Callable[[RemoteApi], RemoteApi] = lambda rapi: rapi) -> None:
        self._home = shape(home)

    def rapi(self, _cluster: str) -> RemoteApi:
        """Of a cluster by its id."""
        return self._home
