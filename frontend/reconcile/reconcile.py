"""Compares the database with what Ganeti has now and mends the rows: what was missed, lost or done by hand."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from frontend.compute import nodes
from frontend.database import db
from frontend.effect import clusters, owed
from frontend.image import savedimage
from frontend.reconcile import difference_connect, difference_owngroup, difference_saved, difference_tag, kinds
from frontend.reconcile.difference import Difference, Entry, Row, Snapshot
from frontend.reconcile.difference_action import unended
from frontend.reconcile.difference_address import addresses
from frontend.reconcile.difference_group import not_apart
from frontend.reconcile.difference_network import networks
from frontend.reconcile.difference_port import ports
from frontend.reconcile.difference_server import Servers
from frontend.reconcile.difference_volume import Volumes
from frontend.reconcile.mend import Mender
from frontend.reconcile.schedule import AGAIN, TIMER
from frontend.reconcile.snapshot import SILENT, Reader, RemoteApi
from frontend.update.mirror import Mirror
from frontend.update.rows import Rows
from frontend.usage import audit
from ganeti_ext import event
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

# After a comparison that mended something, or that found a row which changed meanwhile: messages of before may
# have been on their way, and bring an older state for a moment. More seldom where it goes on finding something.
_ONCE_MORE, _SELDOM = 2.0, 60.0
_TRY_AGAIN = 2.0
_BY_ITSELF = (AGAIN, TIMER)
# The messages of a job that has ended may wait in a long backlog, and bring more than a comparison can.
_AWAITED = 10.0
# While a node does not answer, nobody knows what its instances do, and no job tells when it is back.
_NODE_SILENT = 3.0
_LOGGED = 20  # lines of one comparison
_TOLD = ("action", difference_saved.KIND)  # that messages tell of
_OWN = (difference_saved.KIND, difference_tag.KIND, difference_connect.KIND, *difference_owngroup.KINDS)


class Comparison(NamedTuple):
    """What one comparison found."""

    found: list[Difference]
    busy: list[Row]
    """Servers and volumes that were left alone while their jobs go on."""
    cluster: str
    silent: bool
    """A node does not answer."""
    nodes: Sequence[Entry] = ()
    groups: Collection[str] = ()
    """The ids of security groups that were left alone, as the front itself has something to tell of them."""


class Report(NamedTuple):
    """How a comparison that mends ended."""

    found: dict[str, int]
    mended: int
    differs: bool
    """Something differed that is mended."""
    silent: float | None
    """A node does not answer: in how many seconds it is to be asked again."""
    busy: frozenset[str]
    """The ids of what was left alone: Comparison.busy and Comparison.groups."""


class Reconciler:
    """Of one cluster. `prefix` is how our instances' names begin.

    Its methods raise RapiUnavailable, RapiError or SQLAlchemyError.
    """

    def __init__(
        self,
        engine: Engine,
        rapi: RemoteApi,
        prefix: str,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine, self._rapi, self._prefix, self._clock = engine, rapi, prefix, clock
        self._reader = Reader(engine, rapi, prefix, pause)
        self._pause = pause
        self._cluster = clusters.asked(rapi)
        self._mender = Mender(engine, clock, self._cluster)
        self._mirror = Mirror(engine, prefix, clock)
        self._ended: dict[tuple[int, int], float] = {}
        """Since when opcodes, by job and place in it, have been seen to lack their end."""

    def compare(self) -> Comparison:
        saved = difference_saved.differences(self._engine, self._rapi, self._clock())
        known, found = self._reader.read()
        servers = Servers(known, found, self._prefix, self._clock())
        volumes = Volumes(known, found, self._prefix, self._clock())
        differences = [
            *(*networks(known, found), *servers.differences(), *volumes.differences(), *unended(known, found)),
            *(*addresses(found), *not_apart(known, found), *ports(known, found, self._prefix, self._clock())),
            *saved,
            *difference_tag.differences(self._engine, self._rapi, found.instances, self._pause),
            *difference_connect.connections(found),
        ]
        groups = difference_owngroup.read(self._engine, self._cluster)
        differences += difference_owngroup.differences(groups, self._rapi, found.tags)
        differences += difference_owngroup.outside(self._engine, known.servers)
        busy, left = [*servers.busy, *volumes.busy], groups.owed.values()
        return Comparison(differences, busy, found.cluster, _is_silent(found), found.nodes, left)

    def mend(self, found: Iterable[Difference], wanted: Collection[str] = kinds.MENDABLE) -> list[Difference]:
        """Write the differences of these kinds; returns those that were written.

        A row that changed since it was compared is left for the next time.
        """
        chosen = [each for each in found if each.kind in wanted]
        done = self._mender.mend(chosen)
        for each in chosen:
            if each.kind == "action":
                self._mirror.take(event.encode(each.after or {}))
                done.append(each)
            elif each.kind in _OWN and self._write(each):
                done.append(each)
        for each in done[:_LOGGED]:
            log.info("reconciled %s", each)
        if len(done) > _LOGGED:
            log.info("reconciled %d more", len(done) - _LOGGED)
        return done

    def _write(self, found: Difference) -> bool:
        """What is no row of its own; whether it was to be written still."""
        if found.kind == difference_tag.KIND:
            return difference_tag.promise(self._engine, found, self._clock(), self._cluster)
        if found.kind == difference_connect.KIND:
            return difference_connect.promise(self._engine, found, self._clock(), self._cluster)
        if found.kind in difference_owngroup.KINDS:
            return difference_owngroup.write(self._engine, found, self._cluster)
        with self._engine.begin() as connection:
            rows = Rows(connection, self._prefix, self._clock())
            changed = savedimage.settle(rows, *difference_saved.verdict(found))
        for call in rows.after:
            call()
        return changed

    def _promise(self, found: Iterable[Difference]) -> None:
        """What is done in Ganeti, not in the database: disks that are attached to nothing go back to their holders."""
        lost = [str((each.after or {})["id"]) for each in found if each.kind == "volume-lost"]
        if lost:
            with self._engine.begin() as connection:
                for ident in lost:
                    owed.promise_give(connection, ident, self._clock(), self._cluster)

    def run(self, trigger: str) -> Report:
        """Compare, mend, and keep what was found in the table `comparison`; that, too, when it fails."""
        began = self._clock()
        try:
            seen = self.compare()
            self.check_cluster(seen.cluster)
            awaited = self._awaited(seen.found)
            seen = seen._replace(found=[each for each in seen.found if each not in awaited])
            mended = self.mend(seen.found)
            self._promise(seen.found)
            audit.run(self._engine, self._clock())
            nodes.keep(self._engine, seen.nodes, self._clock(), self._cluster)
        except (ExtError, SQLAlchemyError) as err:
            self._keep(began, trigger, {}, 0, error=_first_line(err))
            raise
        found = Counter(each.kind for each in seen.found)
        self._keep(began, trigger, found, len(mended), cluster=seen.cluster)
        # To ask for a node that is gone takes luxid up to 5 s (constants.RPC_CONNECT_TIMEOUT): then half of the time.
        silent = max(_NODE_SILENT, self._clock() - began) if seen.silent else None
        differs = bool(awaited) or not kinds.MENDABLE.isdisjoint(found)
        left = frozenset(seen.groups).union(row["id"] for row in seen.busy)
        return Report(dict(found), len(mended), differs, silent, left)

    def _awaited(self, found: Iterable[Difference]) -> list[Difference]:
        """Ends of jobs that were first missed so lately that their messages may still come."""
        now, before = self._clock(), self._ended
        rows = [(each, each.before) for each in found if each.kind in _TOLD and each.before]
        self._ended = {(row["job"], row["op_index"]): now for _, row in rows}
        self._ended.update((key, since) for key, since in before.items() if key in self._ended)
        return [each for each, row in rows if now - self._ended[row["job"], row["op_index"]] < _AWAITED]

    def check_cluster(self, cluster: str) -> None:
        """ExtError when the database was last compared with another cluster: nothing of it would be right."""
        known = self._last_cluster()
        if known and known != cluster:
            raise ExtError(
                f"the database is of the cluster with UUID {known}, and Ganeti's is {cluster}; if that is right, "
                "type: ganeti-ext-manage reconcile --fix all --other-cluster"
            )

    def keep(self, trigger: str, seen: Comparison, mended: int, began: float) -> None:
        """Into the table `comparison`, as `run` does."""
        self._keep(began, trigger, Counter(each.kind for each in seen.found), mended, cluster=seen.cluster)

    def instances(self) -> dict[str, str]:
        """The instances' names of all servers that are not deleted, by the servers' ids."""
        mine = (db.server.c.cluster == self._cluster, db.server.c.deleted.is_(None))
        query = select(db.server.c.id, db.server.c.instance).where(*mine)
        with self._engine.begin() as connection:
            return {row.id: row.instance for row in connection.execute(query)}

    def _last_cluster(self) -> str | None:
        with self._engine.begin() as connection:
            return connection.execute(
                select(db.comparison.c.cluster).where(db.comparison.c.of_cluster == self._cluster)
            ).scalar()

    def _keep(
        self,
        began: float,
        trigger: str,
        found: dict[str, int],
        mended: int,
        cluster: str = "",
        error: str | None = None,
    ) -> None:
        row = {"time": began, "seconds": max(0.0, self._clock() - began), "found": dict(found), "mended": mended,
               "trigger": trigger, "error": error}  # fmt: skip
        if cluster:
            row["cluster"] = cluster
        try:
            with self._engine.begin() as connection:
                column = db.comparison.c
                if not connection.execute(
                    update(db.comparison).where(column.of_cluster == self._cluster).values(row)
                ).rowcount:
                    last = connection.execute(select(func.max(column.id))).scalar() or 0
                    first = {"id": last + 1, "of_cluster": self._cluster}
                    connection.execute(insert(db.comparison).values(**first, **row))
        except IntegrityError:  # another consumer's first one
            log.debug("the comparison was kept by another process")


class Background:
    """Reconciles in a thread of its own, so that messages do not wait for a remote API that does not answer.

    `name` is the cluster's, for the log; empty: of the home cluster.
    """

    def __init__(self, reconciler: Reconciler, name: str = "") -> None:
        self._reconciler, self._name = reconciler, f"reconcile {name}".rstrip()
        self._thread: threading.Thread | None = None
        self._complaint = ""
        self._repeated = 0  # times on end that something differed, or may
        self._left: frozenset[str] = frozenset()
        """What was busy when something had been lost: the end of its job need not tell of what that was."""
        self.again: float | None = None
        """When the last one wants to be repeated: seconds after its end; None: as ever."""

    @property
    def is_busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, trigger: str) -> None:
        """Once more; not while the last time still goes on."""
        self.again = None
        self._thread = threading.Thread(target=self._run, args=(trigger,), name=self._name, daemon=True)
        self._thread.start()

    def _run(self, trigger: str) -> None:
        try:
            report = self._reconciler.run(trigger)
        except (ExtError, SQLAlchemyError) as err:
            self._complain(_first_line(err))
        except (LookupError, TypeError, ValueError, AttributeError) as err:
            self._complain(f"an answer that was not expected: {type(err).__name__}: {err}")
        else:
            self._complaint = ""
            self._left = report.busy if trigger not in _BY_ITSELF else self._left & report.busy
            differs = report.differs or bool(self._left)
            self._repeated = self._repeated + 1 if differs else 0
            once_more = min(_ONCE_MORE * 2 ** (self._repeated - 1), _SELDOM) if differs else None
            self.again = min((pause for pause in (once_more, report.silent) if pause is not None), default=None)
            told = ", ".join(f"{kind} {count}" for kind, count in sorted(report.found.items()))
            log.info("%s (%s): %s, %d mended", self._name, trigger, told or "nothing differs", report.mended)

    def _complain(self, words: str) -> None:
        """One line for what goes on failing in the same way."""
        if words != self._complaint:
            log.error("%s: %s; again every %.0f s", self._name, words, _TRY_AGAIN)
        self._complaint, self.again = words, _TRY_AGAIN


def _is_silent(found: Snapshot) -> bool:
    return any(entry["status"] == SILENT for entry in found.instances.values())


def _first_line(err: Exception) -> str:
    return str(err).split("\n", 1)[0]
