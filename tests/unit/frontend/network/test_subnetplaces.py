"""A subnet that was asked for counts until it is there, or will not be, whoever dies or is away meanwhile."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import update

from frontend.database import db
from frontend.effect import awaited
from frontend.network import subnetplaces
from frontend.quota import reserved
from frontend.update.mirror import Mirror
from ganeti_ext import event
from ganeti_ext.errors import RapiLost, RapiUnavailable
from tests.unit.frontend.conftest import MINE, Api, FakeRapi
from tests.unit.frontend.network.test_netjobs import Asked, Killed, dies, owed, pay
from tests.unit.frontend.tenantnets import NETWORKS, SUBNETS, Ganeti, make, subnet, with_subnet
from tests.unit.frontend.updates import network

SIX = {"cidr": "fd00:1::/64", "ip_version": 6}


@pytest.fixture
def rapi() -> FakeRapi:
    return Asked()


@pytest.fixture
def two(api: Api) -> tuple[str, str]:
    """Two networks, for one subnet."""
    allow(api, 1)
    return make(api), make(api, "red")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for jobs, and nothing counts because it was asked for a moment ago."""
    monkeypatch.setattr(awaited, "PATIENCE", 0.0)
    monkeypatch.setattr(subnetplaces, "ASKED", 0.0)


def allow(api: Api, most: int) -> None:
    with api.engine.begin() as connection:
        connection.execute(update(db.project).where(db.project.c.id == MINE).values(max_subnets=most))


def tell(api: Api, job: int, status: str, ident: str, at: int = 1) -> None:
    message = {**network("ADD", status, at, job=job), "network": f"blue.{ident}", "seq": [1, at]}
    Mirror(api.engine, "gx-").take(event.encode(message))


def broken_off(api: Api, network: str) -> None:
    """A subnet was asked for, and who did died when Ganeti had the first job, before he could tell its number."""
    api.rapi.on_submit = lambda _: None
    dies(api, 1)
    with pytest.raises(Killed):
        with_subnet(api, network)
    api.rapi.on_submit = None


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("end", ["success", "error", "canceled"])
def test_as_long_as_its_jobs_go_on(api: Api, two: tuple[str, str], end: str) -> None:
    blue, red = two
    assert with_subnet(api, blue).status_code == 201
    assert with_subnet(api, red).status_code == 409, "nobody has heard of the jobs yet"
    for job in (101, 102):
        tell(api, job, "running", blue)
    assert with_subnet(api, red).status_code == 409
    assert api.call("DELETE", f"{NETWORKS}/{blue}").status_code == 409
    for job in (101, 102):
        tell(api, job, end, blue, 2)
    assert with_subnet(api, red).status_code == 201


@pytest.mark.usefixtures("impatient")
def test_for_a_day_at_most(api: Api, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    blue, red = two
    assert with_subnet(api, blue).status_code == 201
    monkeypatch.setattr(reserved, "A_DAY", 0.0)
    assert with_subnet(api, red).status_code == 201


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("end", ["success", "error"])
def test_whose_process_dies_counts_as_long_as_a_job_goes_on(api: Api, two: tuple[str, str], end: str) -> None:
    """He did not live to tell the number of any."""
    blue, red = two
    broken_off(api, blue)
    assert with_subnet(api, red).status_code == 409, "the rest of the chain is owed"
    tell(api, 101, "running", blue)
    pay(api)
    assert (owed(api), with_subnet(api, red).status_code) == ([], 409)
    for job in range(101, api.rapi.job + 1):
        tell(api, job, end, blue, 2)
    assert with_subnet(api, red).status_code == 201


@pytest.mark.usefixtures("impatient")
def test_the_rest_of_a_chain_that_is_submitted_late_counts(api: Api, two: tuple[str, str]) -> None:
    """Nothing has been told of it yet."""
    blue, red = two
    broken_off(api, blue)
    tell(api, 101, "success", blue)
    pay(api)
    assert with_subnet(api, red).status_code == 409
    tell(api, 102, "error", blue, 2)
    assert with_subnet(api, red).status_code == 201


def test_who_died_before_there_was_a_job_leaves_nothing(
    api: Api, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(api.rapi, "submit", die)
        with pytest.raises(Killed):
            with_subnet(api, two[0])
    assert with_subnet(api, two[1]).status_code == 409
    monkeypatch.setattr(subnetplaces, "ASKED", 0.0)
    monkeypatch.setattr(awaited, "PATIENCE", 0.0)  # nobody tells of the jobs of the other
    pay(api)
    assert with_subnet(api, two[1]).status_code == 201


@pytest.mark.parametrize("at", [1, 2])
def test_what_ganeti_may_have_taken_counts(
    api: Api, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The answer to a job was lost, and nobody can be asked. In the end it is there, and was counted all the time."""
    blue, red = two
    monkeypatch.setattr("frontend.effect.lostjob.PAUSES", (0.0,))

    def lose(job: int) -> None:
        if job == 100 + at:
            for name in ("query", "cancel"):
                monkeypatch.setattr(api.rapi, name, away)
            raise RapiLost("lost")

    def away(*_: object) -> Any:
        raise RapiUnavailable("away")

    api.rapi.on_submit = lose
    assert with_subnet(api, blue).status_code == 503
    assert with_subnet(api, red).status_code == 409
    assert with_subnet(api, blue).status_code == 409


def test_what_ganeti_did_not_take_is_free_at_once(api: Api, two: tuple[str, str]) -> None:
    api.rapi.fails = RapiUnavailable("away")
    assert with_subnet(api, two[0]).status_code == 503
    api.rapi.fails = None
    api.rapi.on_submit = Ganeti(api).do
    assert with_subnet(api, two[1]).status_code == 201


@pytest.mark.parametrize("how", ["another comes", "one goes", "gateway"])
def test_what_is_made_anew_keeps_its_place(api: Api, ganeti: Ganeti, how: str) -> None:
    """Between the removal and the addition Ganeti has neither subnet."""
    allow(api, 2)
    blue, red = make(api), make(api, "red")
    six = subnet(api, blue, **SIX)
    four = subnet(api, blue) if how != "another comes" else {}
    if how == "one goes":
        allow(api, 1)
    answers = []

    def between(job: int) -> None:
        ganeti.do(job)
        if not ganeti.networks:
            api.rapi.on_submit = ganeti.do
            answers.append(with_subnet(api, red).status_code)

    api.rapi.on_submit = between
    if how == "another comes":
        assert with_subnet(api, blue).status_code == 201
    elif how == "one goes":
        assert api.call("DELETE", f"{SUBNETS}/{six['id']}").status_code == 204
    else:
        sent = {"subnet": {"gateway_ip": None}}
        assert api.call("PUT", f"{SUBNETS}/{four['id']}", json=sent).status_code == 200
    assert answers == [409]
    allow(api, 3)
    assert with_subnet(api, red).status_code == 201, "nothing is kept any longer"
    for each in api.get(SUBNETS).get_json()["subnets"]:
        if each["network_id"] == blue:
            assert api.call("DELETE", f"{SUBNETS}/{each['id']}").status_code == 204
    assert with_subnet(api, blue).status_code == 201


def test_the_time_is_that_of_the_question(api: Api, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """However late its jobs are told of."""
    monkeypatch.setattr(awaited, "PATIENCE", 0.0)
    assert with_subnet(api, two[0]).status_code == 201
    now = time.time()
    for job in (101, 102):
        tell(api, job, "error", two[0])
    assert with_subnet(api, two[1]).status_code == 409
    monkeypatch.setattr(time, "time", lambda: now + subnetplaces.ASKED)
    assert with_subnet(api, two[1]).status_code == 201
