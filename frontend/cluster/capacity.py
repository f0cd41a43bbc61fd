"""What is free in each cluster, and whether it answers: read by a timer, kept in the tables `cluster` and `node`.

No request waits for it: who places a server goes by what was read last. Each cluster is read in a thread of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from frontend.compute import nodes
from frontend.database import db
from frontend.effect import clusters
from frontend.effect.remote import RemoteApi
from frontend.update import reading, state
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

_NODE = ("name", "group", "offline", "drained", "vm_capable", "ctotal", "mtotal", "mfree", "dtotal", "dfree")
_AGAIN = 5.0  # seconds after which one that does not answer is asked again


class Capacity:
    """Of one cluster, that has a row. `tick` is to be called once a second.

    `returned` is called when the cluster answers again, or is not offline any more, after its servers were lost.
    """

    def __init__(
        self,
        engine: Engine,
        rapi: RemoteApi,
        seconds: float,
        unknown: float,
        returned: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine, self._rapi, self._cluster, self._clock = engine, rapi, clusters.asked(rapi), clock
        self._seconds, self._unknown, self._returned = seconds, unknown, returned
        self._thread: threading.Thread | None = None
        self._due = self._look = 0.0
        self._lost: bool | None = None
        self._trouble = ""

    def tick(self, *, ask: bool = True) -> None:
        """Read, if it is due (`ask`: and wanted), in a thread; look what has become of the servers."""
        now = self._clock()
        if now >= self._look:
            self._look = now + _AGAIN
            try:
                self.judge()
            except SQLAlchemyError as err:  # the log says it: nothing can be applied, either
                log.debug("cluster %s: %s", self._cluster, str(err).split("\n", 1)[0])
        if ask and now >= self._due and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._run, name=f"capacity {self._cluster}", daemon=True)
            self._thread.start()

    def read(self) -> bool:
        """Ask once and keep the answer; whether there was one. SQLAlchemyError when the database does not work."""
        try:
            info = self._rapi.get("info")
            name, uuid = str(info["name"]), str(info["uuid"])
            found = self._rapi.query("node", _NODE)
        except (ExtError, LookupError, TypeError) as err:
            self._silent(f"{type(err).__name__}: {err}" if not isinstance(err, ExtError) else str(err))
            return False
        self._heard(name, uuid, found)
        return True

    def judge(self) -> None:
        """Mark the servers of a cluster that is lost; a comparison finds out how they are when it is back."""
        now = self._clock()
        with self._engine.begin() as connection:
            row = db.row(connection, select(db.cluster).where(db.cluster.c.id == self._cluster))
            lost = row is not None and clusters.is_lost(row, now, self._unknown)
            marked = _mark(connection, self._cluster, now) if lost else 0
        if marked:
            log.error("cluster %s: nobody knows how its servers are, %d", clusters.shown(row or {}), marked)
        if self._lost and not lost:
            log.info("cluster %s: is back", clusters.shown(row or {"name": None, "id": self._cluster}))
            self._returned()
        self._lost = lost

    def _run(self) -> None:
        answered = False
        try:
            answered = self.read()
        except SQLAlchemyError as err:
            log.error("database: %s", str(err).split("\n", 1)[0])
        self._due = self._clock() + (self._seconds if answered else min(self._seconds, _AGAIN))

    def _heard(self, name: str, uuid: str, found: list[dict[str, Any]]) -> None:
        now = self._clock()
        nodes.keep(self._engine, found, now, self._cluster)
        column = db.cluster.c
        with self._engine.begin() as connection:
            row = db.row(connection, select(db.cluster).where(column.id == self._cluster))
            if row is None:
                return
            if row["uuid"] not in (None, uuid):
                fault = f"its UUID was {row['uuid']}, and is {uuid}: it is another cluster"
                self._complain(fault)
                _keep(connection, self._cluster, fault=fault, silent=row["silent"] or now)
                return
            _keep(connection, self._cluster, name=name, uuid=uuid, seen=now, told=now, silent=None, fault=None)
        if self._trouble:
            log.info("cluster %s: answers again", name)
        self._trouble = ""

    def _silent(self, fault: str) -> None:
        self._complain(fault)
        now, column = self._clock(), db.cluster.c
        with self._engine.begin() as connection:
            _keep(connection, self._cluster, fault=fault)
            never = (column.id == self._cluster, column.silent.is_(None))
            connection.execute(update(db.cluster).where(*never).values(silent=now))

    def _complain(self, fault: str) -> None:
        if fault != self._trouble:  # once for an outage, however long
            log.error("cluster %s: %s", self._cluster or "of [rapi]", fault)
        self._trouble = fault


def _keep(connection: Any, cluster: str, **values: Any) -> None:
    connection.execute(update(db.cluster).where(db.cluster.c.id == cluster).values(values))


def _mark(connection: Any, cluster: str, now: float) -> int:
    """How many servers are unknown from now on: their power is what Ganeti would have to tell."""
    column = db.server.c
    known = (column.cluster == cluster, column.deleted.is_(None), column.power.in_((state.ACTIVE, state.SHUTOFF)))
    rows = db.rows(connection, select(db.server).where(*known).order_by(column.id).with_for_update())
    for row in rows:
        values: Mapping[str, Any] = {"power": reading.UNKNOWN, "updated": now}
        shown = state.status({**row, **values})
        connection.execute(update(db.server).where(column.id == row["id"]).values(status=shown, **values))
    return len(rows)
