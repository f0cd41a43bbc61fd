"""Which cluster a thing is of, and the remote API of that: the one way from a row to Ganeti (docs/clusters.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.sql.expression import ColumnElement

from frontend.database import db
from frontend.database.vault import Vault
from frontend.effect.remote import RemoteApi
from frontend.settings import Settings
from frontend.web.fault import Conflict, Unavailable
from ganeti_ext.rapi import Rapi

Row = Mapping[str, Any]

HOME = ""
"""The cluster of [rapi], in the column `cluster` of what is of it."""

OPEN, DRAINED, OFFLINE = "open", "drained", "offline"

_EVERY = select(db.cluster).order_by(db.cluster.c.id)


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


def shown(row: Mapping[str, Any]) -> str:
    """What people call a cluster: as Ganeti does."""
    return str(row["name"] or row["id"] or "home")


def is_lost(row: Mapping[str, Any], now: float, patience: float) -> bool:
    """Whether nobody can say how its servers are: it is offline, or has not answered for so many seconds."""
    silent = row["silent"]
    return row["state"] == OFFLINE or (silent is not None and now - silent >= patience)


class Clusters:
    """The remote APIs: that of [rapi], and with an `engine` those of the table `cluster`.

    `shape` is what each is wrapped into before it is handed out. `patience` and `timeout` in seconds.
    """

    def __init__(
        self,
        home: RemoteApi,
        engine: Engine | None = None,
        vault: Vault | None = None,
        settings: Settings | None = None,
        shape: Callable[[RemoteApi], RemoteApi] = lambda rapi: rapi,
    ) -> None:
        self._home, self._engine, self._vault, self._shape = home, engine, vault, shape
        self._settings = settings or Settings()
        self._made: dict[str, tuple[tuple[str, ...], RemoteApi]] = {}

    def rapi(self, cluster: str) -> RemoteApi:
        """Of a cluster by its id; Conflict or Unavailable where nothing can be done there now."""
        return self.known(self._row(cluster), cluster)

    def known(self, row: Row | None, cluster: str = HOME) -> RemoteApi:
        """The same where its row has just been read; None: it has none."""
        if row is not None:
            self._refuse(row)
        return self._shape(self.plain(row, cluster))

    def plain(self, row: Row | None, cluster: str = HOME) -> RemoteApi:
        """Of a row of the table `cluster`, whatever its state; the row of the home cluster may be missing."""
        if cluster == HOME and (row is None or row["id"] == HOME):
            return self._home
        if row is None or self._vault is None:
            raise Conflict(f"It is of cluster {cluster}, which is not known here any more.")
        said = (row["url"], row["user"], row["password"], row["ca"])
        known = self._made.get(row["id"])
        if known is None or known[0] != said:
            known = said, made(self._vault, row, self._settings.clusters.timeout)
            self._made[row["id"]] = known
        return known[1]

    def certificate(self, cluster: str) -> str:
        """What the nodes of a cluster show: PEM, or a file of it."""
        row = self._row(cluster)
        given = row["ca"] if row is not None else None
        return given or self._settings.console.ca or self._settings.rapi.ca

    def _refuse(self, row: Row) -> None:
        if row["state"] == OFFLINE:
            raise Conflict(f"Cluster {shown(row)} is offline: what is there can be read, and not changed.")
        if is_lost(row, time.time(), self._settings.clusters.unknown):
            raise Unavailable(f"Cluster {shown(row)} does not answer now. Try again later.")

    def _row(self, cluster: str) -> Row | None:
        if self._engine is None:
            return None
        with self._engine.connect() as connection:
            return db.row(connection, select(db.cluster).where(db.cluster.c.id == cluster))


def made(vault: Vault, row: Row, timeout: float) -> Rapi:
    """The remote API of a row; ConfigError, or ValueError where its password cannot be read."""
    rapi = Rapi(row["url"], row["user"], vault.unlock(row["password"]), row["ca"], timeout)
    rapi.of_cluster = row["id"]
    return rapi


def every(connection: Connection) -> list[dict[str, Any]]:
    """The rows of all clusters, the home cluster's first; none while that is the only one."""
    return db.rows(connection, _EVERY)
