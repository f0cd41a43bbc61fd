"""Does what the front owes (owed.py): removals behind a create, creates once more, tags that were left over; and
removals of snapshots which nothing could carry (unwanted.py).

It may die at any point: nothing is forgotten before it is done, and what may have been done is looked for in Ganeti
before it is done again.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import or_, update
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from frontend.database import db
from frontend.database.vault import Vault
from frontend.effect import (
    begun,
    chain,
    clusters,
    groupjobs,
    lefttag,
    lostjob,
    owed,
    translate,
    translate_volume,
    unwanted,
)
from frontend.effect.purpose import DETACH, NETWORK, Purpose
from frontend.effect.remote import RemoteApi, goes_on
from frontend.effect.translate import Step
from frontend.network import subnetplaces, tenantnet
from frontend.quota import reserved
from frontend.update import state
from frontend.update.rows import locked
from ganeti_ext.errors import ExtError, RapiError

log = logging.getLogger(__name__)

_LEASE = 60.0  # seconds that one attempt may take, with all of its questions
_AGAIN = 5.0
_LONGEST = 60.0
_SELDOM = 21_600.0
_MOST = 20  # attempts that Ganeti refuses, before it is given up
_FORGETS = 3600.0
_SEES = 60.0  # between two looks for snapshots that are left over


class Payer:
    """Of one cluster. Several processes may have one, on one database. `tick` is to be called every PERIOD seconds."""

    PERIOD = 5.0

    def __init__(self, engine: Engine, rapi: RemoteApi, vault: Vault, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._rapi, self._vault, self._clock = engine, rapi, vault, clock
        self._cluster = clusters.asked(rapi)
        self._thread: threading.Thread | None = None
        self._forgets = self._sees = 0.0

    def tick(self) -> None:
        """See whether something is due, in a thread, as Ganeti and the database may keep it waiting."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name=f"payer {self._cluster}", daemon=True)
            self._thread.start()

    def work(self) -> None:
        """All that is due. SQLAlchemyError when the database does not work."""
        now = self._clock()
        if now >= self._forgets:
            self._forgets = now + _FORGETS
            with self._engine.begin() as connection:
                owed.forget(connection, now)
                reserved.sweep(connection, now)
        if now >= self._sees:
            self._sees = now + _SEES
            unwanted.again(self._engine, self._rapi, now)
        while True:
            with self._engine.begin() as connection:
                found = owed.claim(connection, now, _LEASE, self._cluster)
            if found is None:
                return
            self._pay(found)

    def _run(self) -> None:
        try:
            self.work()
        except SQLAlchemyError as err:
            log.error("database: %s; what is owed is done later", str(err).split("\n", 1)[0])

    def _pay(self, found: owed.Row) -> None:
        try:
            if found["what"] == owed.CREATE:
                self._create(found)
            elif found["what"] == owed.UNTAG:
                self._untag(found)
            elif found["what"] == owed.CHAIN:
                self._chain(found)
            elif found["what"] == owed.GIVE:
                self._give(found)
            elif found["what"] == owed.UNMAKE:
                self._unmake(found)
            elif found["what"] == owed.CONNECT:
                self._connect(found)
            elif found["what"] == owed.GROUP:
                groupjobs.pay(self._engine, self._rapi, found, self._clock())
            else:
                remove(self._engine, self._rapi, found)
        except (ExtError, ValueError) as err:
            is_hopeless = isinstance(err, ValueError) or (isinstance(err, RapiError) and found["tries"] >= _MOST)
            log.error("%s: %s is owed: %s; %s", found["server_id"], found["what"], err,
                      "given up" if is_hopeless else "again later")  # fmt: skip
            with self._engine.begin() as connection:
                if is_hopeless:
                    _give_up(connection, found, str(err))
                else:
                    owed.put_off(connection, found["id"], self._clock() + min(_AGAIN * found["tries"], _LONGEST))

    def _create(self, found: owed.Row) -> None:
        with self._engine.begin() as connection:
            row = _server(connection, found["server_id"])
        job = None
        if row is not None and found["tries"] > 2:  # somebody tried, and did not live to say how it went
            job = lostjob.find_create(self._rapi, row["instance"], found["job"] or 0)
        if row is not None and job is None and _is_wanted(row):
            body = self._vault.unlock(found["body"])
            call = translate.create_again(body) if found["job"] else translate.Call("POST", "instances", body)
            job = self._rapi.submit(*call)
            log.info("server %s: create is submitted once more, job %d", row["id"], job)
        with self._engine.begin() as connection:
            row = _server(connection, found["server_id"])
            if row is not None and job is not None and not found["job"] and _is_wanted(row):
                owed.found_again(connection, found["id"], job)
            else:
                owed.settle(connection, found["id"])
            if row is None or job is None:
                return
            if not _is_wanted(row):
                owed.remove_behind(connection, row["id"], job, self._cluster)
                return
            clocks = {**(row["clocks"] or {}), "create": [job]}
            _mark(connection, row["id"], job, task=state.TASKS[state.CREATE], clocks=clocks)

    def _unmake(self, found: owed.Row) -> None:
        instance = found["body"]
        create = lostjob.find_create(self._rapi, instance)
        if create is not None:
            behind = create if goes_on(self._rapi, create) else None
            try:
                job = self._rapi.submit(*translate.delete(instance, behind))
                log.info("%s: its create, job %d, belonged to nobody: it is removed by job %d", instance, create, job)
            except RapiError as err:
                if err.code != 404:
                    raise
        with self._engine.begin() as connection:
            owed.settle(connection, found["id"])

    def _untag(self, found: owed.Row) -> None:
        """Unless somebody needs the tag now, or it is gone: a comparison finds it again if it is ever left over."""
        instance, _, tag = found["body"].partition(" ")
        is_busy = instance in lefttag.busy(self._rapi)
        try:
            tags = self._rapi.get(f"instances/{instance}/tags")
        except RapiError:  # 500 for an instance that there is not
            if self._is_there(instance):
                raise
            tags = []
        with self._engine.begin() as connection:
            is_left = tag in lefttag.of_nobody(connection, instance, tags, self._cluster)
        if is_left and not is_busy:
            job = self._rapi.submit(*lefttag.untag(instance, tag))
            log.info("%s: its tag %s was left over, and is taken away by job %d", instance, tag, job)
        with self._engine.begin() as connection:
            owed.settle(connection, found["id"])

    def _is_there(self, instance: str) -> bool:
        try:
            self._rapi.get(f"instances/{instance}")
        except RapiError as err:
            if err.code != 404:
                raise
            return False
        return True

    def _connect(self, found: owed.Row) -> None:
        """Unless it is connected by now; one that is connected nowhere is being made, or taken away."""
        network, group, link = found["body"].split(" ")
        try:
            known = [name for name, *_ in self._rapi.get(f"networks/{network}")["group_list"]]
        except RapiError as err:
            if err.code != 404:
                raise
            known = []
        if known and group not in known:
            job = self._rapi.submit(*tenantnet.connect(network, group, link))
            log.info("network %s: is connected to node group %s by job %d", network, group, job)
        with self._engine.begin() as connection:
            owed.settle(connection, found["id"])

    def _chain(self, found: owed.Row) -> None:
        steps, purpose, before = begun.unpacked(self._vault, found["body"])
        jobs = begun.submitted(self._rapi, steps, purpose, found["job"] or 0)
        known = len(jobs)
        if jobs:
            try:
                chain.go_on(self._rapi, steps, purpose, before, jobs)
            finally:
                new = " ".join(map(str, jobs[known:]))
                log.info("%s: the rest of what was begun by jobs %s is jobs %s", purpose.reason, jobs[:known], new)
            if purpose.kind == NETWORK:
                subnetplaces.submitted(self._engine, found["server_id"], jobs[-1])
        with self._engine.begin() as connection:
            owed.settle(connection, found["id"])

    def _give(self, found: owed.Row) -> None:
        """Its node may be down now, or there is no such disk any more: nobody but Ganeti knows, by such a job."""
        with self._engine.begin() as connection:
            row = locked(connection, db.volume, db.volume.c.id == found["server_id"])
            if row is None or row["deleted"] is not None or row["held"] or row["server_id"] is not None:
                owed.settle(connection, found["id"])
                return
            pause = min(_AGAIN * 2 ** found["tries"], _SELDOM)
            owed.put_off(connection, found["id"], self._clock() + (_AGAIN if row["task"] else pause))
        if row["task"] is None:
            step = Step(translate_volume.give(row, row["instance"]))
            (job,) = chain.submit(self._rapi, [step], Purpose(DETACH, row["id"]))
            log.info("volume %s: its disk is attached to nothing, and is given to %s by job %d", row["id"],
                     row["instance"], job)  # fmt: skip


def remove(engine: Engine, rapi: RemoteApi, found: owed.Row) -> None:
    """Submit a removal that is owed; RapiUnavailable or RapiError when it stays owed."""
    with engine.begin() as connection:
        row = _server(connection, found["server_id"])
        is_begun_again = owed.is_begun_again(connection, found["server_id"])
        # With the server locked: a create that has just been begun again is what it has to wait for now.
        now_owed = owed.still(connection, found["id"])
    if is_begun_again or now_owed is None:
        return  # once its job is known, this one is due (owed.remove_behind)
    found = now_owed
    if row is None:
        with engine.begin() as connection:
            owed.settle(connection, found["id"])
        return
    create = found["job"] if found["job"] is not None and goes_on(rapi, found["job"]) else None
    job = rapi.submit(*translate.delete(row["instance"], create))
    log.info("server %s: delete is job %d, behind %s", row["id"], job, f"job {create}" if create else "no other")
    with engine.begin() as connection:
        owed.settle(connection, found["id"])
        _mark(connection, row["id"], job, task=state.DELETING)
    if create is not None:
        with contextlib.suppress(ExtError):  # then it is built, and removed
            rapi.cancel(create)


def _server(connection: Connection, ident: str) -> dict[str, Any] | None:
    return locked(connection, db.server, db.server.c.id == ident)


def _is_wanted(row: Mapping[str, Any]) -> bool:
    return row["deleted"] is None and row["task"] != state.DELETING


def _mark(connection: Connection, ident: str, job: int, **values: Any) -> None:
    """Show the task, unless the consumer has heard of the job already: then it may be over."""
    column = db.server.c
    unheard = (column.id == ident, column.deleted.is_(None), or_(column.job.is_(None), column.job < job))
    connection.execute(update(db.server).where(*unheard).values(job=job, updated=time.time(), **values))


def _give_up(connection: Connection, found: owed.Row, why: str) -> None:
    row = _server(connection, found["server_id"])
    owed.settle(connection, found["id"])
    if row is None or row["deleted"] is not None:
        return
    values: dict[str, Any] = {"task": None}
    if found["what"] == owed.CREATE and row["status"] == state.BUILD:
        values["fault"] = f"it could not be created once more: {why}"
    values["status"] = state.status({**row, **values})
    connection.execute(update(db.server).where(db.server.c.id == row["id"]).values(updated=time.time(), **values))
