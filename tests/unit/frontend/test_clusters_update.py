"""The update path with two clusters whose instances, networks, nodes and jobs have the same names and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Engine

from frontend.cluster.capacity import Capacity
from frontend.database import db
from frontend.effect import pressure
from frontend.reconcile.reconcile import Reconciler
from frontend.update.mirror import Mirror
from ganeti_ext import event
from tests.unit.frontend import updates
from tests.unit.frontend.cluster import NOW, FakeRapi, job, network
from tests.unit.frontend.updates import IDENT

SECOND, THERE = "two.example", "0aaaaaaa-52b4-4f0d-9d39-0a0b7c4f9c12"


class Named(FakeRapi):
    """The second cluster's."""

    of_cluster = SECOND

    def get(self, path: str, query: Any = None) -> Any:
        return {**super().get(path, query), "name": SECOND} if path == "info" else super().get(path, query)


class Front:
    def __init__(self, folder: Path, url: str = "") -> None:
        self.engine: Engine = db.connect_writer(url or f"sqlite:///{folder}/front.db")
        self.compared: list[tuple[str, str]] = []
        self.mirror = Mirror(self.engine, "gx-", lambda: NOW, compare=lambda *told: self.compared.append(told))
        self.home, self.second, self.now = FakeRapi(), Named(), NOW
        self.second.cluster = "0c1f8a4e-5f1d-4c3f-9a80-d8b7e1a6f002"
        self.put(db.cluster, id="", name="cluster.lab", added=1.0)
        self.put(db.cluster, id=SECOND, name=SECOND, added=1.0, url="https://two:5080")

    def put(self, table: Any, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(insert(table).values(values))

    def rows(self, table: Any, **having: Any) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            found = db.rows(connection, select(table))
        return [row for row in found if having.items() <= row.items()]

    def take(self, message: dict[str, Any], cluster: str) -> None:
        self.mirror.take(event.encode({**message, "cluster": cluster}))

    def comparer(self, rapi: FakeRapi) -> Reconciler:
        return Reconciler(self.engine, rapi, "gx-", clock=lambda: self.now, pause=rapi.pause)

    def capacity(self, rapi: FakeRapi) -> Capacity:
        return Capacity(self.engine, rapi, 30, 60, clock=lambda: self.now)  # type: ignore[arg-type]


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return Front(tmp_path)


def twins(front: Front) -> None:
    """Two servers whose instances have one name, and jobs one number."""
    known = {"status": "ACTIVE", "power": "ACTIVE", "task": None, "host": "n1", "job": 10}
    front.put(db.server, **updates.row(instance="web", **known))
    front.put(db.server, **updates.row(id=THERE, cluster=SECOND, instance="web", **known))


def test_a_message_changes_the_server_of_its_cluster_alone(front: Front) -> None:
    twins(front)
    off = updates.op("SHUTDOWN", "success", job=11, at=20, instance="web", **updates.read(False, 20))
    front.take(off, SECOND)
    found = {row["id"]: row["status"] for row in front.rows(db.server)}
    assert found == {IDENT: "ACTIVE", THERE: "SHUTOFF"}
    front.take(updates.op("REBOOT", "running", job=11, at=30, instance="web"), "cluster.lab")
    assert {row["id"]: row["task"] for row in front.rows(db.server)} == {IDENT: "rebooting", THERE: None}
    assert sorted((row["cluster"], row["job"]) for row in front.rows(db.action)) == [("cluster.lab", 11), (SECOND, 11)]


def test_a_server_is_born_in_the_cluster_that_told_of_it(front: Front) -> None:
    front.take(updates.create("success", at=5, **updates.read(True, 6)), SECOND)
    (row,) = front.rows(db.server)
    assert (row["id"], row["cluster"]) == (IDENT, SECOND)
    front.take(updates.op("REMOVE", "success", job=12, at=9), "cluster.lab")  # it is none of that one's
    assert front.rows(db.server)[0]["deleted"] is None


def test_networks_of_one_name_are_two(front: Front) -> None:
    for cluster, uuid in (("cluster.lab", "u1"), (SECOND, "u2")):
        front.take(updates.network("ADD", "success", 5, **updates.network_data(6, uuid=uuid)), cluster)
    front.take(updates.network("REMOVE", "success", 9), "cluster.lab")
    assert [(row["id"], row["cluster"]) for row in front.rows(db.network)] == [("u2", SECOND)]


def test_a_message_of_a_cluster_that_is_not_known_is_laid_aside(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    front.take(updates.create("success", at=5), "three.example")
    assert front.rows(db.server) == []
    (letter,) = front.rows(db.dead_letter)
    with front.engine.begin() as connection:  # and so are late ones of a cluster that was removed
        connection.execute(delete(db.cluster).where(db.cluster.c.id == SECOND))
    Mirror(front.engine, "gx-").take(event.encode({**updates.create("success", at=5), "cluster": SECOND}))
    assert (front.rows(db.server), len(front.rows(db.dead_letter))) == ([], 2)
    assert "cluster 'three.example' is not known here: ganeti-ext-manage cluster-list" in letter["reason"]
    assert "is not known here" in caplog.text


def test_a_new_master_of_one_lets_that_one_be_compared(front: Front) -> None:
    front.take(updates.create("queued"), "cluster.lab")
    front.take({"type": event.MASTER, "version": 1, "node": "n", "event_time": [1, 0]}, SECOND)
    assert front.compared == [("master", SECOND)]


def test_a_comparison_sees_its_own_cluster(front: Front) -> None:
    twins(front)
    front.second.instances = [updates.instance()]
    front.second.networks = [network()]
    report = front.comparer(front.second).run("timer")
    assert report.found == {"missing": 1, "stale": 1, "network-missing": 1}
    rows = {row["id"]: row for row in front.rows(db.server)}
    assert (rows[IDENT]["deleted"], rows[THERE]["deleted"] is not None) == (None, True)
    assert [row["cluster"] for row in front.rows(db.network)] == [SECOND]
    (kept,) = front.rows(db.comparison)
    assert (kept["of_cluster"], kept["cluster"]) == (SECOND, front.second.cluster)
    front.comparer(front.home).run("timer")
    assert {row["of_cluster"] for row in front.rows(db.comparison)} == {"", SECOND}


def test_jobs_of_one_number_are_two(front: Front) -> None:
    front.put(db.server, **updates.row(status="BUILD", power=None, task="spawning", job=10))
    front.put(db.server, **updates.row(id=THERE, cluster=SECOND, instance=f"gx-{THERE}", status="BUILD", power=None,
                                       task="spawning", job=10))  # fmt: skip
    front.home.jobs = [job("running")]
    front.second.jobs = [job("error", result=["OpExecError", ["no"]])]
    front.comparer(front.home).run("timer")
    front.comparer(front.second).run("timer")
    assert {row["id"]: row["status"] for row in front.rows(db.server)} == {IDENT: "BUILD", THERE: "ERROR"}


def test_servers_of_a_cluster_that_is_silent_are_unknown_until_a_comparison(front: Front) -> None:
    twins(front)
    capacity = front.capacity(front.second)
    front.second.down = True
    assert not capacity.read()
    front.now += 59
    capacity.judge()
    assert {row["status"] for row in front.rows(db.server)} == {"ACTIVE"}
    front.now += 2
    capacity.judge()
    assert {row["id"]: row["status"] for row in front.rows(db.server)} == {IDENT: "ACTIVE", THERE: "UNKNOWN"}
    front.second.down = False
    assert capacity.read()
    (row,) = front.rows(db.cluster, id=SECOND)
    assert (row["silent"], row["fault"], row["seen"]) == (None, None, front.now)
    front.second.instances = [{**updates.instance(), "name": "web", "uuid": THERE}]
    front.second.instances[0]["tags"] = [*updates.instance()["tags"], f"ganeti-ext:server:{THERE}"]
    front.comparer(front.second).run("cluster")
    (there,) = front.rows(db.server, id=THERE)
    assert there["status"] in ("ACTIVE", "SHUTOFF")


def test_another_cluster_at_the_address_is_not_taken_for_this(front: Front) -> None:
    capacity = front.capacity(front.second)
    capacity.read()
    front.second.cluster = "0c1f8a4e-5f1d-4c3f-9a80-d8b7e1a6f003"
    capacity.read()
    (row,) = front.rows(db.cluster, id=SECOND)
    assert "it is another cluster" in row["fault"]
    assert row["silent"] == NOW


def test_what_is_free_is_kept_of_each_node_of_each_cluster(front: Front) -> None:
    node = {"name": "n1", "group": "default", "offline": False, "drained": False, "vm_capable": True, "ctotal": 4}
    front.home.nodes = [{**node, "mtotal": 8000, "mfree": 700}]
    front.second.nodes = [{**node, "mtotal": 9000, "mfree": 800}]
    front.capacity(front.home).read()
    front.capacity(front.second).read()
    found = {(row["cluster"], row["name"]): row["memory_free"] for row in front.rows(db.node)}
    assert found == {("", "n1"): 700, (SECOND, "n1"): 800}


def test_alone_every_message_is_the_home_clusters(tmp_path: Path) -> None:
    engine = db.connect_writer(f"sqlite:///{tmp_path}/front.db")
    mirror = Mirror(engine, "gx-")
    for name in ("cluster.lab", "renamed.lab"):
        mirror.take(event.encode({**updates.create("queued"), "cluster": name}))
    with engine.connect() as connection:
        assert [row["cluster"] for row in db.rows(connection, select(db.server))] == [""]


def test_an_answer_that_is_none_is_silence(front: Front) -> None:
    front.second.get = lambda *_: "proxy says hello"  # type: ignore[method-assign]
    assert not front.capacity(front.second).read()
    (row,) = front.rows(db.cluster, id=SECOND)
    assert row["silent"] == NOW


def test_what_goes_on_in_one_is_not_ended_or_counted_by_the_other(front: Front) -> None:
    front.take(updates.create("running", at=5), SECOND)
    assert (pressure.unfinished(front.engine), pressure.unfinished(front.engine, SECOND)) == (0, 1)
    front.home.jobs = [job("error", result=["OpExecError", ["no"]])]
    found = front.comparer(front.home).compare().found
    assert found == []
    front.second.jobs = [job("error", result=["OpExecError", ["no"]])]
    assert "action" in {each.kind for each in front.comparer(front.second).compare().found}
