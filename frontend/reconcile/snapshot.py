"""What a comparison reads: the database, then Ganeti, in the order that difference.py goes by."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import select, true
from sqlalchemy.engine import Connection, Engine

from frontend.compute import wished
from frontend.database import db
from frontend.effect import clusters, owed
from frontend.reconcile import difference, difference_volume
from frontend.reconcile.difference import Job, Known, Snapshot
from frontend.update import reading, state
from ganeti_ext import tags

# luxid may show the configuration as it was 0.25 s ago (ConfigReader.hs, Constants.hs confdConfigReloadRatelimit).
LAG = 0.5
# The status of an instance whose node does not answer, unless that is marked offline.
SILENT = "ERROR_nodedown"
_CHUNK = 500  # values in one condition, of SQL or of Ganeti's query language

_JOB = ("id", "status", "summary", "opstatus", "opresult", "opend")
_INSTANCE = (
    *("name", "uuid", "ctime", "pnode", "admin_state", "oper_state", "status", "tags", "beparams"),
    *("disk.names", "disk.uuids", "disk.sizes"),
    *("nic.networks", "nic.networks.names", "nic.ips", "nic.macs", "nic.uuids", "nic.names"),
)
_NETWORK = (
    *("uuid", "name", "network", "gateway", "network6", "gateway6", "tags"),
    *("map", "external_reservations", "group_list"),
)
_NODE = ("name", "group", "offline", "drained", "vm_capable")
_NODE_ASKED = ("ctotal", "mtotal")  # what Ganeti asks the node itself for
_UNFINISHED = ("queued", "waiting", "running", "canceling")


class RemoteApi(Protocol):
    """ganeti_ext.rapi.Rapi, as far as it is read."""

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Any: ...
    def query(self, what: str, fields: Sequence[str], wanted: Sequence[Any] | None = None) -> list[dict[str, Any]]: ...


class Reader:
    """Reads both sides. Raises RapiUnavailable, RapiError or SQLAlchemyError."""

    def __init__(
        self, engine: Engine, rapi: RemoteApi, prefix: str, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._engine, self._rapi, self._prefix, self._pause = engine, rapi, prefix, pause
        self._cluster = clusters.asked(rapi)

    def read(self) -> tuple[Known, Snapshot]:
        known, found = self._once(())
        deleted, volumes = self._deleted(known, found), self._deleted_volumes(known, found)
        if deleted or volumes:
            # They may have been deleted since Ganeti was asked: now they are read first, as all rows.
            known, found = self._once(deleted, volumes)
        return known, found

    def _once(self, deleted: Sequence[str], deleted_volumes: Sequence[str] = ()) -> tuple[Known, Snapshot]:
        known = self._known(deleted, deleted_volumes)
        jobs = self._jobs(known)
        info = self._rapi.get("info")
        cluster = str(info["uuid"])
        self._pause(LAG)
        networks = self._networks()
        instances = {entry["name"]: entry for entry in self._rapi.query("instance", _INSTANCE)}
        later = self._networks()
        groups = [entry["name"] for entry in self._rapi.query("group", ("name", "node_cnt")) if entry["node_cnt"]]
        nodes = self._nodes(instances)
        creating = self._creating(known, instances)
        said = info.get("tags") or ()
        return known, Snapshot(cluster, jobs, instances, networks, later, groups, creating, nodes, said)

    def _known(self, deleted: Sequence[str], deleted_volumes: Sequence[str]) -> Known:
        server, volume, mine = db.server.c, db.volume.c, self._cluster
        with self._engine.begin() as connection:
            servers = db.rows(connection, select(db.server).where(server.deleted.is_(None), server.cluster == mine))
            servers += rows_in(connection, server.id, deleted, server.deleted.is_not(None))
            volumes = db.rows(connection, select(db.volume).where(volume.deleted.is_(None), volume.cluster == mine))
            volumes += rows_in(connection, volume.id, deleted_volumes, volume.deleted.is_not(None))
            networks = db.rows(connection, select(db.network).where(db.network.c.cluster == mine))
            owners = reading.Owners(_names(connection, db.project), _names(connection, db.user))
            promised = owed.waiting(connection)
            unended = (db.action.c.ended.is_(None), clusters.actions(mine))
            actions = db.rows(connection, select(db.action).where(*unended))
            offered = set(connection.execute(select(db.volume_transfer.c.volume_id)).scalars())
            ports = {row["id"]: row for row in db.rows(connection, select(db.port))}
        return Known(servers, networks, owners, promised, actions, volumes=volumes, offered=offered, ports=ports)

    def _deleted(self, known: Known, found: Snapshot) -> list[str]:
        """Ids of deleted rows that stand for instances which are there, or keep their names from others."""
        rows = {row["id"]: row["instance"] for row in known.servers}
        wanted = {ident: name for ident, name in self._servers(found.instances) if rows.get(ident) != name}
        server = db.server.c
        here = server.cluster == self._cluster
        places = ((server.id, list(wanted), true()), (server.instance, list(wanted.values()), here))
        with self._engine.begin() as connection:
            return [
                ident
                for column, values, where in places
                for chunk in _chunks(values)
                for ident in connection.execute(
                    select(server.id).where(column.in_(chunk), server.deleted.is_not(None), where)
                ).scalars()
            ]

    def _deleted_volumes(self, known: Known, found: Snapshot) -> list[str]:
        """Ids of deleted rows whose holders are there."""
        wanted = sorted(set(self._volumes(found.instances)) - {row["id"] for row in known.volumes})
        with self._engine.begin() as connection:
            column = db.volume.c
            return [row["id"] for row in rows_in(connection, column.id, wanted, column.deleted.is_not(None))]

    def _volumes(self, instances: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
        """The volumes whose holders are among these."""
        for name, instance in instances.items():
            ident = reading.volume_id(name, self._prefix, tags.decode(instance["tags"]))
            if ident is not None:
                yield ident

    def _servers(self, instances: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
        """Servers' ids and the names of their instances."""
        for name, instance in instances.items():
            ident = reading.server_id(name, self._prefix, tags.decode(instance["tags"]), instance["uuid"])
            if ident is not None:
                yield ident, name

    def _networks(self) -> dict[str, dict[str, Any]]:
        return {entry["uuid"]: entry for entry in self._rapi.query("network", _NETWORK)}

    def _nodes(self, instances: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
        """While one of them is silent none is asked, as that would take seconds more."""
        silent = any(entry["status"] == SILENT for entry in instances.values())
        return self._rapi.query("node", _NODE if silent else _NODE + _NODE_ASKED)

    def _jobs(self, known: Known) -> dict[int, Job]:
        """The jobs of rows that wait for one."""
        numbers = {row["job"] for row in known.actions} | difference_volume.jobs(known.volumes)
        for row in known.servers:
            if row["deleted"] is None:
                numbers |= wished.jobs(row["wished"])
                if row["job"] is not None and (row["task"] or row["status"] == state.BUILD):
                    numbers.add(row["job"])
        found = {}
        for chunk in _chunks(sorted(numbers)):
            wanted = ["|", *(["=", "id", number] for number in chunk)]
            found.update({entry["id"]: difference.job(entry) for entry in self._rapi.query("job", _JOB, wanted)})
        return found

    def _creating(self, known: Known, instances: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
        """Instances that are being made, with their jobs. To ask for these costs Ganeti a look into each job of
        its queue, so it is done when there are unknown servers only."""
        rows = {row["id"] for row in (*known.servers, *known.volumes)}
        if all(ident in rows for ident in (*dict(self._servers(instances)), *self._volumes(instances))):
            return {}
        wanted = ["|", *(["=", "status", status] for status in _UNFINISHED)]
        jobs = self._rapi.query("job", ("id", "summary"), wanted)
        made = ((difference.created_instance(text), entry["id"]) for entry in jobs for text in entry["summary"])
        return {name: job for name, job in made if name is not None}


def rows_in(connection: Connection, column: Any, values: Sequence[Any], *conditions: Any) -> list[dict[str, Any]]:
    """Rows of a table whose column has one of many values."""
    found = []
    for chunk in _chunks(values):
        found += db.rows(connection, select(column.table).where(column.in_(chunk), *conditions))
    return found


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


def _names(connection: Connection, table: Any) -> dict[str, str]:
    return {row.name: row.id for row in connection.execute(select(table.c.name, table.c.id))}
