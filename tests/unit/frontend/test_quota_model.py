"""Quotas against a model: whatever fails, is lost or dies in between, Ganeti never has more than a project may have.

And when all of it is over, what counts is what is there, and nothing is set apart.
"""

from __future__ import annotations

import functools
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from sqlalchemy import insert, select, update

from frontend.compute import quotas
from frontend.database import db
from frontend.effect import owed
from frontend.quota import reserved
from frontend.volume import volumequota
from ganeti_ext.errors import RapiLost, RapiUnavailable
from tests.unit.frontend.conftest import IMAGE, MINE, NET, SMALL, seed
from tests.unit.frontend.modelled import Ganeti, Instance
from tests.unit.frontend.mortal import Fate, Mortal, Works
from tests.unit.frontend.test_begun import Asked
from tests.unit.frontend.volumes import VOLUMES

MOST, CORES, VOLUMES_MOST, GIGABYTES, SNAPSHOTS_MOST = 4, 6, 3, 8, 1
SERVERS = "/compute/v2.1/servers"
FLAVORS = (SMALL, "f-two", "f-three")
VCPUS = dict(zip(FLAVORS, (1, 2, 3), strict=True))
# How a request goes: well, or its process dies at a step, or an answer is lost, or Ganeti is away.
FATES = st.one_of(
    st.none(),
    st.none(),
    st.tuples(st.just("dies"), st.integers(1, 60)),
    st.tuples(st.just("lost"), st.integers(1, 4)),
    st.tuples(st.just("away"), st.integers(1, 4)),
)
# Whether Ganeti does then what it has: in which order that is told, and which of the jobs fail.
WORKS = st.one_of(st.none(), st.tuples(st.integers(0, 99), st.one_of(st.just(set()), st.sets(st.integers(1, 6)))))


class Queue(Asked):
    """Finds creates by their instance's name, too; what befalls the next submissions is the test's to say."""

    def __init__(self) -> None:
        super().__init__()
        self.fate: Fate = None
        self.deaf = False
        self.step: Any = lambda: None
        self.has_run: Callable[[int], bool] = lambda _: False

    def submit(self, method: str, path: str, body: object = None, query: Any = None) -> int:
        self.step()
        kind, left = self.fate or ("", 0)
        self.fate = (kind, left - 1) if self.fate else None
        if (kind, left) == ("away", 1):
            raise RapiUnavailable("RAPI: connection refused")
        job = super().submit(method, path, body, query)
        if (kind, left) == ("lost", 1):
            self.deaf = True
            raise RapiLost("RAPI: no answer")
        self.step()
        return job

    def cancel(self, job: int) -> bool:
        if self.deaf:
            raise RapiUnavailable("RAPI: connection refused")
        return not self.has_run(job) and super().cancel(job)

    def query(self, what: str, fields: Sequence[str], wanted: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        if self.deaf:
            raise RapiUnavailable("RAPI: connection refused")
        if wanted and wanted[0] == "&" and "CREATE(" in str(wanted[2]):
            name = str(wanted[2][2]).partition("(")[2][:-1]
            found = [
                self.job - len(self.calls) + 1 + place
                for place, (method, path, body, _) in enumerate(self.calls)
                if (method, path) == ("POST", "instances") and body["instance_name"] == name
            ]
            ops = [{"OP_ID": "OP_INSTANCE_CREATE", "instance_name": name}]
            return [{"id": number, "ops": ops} for number in found if number > wanted[1][2]]
        return super().query(what, fields, wanted)


class Site(Mortal):
    def __init__(self) -> None:
        super().__init__(Path(_seeded().name), Queue())
        self.ganeti = Ganeti(self.rapi, db.connect_writer(self.url))
        self.rapi.step, self.rapi.has_run = self.step, self.ganeti.has_run

    def ask(self, fate: Fate, method: str, path: str, sent: Any = None) -> None:
        steps = fate[1] if fate and fate[0] == "dies" else None
        self.rapi.fate = fate if steps is None else None
        try:
            self.request(steps, method, path, sent)
        finally:
            self.rapi.fate, self.rapi.deaf = None, False

    def rows(self, table: Any = db.server) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return db.rows(connection, select(table).order_by(table.c.created, table.c.id))

    def alive(self, table: Any = db.server, *statuses: str) -> list[dict[str, Any]]:
        """Those that are not deleted; with statuses, those that are idle in one of them."""
        rows = [row for row in self.rows(table) if row["deleted"] is None]
        return [row for row in rows if row["task"] is None and row["status"] in statuses] if statuses else rows

    def one(self, which: int, table: Any = db.server, *statuses: str) -> str:
        found = self.alive(table, *statuses)
        return str(found[which % len(found)]["id"])

    def work(self, works: Works) -> None:
        """Some of the jobs fail; what is told of them comes in any order, and some of it twice."""
        if works is not None:
            shuffle, failing = works
            self.ganeti.fails = {self.ganeti._seen + number for number in failing}
            self.ganeti.run(random.Random(shuffle))

    @rule()
    def consumer_pays(self) -> None:
        self.pays(1000.0)

    @invariant()
    def ganeti_has_no_more_than_is_allowed(self) -> None:
        _check_limits(self.ganeti.instances)

    @invariant()
    def nor_when_it_has_done_all_that_it_was_asked_for(self) -> None:
        _check_limits(self.ganeti.ahead())

    def settle(self) -> None:
        """All jobs are over, all messages told, and nobody is at anything any more."""
        for _ in range(4):
            self.ganeti.fails = set()
            self.ganeti.run()
            self.consumer_pays()
        with self.engine.connect() as connection:
            left = db.rows(connection, select(db.reservation).where(db.reservation.c.job.is_not(None)))
        assert left == [], "each ends with its job"
        self.later = reserved.A_DAY + 1
        with self.engine.begin() as connection:
            reserved.sweep(connection, time.time() + self.later)
        self.ganeti_has_no_more_than_is_allowed()
        rows = self.alive()
        assert {row["instance"] for row in rows if row["power"] is not None} == {
            name for name in self.ganeti.instances if not name.startswith("gx-vol-")
        }
        for row in rows:
            there = self.ganeti.instances.get(row["instance"])
            told = [each for each in self.ganeti.said if each["instance"] == row["instance"]]
            assert there is None or there.beparams["vcpus"] == row["vcpus"], (row, told)
            assert there is not None or row["status"] in ("ERROR", "BUILD"), row
        with self.engine.connect() as connection:
            assert db.rows(connection, select(db.reservation)) == []
            assert quotas.used(connection, MINE) == {
                "instances": len(rows),
                "cores": sum(row["vcpus"] for row in rows),
                "ram": sum(row["ram"] for row in rows),
            }
            volumes = self.alive(db.volume)
            assert volumequota.used(connection, MINE)["volumes"] == len(volumes)
            kept = connection.execute(select(db.owed.c.server_id).where(db.owed.c.what == owed.CREATE)).scalars().all()
            building = {row["id"] for row in rows if row["status"] == "BUILD"}
            assert building <= set(kept), "what is shown as being built, somebody sees to"


class ServerQuotas(Site):
    @rule(flavor=st.sampled_from(FLAVORS), most=st.integers(1, 3), fate=FATES, works=WORKS)
    def create(self, flavor: str, most: int, fate: Fate, works: Works) -> None:
        wanted = {"name": "w", "flavorRef": flavor, "imageRef": IMAGE, "networks": [{"uuid": NET}]}
        self.ask(fate, "POST", SERVERS, {"server": {**wanted, "min_count": 1, "max_count": most}})
        self.work(works)

    @precondition(lambda self: self.alive())
    @rule(which=st.integers(0, 9), fate=FATES, works=WORKS)
    def delete(self, which: int, fate: Fate, works: Works) -> None:
        self.ask(fate, "DELETE", f"{SERVERS}/{self.one(which)}")
        self.work(works)

    @precondition(lambda self: self.alive(db.server, "ACTIVE"))
    @rule(which=st.integers(0, 9), flavor=st.sampled_from(FLAVORS), fate=FATES, works=WORKS)
    def resize(self, which: int, flavor: str, fate: Fate, works: Works) -> None:
        path = f"{SERVERS}/{self.one(which, db.server, 'ACTIVE')}/action"
        self.ask(fate, "POST", path, {"resize": {"flavorRef": flavor}})
        self.work(works)

    @precondition(lambda self: self.alive(db.server, "VERIFY_RESIZE"))
    @rule(which=st.integers(0, 9), verb=st.sampled_from(["confirmResize", "revertResize"]), fate=FATES, works=WORKS)
    def decide(self, which: int, verb: str, fate: Fate, works: Works) -> None:
        self.ask(fate, "POST", f"{SERVERS}/{self.one(which, db.server, 'VERIFY_RESIZE')}/action", {verb: None})
        self.work(works)


class VolumeQuotas(Site):
    @rule(size=st.integers(1, 4), fate=FATES, works=WORKS)
    def create_volume(self, size: int, fate: Fate, works: Works) -> None:
        self.ask(fate, "POST", f"{VOLUMES}/volumes", {"volume": {"size": size}})
        self.work(works)

    @precondition(lambda self: self.alive(db.volume, "available"))
    @rule(which=st.integers(0, 9), more=st.integers(0, 3), fate=FATES, works=WORKS)
    def change_volume(self, which: int, more: int, fate: Fate, works: Works) -> None:
        ident = self.one(which, db.volume, "available")
        row = next(row for row in self.rows(db.volume) if row["id"] == ident)
        path = f"{VOLUMES}/volumes/{ident}"
        if more:
            self.ask(fate, "POST", f"{path}/action", {"os-extend": {"new_size": row["size"] + more}})
        else:
            self.ask(fate, "DELETE", path)
        self.work(works)


class SnapshotQuotas(VolumeQuotas):
    """Snapshots count with their gigabytes from the request on, whatever becomes of their jobs."""

    @initialize()
    def one_volume(self) -> None:
        self.create_volume(1, None, (0, set()))

    @precondition(lambda self: self.alive(db.volume, "available"))
    @rule(which=st.integers(0, 9), fate=FATES, works=WORKS)
    def snapshot(self, which: int, fate: Fate, works: Works) -> None:
        wanted = {"volume_id": self.one(which, db.volume, "available")}
        self.ask(fate, "POST", f"{VOLUMES}/snapshots", {"snapshot": wanted})
        self.work(works)

    @precondition(lambda self: self.rows(db.volume_snapshot))
    @rule(which=st.integers(0, 9), fate=FATES, works=WORKS)
    def delete_snapshot(self, which: int, fate: Fate, works: Works) -> None:
        found = self.rows(db.volume_snapshot)
        self.ask(fate, "DELETE", f"{VOLUMES}/snapshots/{found[which % len(found)]['id']}")
        self.work(works)

    @invariant()
    def no_more_counts_than_is_allowed(self) -> None:
        with self.engine.connect() as connection:
            used = volumequota.used(connection, MINE)
        shown = self.api.get(f"{VOLUMES}/snapshots/detail").get_json()["snapshots"]
        volumes = self.alive(db.volume)
        assert used["snapshots"] == len(shown) <= SNAPSHOTS_MOST
        assert used["volumes"] == len(volumes) <= VOLUMES_MOST
        assert used["gigabytes"] <= GIGABYTES


def _check_limits(instances: Mapping[str, Instance]) -> None:
    servers = {name: each for name, each in instances.items() if not name.startswith("gx-vol-")}
    assert len(servers) <= MOST
    assert sum(each.beparams["vcpus"] for each in servers.values()) <= CORES
    holders = {name: each for name, each in instances.items() if name not in servers}
    assert len(holders) <= VOLUMES_MOST
    assert sum(disk.size for each in holders.values() for disk in each.disks) <= GIGABYTES * 1024


@functools.cache
def _seeded() -> tempfile.TemporaryDirectory[str]:
    """A database with a project that may have little, made once."""
    folder = tempfile.TemporaryDirectory()
    engine = db.connect(f"sqlite:///{folder.name}/front.db")
    seed(engine)
    most = {"max_servers": MOST, "max_cores": CORES, "max_ram": -1}
    most |= {"max_volumes": VOLUMES_MOST, "max_gigabytes": GIGABYTES, "max_snapshots": SNAPSHOTS_MOST}
    with engine.begin() as connection:
        connection.execute(update(db.project).where(db.project.c.id == MINE).values(most))
        for ident in FLAVORS[1:]:
            values = {"id": ident, "name": ident, "vcpus": VCPUS[ident], "ram": 512, "disk": 5}
            connection.execute(insert(db.flavor).values(values))
    engine.dispose()
    return folder


def test_what_was_asked_for_counts_before_it_is_told_of() -> None:
    """The shortest story of which nothing but what is set apart makes a good one."""
    site = ServerQuotas()
    try:
        site.create(SMALL, 3, None, (0, set()))
        assert len(site.alive(db.server, "ACTIVE")) == 3
        for which in range(3):  # that may have 6 cores, and with the first one have 5
            site.resize(which, "f-three", None, None)
            site.nor_when_it_has_done_all_that_it_was_asked_for()
        assert sorted(each.beparams["vcpus"] for each in site.ganeti.ahead().values()) == [1, 1, 3]
    finally:
        site.teardown()


TestServers, TestVolumes = ServerQuotas.TestCase, VolumeQuotas.TestCase
TestSnapshots = SnapshotQuotas.TestCase
TestSnapshots.settings = settings(
    max_examples=8, stateful_step_count=12, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)
TestServers.settings = TestVolumes.settings = settings(
    max_examples=25, stateful_step_count=16, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)
