"""A chain of jobs whose submission breaks off, as the process dies, is submitted to its end by the payer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from frontend.database import db
from frontend.effect import lostjob
from frontend.effect import owed as promises
from frontend.effect.payer import Payer
from ganeti_ext.errors import RapiLost, RapiUnavailable
from tests.unit.frontend.conftest import MINE, Api, FakeRapi
from tests.unit.frontend.modelled import Ganeti
from tests.unit.frontend.test_volume_ways import attach, detach, disks, made
from tests.unit.frontend.volumes import shown


class Killed(BaseException):
    """The process dies here."""


class Asked(FakeRapi):
    """Is asked for the jobs that were submitted."""

    def query(self, what: str, fields: Sequence[str], wanted: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        if (what, (wanted or [])[:2]) != ("job", [">", "id"]):
            return super().query(what, fields, wanted)
        first = self.job - len(self.calls) + 1
        assert wanted is not None
        return [job for number, call in enumerate(self.calls) if (job := _job(first + number, *call))["id"] > wanted[2]]


def _job(number: int, _method: str, path: str, body: Any, query: Any) -> dict[str, Any]:
    named = (body or {}).get("instance_name") if path == "instances" else path.split("/")[1]
    return {"id": number, "ops": [{"instance_name": named, "reason": [["gnt:user", (query or {}).get("reason"), 1]]}]}


@pytest.fixture
def rapi() -> FakeRapi:
    return Asked()


@pytest.fixture
def ganeti(api: Api, rapi: FakeRapi) -> Ganeti:
    return Ganeti(rapi, api.engine)


def dies(api: Api, at: int) -> None:
    """Ganeti has the job, and nobody hears its number."""
    last = api.rapi.job + at

    def die(job: int) -> None:
        if job == last:
            raise Killed

    api.rapi.on_submit = die


def pay(api: Api, later: float = 1000.0) -> None:
    api.rapi.on_submit = None
    vault = api.client.application.extensions["ganeti-ext"].vault
    Payer(api.engine, api.rapi, vault, clock=lambda: time.time() + later).work()


def owed(api: Api) -> list[str]:
    with api.engine.connect() as connection:
        return list(connection.execute(select(db.owed.c.what).where(db.owed.c.what == "chain")).scalars())


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_volume_arrives_whoever_dies(api: Api, ganeti: Ganeti, at: int) -> None:
    ident, key = made(api, ganeti)
    attach(api, ident, key)
    ganeti.run()
    detach(api, ident, key)  # jobs for the same, of before
    ganeti.run()
    dies(api, at)
    with pytest.raises(Killed):
        attach(api, ident, key)
    before = len(api.rapi.calls)
    pay(api, 0)
    assert (owed(api), len(api.rapi.calls)) == (["chain"], before)  # somebody may be at it
    pay(api)
    pay(api)
    assert (owed(api), len(api.rapi.calls)) == ([], before + 3 - at)
    ganeti.run()
    assert (shown(api, key)["status"], shown(api, key)["attachments"][0]["server_id"]) == ("in-use", ident)
    assert disks(ganeti, f"gx-{ident}")[-1] == f"vol-{key}"


def goes_away(api: Api, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Ganeti has the job, nobody hears its number, and it answers nothing until it is paid."""
    last = api.rapi.job + at
    monkeypatch.setattr(lostjob, "PAUSES", (0.0,))

    def away(*_: object) -> Any:
        raise RapiUnavailable("away")

    def lose(job: int) -> None:
        if job == last:
            monkeypatch.setattr(api.rapi, "query", away)
            monkeypatch.setattr(api.rapi, "cancel", away)
            raise RapiLost("lost")

    api.rapi.on_submit = lose


SNAPSHOTS = f"/volume/v3/{MINE}/snapshots"


@pytest.mark.parametrize("at", [2, 3])
def test_a_snapshot_is_made_although_ganeti_went_away_in_between(
    api: Api, ganeti: Ganeti, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    _, key = made(api, ganeti)
    with monkeypatch.context() as patch:
        goes_away(api, patch, at)
        answer = api.call("POST", SNAPSHOTS, json={"snapshot": {"volume_id": key, "name": "x", "force": True}})
        assert (answer.status_code, answer.get_json()["snapshot"]["status"]) == (202, "creating")
    before = len(api.rapi.calls)
    pay(api)
    assert (owed(api), len(api.rapi.calls)) == ([], before + 3 - at)
    ganeti.run()
    (found,) = api.get(f"{SNAPSHOTS}/detail").get_json()["snapshots"]
    assert found["status"] == "available"


def test_nothing_follows_what_could_be_taken_back(api: Api, ganeti: Ganeti, monkeypatch: pytest.MonkeyPatch) -> None:
    _, key = made(api, ganeti)
    first = api.rapi.job + 1
    monkeypatch.setattr(lostjob, "PAUSES", (0.0,))

    def lose(job: int) -> None:
        if job == first + 1:
            raise RapiLost("lost")

    api.rapi.on_submit = lose
    answer = api.call("POST", SNAPSHOTS, json={"snapshot": {"volume_id": key, "name": "x"}})
    assert (answer.status_code, owed(api), api.rapi.canceled) == (503, [], [first])
    assert api.get(f"{SNAPSHOTS}/detail").get_json()["snapshots"] == []


def test_what_ganeti_has_nothing_of_was_not_begun(api: Api, ganeti: Ganeti) -> None:
    ident, key = made(api, ganeti)
    dies(api, 1)
    with pytest.raises(Killed):
        attach(api, ident, key)
    api.rapi.calls.pop()
    api.rapi.job -= 1
    before = len(api.rapi.calls)
    pay(api)
    assert (owed(api), len(api.rapi.calls)) == ([], before)


def test_nothing_is_kept_of_what_was_submitted(api: Api, ganeti: Ganeti) -> None:
    ident, key = made(api, ganeti)
    attach(api, ident, key)
    assert owed(api) == []


def test_a_disk_that_nobody_has_goes_back_to_its_holder(api: Api, ganeti: Ganeti) -> None:
    ident, key = made(api, ganeti)
    ganeti.fails = {len(api.rapi.calls) + 2, len(api.rapi.calls) + 3}
    attach(api, ident, key)
    ganeti.run()
    assert shown(api, key)["status"] == "error"
    with api.engine.begin() as connection:
        for _ in range(2):
            promises.promise_give(connection, key, time.time())
    ganeti.fails = {len(api.rapi.calls) + 1}
    pay(api, 1)
    ganeti.run()
    assert shown(api, key)["status"] == "error"
    before = len(api.rapi.calls)
    pay(api, 2)
    assert len(api.rapi.calls) == before  # it has just been tried
    pay(api, 100)
    ganeti.run()
    assert (shown(api, key)["status"], disks(ganeti, f"gx-vol-{key}")) == ("available", [f"vol-{key}"])
    before = len(api.rapi.calls)
    pay(api, 1000)
    with api.engine.connect() as connection:
        assert connection.execute(select(db.owed).where(db.owed.c.what == "give")).all() == []
    assert len(api.rapi.calls) == before
