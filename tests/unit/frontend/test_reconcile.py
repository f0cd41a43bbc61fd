"""The comparison of the database with Ganeti."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from frontend import db
from frontend.consume_main import Schedule
from frontend.reconcile import Background, Reconciler
from ganeti_ext import tags
from ganeti_ext.errors import RapiError, RapiUnavailable
from tests.unit.frontend import updates
from tests.unit.frontend.updates import BEGIN, IDENT, NAME, instance, row

NOW = BEGIN + 10_000.0
GRACE = 60.0
OTHER = "7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c22"


class FakeRapi:
    """Answers from lists and writes down what it was asked; it has no way to change anything."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.instances: list[dict[str, Any]] = []
        self.networks: list[dict[str, Any]] = []
        self.jobs: dict[int, dict[str, Any]] = {}
        self.down = False
        self.meanwhile: Any = None

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Any:
        self.asked.append(path)
        if self.down:
            raise RapiUnavailable("RAPI n1:5080: connection refused")
        if path in ("instances", "networks"):
            assert query == {"bulk": 1}
            if self.meanwhile:
                self.meanwhile()
            return getattr(self, path)
        number = int(path.removeprefix("jobs/"))
        if number not in self.jobs:
            raise RapiError(f"RAPI GET /2/{path}: no such job", 404)
        return self.jobs[number]


def job(status: str, opcode: str = "CREATE", result: Any = None) -> dict[str, Any]:
    """GET /2/jobs/N, of a job with one opcode."""
    opcodes = [{"OP_ID": f"OP_INSTANCE_{opcode}"}]
    return {"id": 10, "status": status, "ops": opcodes, "opstatus": [status], "opresult": [result]}


def network(**fields: Any) -> dict[str, Any]:
    known = {"uuid": "u-blue", "name": "blue", "network": "10.0.0.0/24", "gateway": "10.0.0.1", "network6": None,
             "gateway6": None, "tags": ["nfdhcpd"]}  # fmt: skip
    return {**known, **fields}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = db.connect_writer(f"sqlite:///{tmp_path}/front.db")
    yield engine
    engine.dispose()


@pytest.fixture
def rapi() -> FakeRapi:
    return FakeRapi()


@pytest.fixture
def reconciler(engine: Engine, rapi: FakeRapi) -> Reconciler:
    return Reconciler(engine, rapi, "gx-", GRACE, clock=lambda: NOW)


def add(engine: Engine, **columns: Any) -> None:
    with engine.begin() as connection:
        connection.execute(insert(db.server).values(row(**columns)))


def running(**columns: Any) -> dict[str, Any]:
    """A row that is as `updates.instance` says."""
    known = {"status": "ACTIVE", "power": "ACTIVE", "task": None, "host": "n1", "nics": [updates.SHOWN_NIC],
             "vcpus": 2, "ram": 512}  # fmt: skip
    return {**known, **columns}


def mended(reconciler: Reconciler) -> list[str]:
    """What was found, and once mended, is found no more."""
    found = reconciler.differences()
    assert reconciler.mend(found) == len(found)
    reconciler._grace = 0  # else what was just mended would be too young to be looked at
    assert reconciler.differences() == []
    reconciler._grace = GRACE
    return [str(each) for each in found]


def server(engine: Engine, ident: str = IDENT) -> dict[str, Any]:
    with engine.connect() as connection:
        found = db.row(connection, select(db.server).where(db.server.c.id == ident))
    assert found is not None
    return found


def test_nothing_differs(reconciler: Reconciler, engine: Engine, rapi: FakeRapi) -> None:
    add(engine, **running())
    rapi.instances = [instance()]
    assert reconciler.differences() == []
    assert rapi.asked == ["instances", "networks"]


def test_a_server_that_is_off(reconciler: Reconciler, engine: Engine, rapi: FakeRapi) -> None:
    add(engine, **running())
    rapi.instances = [instance(running=False, pnode="n2")]
    assert mended(reconciler) == [f"server {NAME}: host 'n1' -> 'n2', status 'ACTIVE' -> 'SHUTOFF'"]
    assert (server(engine)["status"], server(engine)["updated"]) == ("SHUTOFF", NOW)


def test_a_node_that_does_not_answer_says_nothing(reconciler: Reconciler, engine: Engine, rapi: FakeRapi) -> None:
    add(engine, **running())
    rapi.instances = [instance(running=None)]
    assert reconciler.differences() == []


@pytest.mark.parametrize("age", [-GRACE / 2, 0, GRACE / 2])
def test_a_young_row_is_left_alone(reconciler: Reconciler, engine: Engine, rapi: FakeRapi, age: float) -> None:
    add(engine, **running(updated=NOW - age))
    assert reconciler.differences() == []


def test_a_row_of_the_future_is_compared(reconciler: Reconciler, engine: Engine) -> None:
    add(engine, **running(updated=NOW + 10 * GRACE))  # the clock was set back; young it would be for hours
    assert len(reconciler.differences()) == 1


def test_a_row_whose_job_goes_on_is_left_alone(reconciler: Reconciler, engine: Engine, rapi: FakeRapi) -> None:
    add(engine, **running(task="powering-off", job=12))
    rapi.instances = [instance(running=False)]
    for status in ("queued", "waiting", "running", "canceling"):
        rapi.jobs = {12: job(status, "SHUTDOWN")}
        assert reconciler.differences() == []
    assert rapi.asked[:2] == ["jobs/12", "instances"]  # a job that was over was over before the instances were read


@pytest.mark.parametrize("jobs", [{12: job("success", "SHUTDOWN")}, {12: job("error", "SHUTDOWN")}, {}])
def test_a_task_whose_job_is_over_is_cleared(
    reconciler: Reconciler, engine: Engine, rapi: FakeRapi, jobs: dict[int, Any]
) -> None:
    add(engine, **running(task="powering-off", job=12))
    rapi.instances, rapi.jobs = [instance()], jobs
    assert mended(reconciler) == [f"server {NAME}: task 'powering-off' -> None"]


def test_an_instance_that_was_removed(reconciler: Reconciler, engine: Engine) -> None:
    add(engine, **running())
    assert mended(reconciler) == [f"server {NAME}: deleted None -> {NOW}"]


BROKEN = ["OpPrereqError", ["not enough memory on node n1", "insufficient_resources"]]


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (job("error", result=BROKEN), "not enough memory on node n1 (insufficient_resources)"),
        (job("error", result=["OpExecError", ["Could not", "start"]]), "Could not start"),
        (job("canceled"), "job 10 ended as canceled"),
        (None, "job 10 is not known to Ganeti and the instance does not exist"),
    ],
)
def test_a_build_that_failed(
    reconciler: Reconciler, engine: Engine, rapi: FakeRapi, found: dict[str, Any] | None, fault: str
) -> None:
    add(engine)
    rapi.jobs = {10: found} if found else {}
    mended(reconciler)
    row = server(engine)
    assert (row["status"], row["fault"], row["task"], row["deleted"]) == ("ERROR", fault, None, None)


def test_a_build_that_failed_and_left_an_instance(reconciler: Reconciler, engine: Engine, rapi: FakeRapi) -> None:
    add(engine)
    rapi.jobs, rapi.instances = {10: job("error", result=BROKEN)}, [instance(running=False)]
    mended(reconciler)
    assert (server(engine)["status"], server(engine)["host"]) == ("ERROR", "n1")


def test_a_build_whose_end_was_missed(reconciler: Reconciler, engine: Engine, rapi: FakeRapi) -> None:
    add(engine)
    rapi.jobs, rapi.instances = {10: job("success")}, [instance()]
    mended(reconciler)
    row = server(engine)
    assert (row["status"], row["task"], row["nics"]) == ("ACTIVE", None, [updates.SHOWN_NIC])


def test_a_server_built_and_removed_meanwhile(reconciler: Reconciler, engine: Engine, rapi: FakeRapi) -> None:
    add(engine)
    rapi.jobs = {10: job("success")}
    mended(reconciler)
    assert server(engine)["deleted"] == NOW


def test_a_broken_server_stays_until_its_user_deletes_it(
    reconciler: Reconciler, engine: Engine, rapi: FakeRapi
) -> None:
    add(engine, status="ERROR", fault="broke", task=None)
    assert reconciler.differences() == []
    with engine.begin() as connection:
        connection.execute(update(db.server).values(task="deleting", job=12))
    rapi.jobs = {12: job("success", "REMOVE")}
    mended(reconciler)
    assert server(engine)["deleted"] == NOW


def test_a_removal_that_failed(reconciler: Reconciler, engine: Engine, rapi: FakeRapi) -> None:
    add(engine, **running(task="deleting", job=12))
    rapi.jobs, rapi.instances = {12: job("error", "REMOVE")}, [instance()]
    mended(reconciler)
    assert (server(engine)["status"], server(engine)["deleted"], server(engine)["task"]) == ("ACTIVE", None, None)


def test_an_unknown_instance_of_ours_gets_its_row_from_its_tags(
    reconciler: Reconciler, engine: Engine, rapi: FakeRapi
) -> None:
    rapi.instances = [instance(), instance("web.example.com"), instance(f"gx-{OTHER}", tags=["by:hand"])]
    rapi.networks = [network(network6="2001:db8::/64")]
    mended(reconciler)
    made = server(engine)
    assert (made["name"], made["status"], made["host"]) == ("Größe 1", "ACTIVE", "n1")
    assert (made["project_id"], made["vcpus"], made["ram"], made["disk"]) == (updates.PROJECT, 2, 512, 3)
    assert made["created"] == BEGIN - 1000
    assert made["nics"][0]["ip6"] == "2001:db8::a800:ff:fe12:3456"
    with engine.connect() as connection:
        assert len(db.rows(connection, select(db.server))) == 1


def test_a_young_unknown_instance_is_left_to_its_messages(
    reconciler: Reconciler, engine: Engine, rapi: FakeRapi
) -> None:
    rapi.instances = [instance(ctime=NOW - 5)]
    assert reconciler.differences() == []


def test_an_instance_that_is_there_again(reconciler: Reconciler, engine: Engine, rapi: FakeRapi) -> None:
    add(engine, **running(deleted=BEGIN + 5.0))
    rapi.instances = [instance()]
    assert mended(reconciler) == [f"server {NAME}: deleted {BEGIN + 5.0} -> None"]


def test_a_deleted_server_that_is_gone_is_not_even_read(reconciler: Reconciler, engine: Engine, rapi: FakeRapi) -> None:
    add(engine, **running(deleted=BEGIN + 5.0))
    assert reconciler.differences() == []


def test_tags_are_followed(reconciler: Reconciler, engine: Engine, rapi: FakeRapi) -> None:
    add(engine, **running())
    rapi.instances = [instance(tags=tags.encode({**updates.FACTS, "name": "new"}))]
    assert mended(reconciler) == [f"server {NAME}: name 'Größe 1' -> 'new'"]


def test_networks(reconciler: Reconciler, engine: Engine, rapi: FakeRapi) -> None:
    rapi.networks = [network(), network(uuid="u-red", name="red")]
    assert mended(reconciler) == ["network blue: in Ganeti only, row made", "network red: in Ganeti only, row made"]
    with engine.begin() as connection:
        connection.execute(update(db.network).values(updated=BEGIN))
    rapi.networks = [network(gateway="10.0.0.254")]
    assert mended(reconciler) == ["network blue: gateway '10.0.0.1' -> '10.0.0.254'",
                                  "network red: not in Ganeti, row removed"]  # fmt: skip


def test_a_row_that_changed_meanwhile_is_left_for_later(reconciler: Reconciler, engine: Engine, rapi: FakeRapi) -> None:
    add(engine, **running())

    def message() -> None:
        with engine.begin() as connection:
            connection.execute(update(db.server).values(task="rebooting", job=99))

    rapi.instances, rapi.meanwhile = [instance(running=False)], message
    found = reconciler.differences()
    assert len(found) == 1
    assert reconciler.mend(found) == 0
    assert (server(engine)["status"], server(engine)["task"]) == ("ACTIVE", "rebooting")


def test_a_row_that_a_message_made_meanwhile_is_left(reconciler: Reconciler, engine: Engine, rapi: FakeRapi) -> None:
    rapi.instances = [instance()]
    found = reconciler.differences()
    add(engine, **running(name="from the message"))
    assert reconciler.mend(found) == 0
    assert server(engine)["name"] == "from the message"


def test_a_network_whose_name_is_still_taken_is_left_for_later(
    reconciler: Reconciler, engine: Engine, rapi: FakeRapi
) -> None:
    rapi.networks = [network()]
    mended(reconciler)  # just now, so too young to be removed
    rapi.networks = [network(uuid="u-blue-2")]
    assert reconciler.mend(reconciler.differences()) == 0


def test_a_remote_api_that_is_down_is_one_line(
    reconciler: Reconciler, rapi: FakeRapi, caplog: pytest.LogCaptureFixture
) -> None:
    rapi.down = True
    background(reconciler)
    assert [record.message for record in caplog.records] == ["reconcile: RAPI n1:5080: connection refused; again later"]


def test_an_answer_of_another_shape_is_one_line(
    reconciler: Reconciler, rapi: FakeRapi, caplog: pytest.LogCaptureFixture
) -> None:
    rapi.instances = [{"id": "web", "uri": "/2/instances/web"}]
    background(reconciler)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "KeyError" in caplog.text


def background(reconciler: Reconciler) -> None:
    Background(reconciler).start()
    for thread in threading.enumerate():
        if thread.name == "reconcile":
            thread.join(10)


def test_it_starts_after_the_backlog_and_comes_again() -> None:
    now, calls = [0.0], list[float]()
    schedule = Schedule(300, lambda: calls.append(now[0]), clock=lambda: now[0])
    for second in range(1000):
        now[0] = second
        schedule.tick(idle=second > 5)
    assert calls == [6, 306, 606, 906]


def test_a_backlog_without_end_does_not_put_it_off_for_ever() -> None:
    now, calls = [0.0], list[float]()
    schedule = Schedule(0, lambda: calls.append(now[0]), clock=lambda: now[0])
    for second in range(200):
        now[0] = second
        schedule.tick(idle=False)
    assert calls == [60]
