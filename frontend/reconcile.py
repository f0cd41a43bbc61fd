"""Compares the database with what Ganeti has now and mends the rows: what was missed, lost or done by hand."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from frontend import db, difference, mirror, reading, state
from frontend.difference import Comparison, Difference, Job, Snapshot
from ganeti_ext.errors import ExtError, RapiError

log = logging.getLogger(__name__)

_BULK = {"bulk": 1}
_TABLES = {"server": db.server, "network": db.network}


class RemoteApi(Protocol):
    """ganeti_ext.rapi.Rapi, as far as it is read."""

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Any: ...


class Reconciler:
    """Mends what differs for longer than `grace` seconds. `prefix` is how our instances' names begin."""

    def __init__(
        self, engine: Engine, rapi: RemoteApi, prefix: str, grace: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._engine, self._rapi, self._prefix, self._grace, self._clock = engine, rapi, prefix, grace, clock

    def differences(self) -> list[Difference]:
        """What differs now.

        Raises RapiUnavailable, RapiError or SQLAlchemyError; a database that does not work is one of those.
        """
        with self._engine.begin() as connection:
            servers = db.rows(connection, select(db.server).where(db.server.c.deleted.is_(None)))
            networks = db.rows(connection, select(db.network))
        found = Snapshot(
            jobs=dict(self._jobs(servers)),
            instances={entry["name"]: entry for entry in self._rapi.get("instances", _BULK)},
            networks={entry["uuid"]: entry for entry in self._rapi.get("networks", _BULK)},
        )
        servers += self._deleted(found.instances.keys() - {row["instance"] for row in servers})
        comparison = Comparison(self._prefix, self._clock(), self._grace)
        return [*comparison.networks(networks, found), *comparison.servers(servers, found)]

    def mend(self, found: Iterable[Difference]) -> int:
        """Write the differences; returns how many. A row that changed since it was compared is left for later."""
        return sum(self._mend(each) for each in found)

    def _deleted(self, instances: Iterable[str]) -> list[dict[str, Any]]:
        """Rows of servers that are not deleted after all. They are read last, but a young one is left alone."""
        names = [name for name in instances if reading.server_id(name, self._prefix)]
        with self._engine.begin() as connection:
            query = select(db.server).where(db.server.c.instance.in_(names), db.server.c.deleted.is_not(None))
            return db.rows(connection, query)

    def _jobs(self, servers: Iterable[Mapping[str, Any]]) -> Iterable[tuple[int, Job]]:
        for row in servers:
            if row["deleted"] is None and row["job"] is not None and (row["task"] or row["status"] == state.BUILD):
                yield row["job"], self._job(row["job"])

    def _job(self, number: int) -> Job:
        try:
            return difference.job(self._rapi.get(f"jobs/{number}"))
        except RapiError as err:
            if err.code != 404:
                raise
            return Job(None, creates=False, result="")

    def _mend(self, each: Difference) -> bool:
        try:
            with self._engine.begin() as connection:
                done = self._write(connection, each)
        except IntegrityError:  # a message made the row, or one of its name, meanwhile
            return False
        if done:
            log.info("reconciled %s", each)
        return done

    def _write(self, connection: Connection, each: Difference) -> bool:
        table = _TABLES[each.table]
        if each.before is None:
            return self._make(connection, each)
        where = table.c.id == each.before["id"]
        if mirror.locked(connection, table, where) != each.before:
            return False
        if each.after is None:
            connection.execute(delete(table).where(where))
        else:
            values = mirror.checked(table, {**each.after, "updated": self._clock()})
            connection.execute(update(table).where(where).values(values))
        return True

    def _make(self, connection: Connection, each: Difference) -> bool:
        table, values = _TABLES[each.table], {**(each.after or {}), "updated": self._clock()}
        if mirror.locked(connection, table, table.c.id == values["id"]) is not None:
            return False
        if each.table == "server":
            # The flavor says what was asked for; Ganeti's own numbers stay where there is none.
            values.update(mirror.flavor_size(connection, values["flavor_id"]))
        connection.execute(insert(table).values(mirror.checked(table, values)))
        return True


class Background:
    """Reconciles in a thread of its own, so that messages do not wait for a remote API that does not answer."""

    def __init__(self, reconciler: Reconciler) -> None:
        self._reconciler = reconciler
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Once more, unless the last time still goes on."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="reconcile", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            count = self._reconciler.mend(self._reconciler.differences())
        except (ExtError, SQLAlchemyError) as err:
            log.error("reconcile: %s; again later", str(err).split("\n", 1)[0])
        except (LookupError, TypeError, ValueError, AttributeError) as err:
            log.error("reconcile: an answer that was not expected: %s: %s; again later", type(err).__name__, err)
        else:
            log.info("reconcile: %d rows mended", count)
