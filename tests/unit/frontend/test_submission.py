"""Creates whose answer is lost: none is lost with it, and none is made twice."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from frontend.app import create_app
from frontend.database import db
from frontend.effect import owed, submission
from frontend.effect.clusters import Clusters
from frontend.effect.payer import Payer
from frontend.effect.translate import Call
from frontend.settings import Front, Settings
from frontend.update import state
from ganeti_ext.errors import RapiError, RapiLost, RapiUnavailable
from tests.unit.frontend import updates
from tests.unit.frontend.lossy import NOT_TAKEN, TAKEN, Ganeti, ganeti
from tests.unit.frontend.updates import op, row

LATER = 10_000.0


@pytest.fixture
def lossy(tmp_path: Path) -> Iterator[Ganeti]:
    with ganeti(tmp_path) as found:
        yield found


class Desk:
    """Takes creates as the API does, and pays as the consumer does."""

    def __init__(self, front: Front, lossy: Ganeti) -> None:
        self.app: Flask = create_app(Settings(front=front), lossy.rapi())
        self.lossy, self.engine = lossy, self.app.extensions["ganeti-ext"].engine
        self.vault = self.app.extensions["ganeti-ext"].vault

    def create(self, timeout: float = 10) -> tuple[str, int | None]:
        """The server's id, and its job; its row is in then."""
        ident = str(uuid.uuid4())
        call = Call("POST", "instances", {"instance_name": f"gx-{ident}", "opportunistic_locking": True})
        object.__setattr__(self.app.extensions["ganeti-ext"], "clusters", Clusters(self.lossy.rapi(timeout)))
        with self.engine.begin() as connection:
            owed.keep_creates(connection, {ident: self.vault.lock(call.body)})
        with self.app.test_request_context():
            job = submission.create(self.lossy.rapi(timeout), ident, call)
        with self.engine.begin() as connection:
            connection.execute(insert(db.server).values(row(id=ident, instance=f"gx-{ident}", job=job)))
            if job is not None:
                owed.accepted(connection, ident, job)
        return ident, job

    def pay(self, after: float = LATER) -> None:
        Payer(self.engine, self.lossy.rapi(), self.vault, clock=lambda: time.time() + after).work()

    def kept(self) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return db.rows(connection, select(db.owed))

    def server(self, ident: str) -> dict[str, Any]:
        with self.engine.connect() as connection:
            return db.rows(connection, select(db.server).where(db.server.c.id == ident))[0]


@pytest.fixture
def desk(front: Front, lossy: Ganeti) -> Desk:
    return Desk(front, lossy)


@pytest.mark.parametrize("cut", [cut for cut in NOT_TAKEN if cut not in ("reset", "request")])
def test_what_was_not_taken_is_refused_and_nothing_stays(desk: Desk, cut: str) -> None:
    desk.lossy.cut = cut
    with pytest.raises((RapiUnavailable, RapiError)) as caught:
        desk.create()
    assert not isinstance(caught.value, RapiLost)
    assert (desk.lossy.jobs, desk.kept()) == ({}, [])
    assert desk.lossy.calls == (cut != "handshake"), "it is sent once"


def test_nobody_there_is_a_refusal(desk: Desk) -> None:
    desk.lossy.url = "https://127.0.0.1:1"
    with pytest.raises(RapiUnavailable):
        desk.create()
    assert desk.kept() == []


@pytest.mark.parametrize("cut", TAKEN)
def test_a_job_whose_answer_was_lost_is_found_by_its_instance(desk: Desk, cut: str) -> None:
    desk.create()
    desk.lossy.cut = cut
    ident, job = desk.create(timeout=2 if cut == "silent" else 10)
    assert (job, desk.lossy.calls) == (102, 2)
    assert [each["job"] for each in desk.kept()] == [101, 102]
    desk.lossy.cut = None
    desk.pay()
    assert (desk.lossy.calls, len(desk.lossy.jobs)) == (2, 2)
    assert f"gx-{ident}" in desk.lossy.names()


@pytest.mark.parametrize("cut", TAKEN)
def test_a_job_that_cannot_be_looked_for_now_is_looked_for_later(desk: Desk, cut: str) -> None:
    desk.lossy.cut, desk.lossy.deaf = cut, True
    ident, job = desk.create(timeout=2 if cut == "silent" else 10)
    assert job is None
    desk.pay(after=0)
    assert [each["tries"] for each in desk.kept()] == [2], "it may yet be on its way"
    desk.pay()
    desk.lossy.deaf = False
    desk.pay(2 * LATER)
    assert (desk.lossy.calls, desk.server(ident)["job"]) == (1, 101)
    assert [(each["job"], each["tries"]) for each in desk.kept()] == [(101, 0)], "until its end, as every create"


@pytest.mark.parametrize("cut", ["reset", "request"])
@pytest.mark.parametrize("deaf", [False, True])
def test_a_create_that_was_lost_on_its_way_is_submitted_again(desk: Desk, cut: str, deaf: bool) -> None:
    desk.lossy.cut, desk.lossy.deaf = cut, deaf
    ident, job = desk.create()
    assert (job, desk.lossy.jobs) == (None, {})
    desk.lossy.cut, desk.lossy.deaf = None, False
    desk.pay()
    assert desk.lossy.names() == [f"gx-{ident}"]
    assert desk.lossy.jobs[101]["opportunistic_locking"], "as it was asked for"
    assert (desk.server(ident)["job"], desk.server(ident)["task"]) == (101, "spawning")
    desk.pay(2 * LATER)
    assert len(desk.lossy.jobs) == 1


@pytest.mark.parametrize("cut", [*TAKEN[:-1], "reset", "request"])
def test_one_that_is_lost_again_and_again_is_still_one(desk: Desk, cut: str) -> None:
    desk.lossy.cut, desk.lossy.deaf = cut, True
    ident, _ = desk.create()
    for turn in range(4):
        desk.lossy.deaf = turn % 2 == 0
        desk.pay((turn + 1) * LATER)
    desk.lossy.cut, desk.lossy.deaf = None, False
    desk.pay(9 * LATER)
    assert desk.lossy.names() == [f"gx-{ident}"]
    assert desk.server(ident)["job"] == 101


def test_a_lost_create_that_its_user_deletes_is_not_submitted_again(desk: Desk) -> None:
    desk.lossy.cut = "request"
    ident, _ = desk.create()
    with desk.engine.begin() as connection:
        owed.promise_removal(connection, ident)
    desk.lossy.cut = None
    Payer(desk.engine, _Deaf(desk.lossy), desk.vault, clock=lambda: time.time() + LATER).work()
    assert desk.lossy.jobs == {}
    assert [each["what"] for each in desk.kept()] == [owed.REMOVE]


def test_a_lost_create_that_found_no_room_is_begun_once_more(desk: Desk) -> None:
    desk.lossy.cut, desk.lossy.deaf = "no answer", True
    ident, _ = desk.create()
    failed = op("CREATE", "error", job=101, at=5, error_code=state.TEMP_NORES, result="no room")
    with desk.engine.begin() as connection:
        assert owed.after(connection, desk.server(ident), failed)
    desk.lossy.cut, desk.lossy.deaf = None, False
    desk.pay()
    assert desk.lossy.names() == [f"gx-{ident}"] * 2
    assert not desk.lossy.jobs[102]["opportunistic_locking"]


def test_another_certificate_gets_no_request(desk: Desk, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with ganeti(other) as stranger:
        desk.lossy.url, stranger.url = stranger.url, desk.lossy.url
        with pytest.raises(RapiUnavailable, match=r"(?i)certificate.verify.failed"):
            desk.create()
        assert (stranger.calls, desk.kept()) == (0, [])


class _Deaf:
    """Ganeti's remote API, which takes no removal now."""

    def __init__(self, lossy: Ganeti) -> None:
        self._rapi = lossy.rapi()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rapi, name)

    def submit(self, method: str, path: str, body: object = None, query: Any = None) -> int:
        if method == "DELETE":
            raise RapiUnavailable("away")
        return self._rapi.submit(method, path, body, query)


def test_a_removal_by_message_clears_what_is_kept(desk: Desk) -> None:
    ident, job = desk.create()
    assert job is not None
    done = op("CREATE", "success", job=job, at=5)
    with desk.engine.begin() as connection:
        connection.execute(update(db.server).values(created=updates.BEGIN))
        assert owed.after(connection, desk.server(ident), done) is False
    assert desk.kept() == []
