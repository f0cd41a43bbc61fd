"""What is owed is done once, whoever dies in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.database.vault import Vault
from frontend.effect import owed
from frontend.effect.payer import Payer
from frontend.update import state
from frontend.update.rows import locked
from ganeti_ext.errors import RapiError, RapiUnavailable
from tests.unit.frontend import updates
from tests.unit.frontend.conftest import FakeRapi
from tests.unit.frontend.updates import IDENT, NAME, op, row

BODY = {"mode": "create", "instance_name": NAME, "opportunistic_locking": True, "osparams_secret": {"pw": "x"}}
AGAIN = ("POST", "instances", {**BODY, "opportunistic_locking": False}, None)
VAULT = Vault("v" * 40)
NO_ROOM: dict[str, Any] = {"error_code": state.TEMP_NORES, "result": "no room"}


LOST_SECRETS = {"error_code": "wrong_input", "result": "Please re-submit secret parameters to job. (wrong_input)"}


class Killed(BaseException):
    """The process dies here."""


class Front:
    """A database with one server that is being built as job 10, and what works on it."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.rapi = engine, FakeRapi()
        self.rapi.job = 11
        with engine.begin() as connection:
            connection.execute(insert(db.server).values(row()))
            owed.keep_creates(connection, {IDENT: VAULT.lock(BODY)})
            owed.accepted(connection, IDENT, 10)

    def hear(self, message: dict[str, Any]) -> dict[str, Any]:
        """As mirror_server.py does it."""
        with self.engine.begin() as connection:
            found = locked(connection, db.server, db.server.c.id == IDENT)
            assert found is not None
            again = owed.after(connection, found, message)
            changes = state.advance(found, message, {}, again=again)
            if changes:
                connection.execute(update(db.server).values(changes))
        return self.server()

    def delete(self) -> dict[str, Any] | None:
        with self.engine.begin() as connection:
            return owed.promise_removal(connection, IDENT)

    def pay(self, later: float = 1000.0) -> None:
        """All that is due, some time after the latest is, in another process each time."""
        now = max([each["due"] for each in self.owed()], default=0.0)
        Payer(self.engine, self.rapi, VAULT, clock=lambda: now + later).work()

    def server(self) -> dict[str, Any]:
        with self.engine.connect() as connection:
            return db.rows(connection, select(db.server))[0]

    def owed(self) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return db.rows(connection, select(db.owed))


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    engine = db.connect_writer(f"sqlite:///{tmp_path}/front.db")
    yield Front(engine)
    engine.dispose()


@pytest.mark.parametrize("why", [NO_ROOM, LOST_SECRETS])
def test_a_create_that_lacked_something_is_submitted_once_more(front: Front, why: dict[str, Any]) -> None:
    found = front.hear(op("CREATE", "error", at=5, **why))
    assert (found["status"], found["task"], found["fault"]) == ("BUILD", "spawning", None)
    assert front.hear(op("CREATE", "error", at=5, **NO_ROOM))["status"] == "BUILD"
    front.pay()
    assert front.rapi.calls == [AGAIN]
    found = front.server()
    assert (found["status"], found["task"], found["job"]) == ("BUILD", "spawning", 12)
    assert front.owed() == []
    # The first one, told once more.
    assert front.hear(op("CREATE", "error", at=5, **NO_ROOM))["status"] == "BUILD"
    assert front.hear(op("CREATE", "success", job=12, at=9))["status"] == "ACTIVE"
    front.pay()
    assert front.rapi.calls == [AGAIN]


def test_it_is_submitted_no_third_time(front: Front) -> None:
    front.hear(op("CREATE", "error", at=5, **NO_ROOM))
    front.pay()
    found = front.hear(op("CREATE", "error", job=12, at=9, **NO_ROOM))
    assert (found["status"], found["fault"], found["task"]) == ("ERROR", "no room", None)
    front.pay()
    assert front.rapi.calls == [AGAIN]


@pytest.mark.parametrize(
    "message",
    [
        op("CREATE", "success", at=5),
        op("CREATE", "error", at=5, result="broke", error_code="insufficient_resources"),
        op("CREATE", "error", at=5, result="broke", error_code=None),
        op("CREATE", "canceled", at=5),
    ],
    ids=lambda message: f"{message['status']} {message.get('error_code')}",
)
def test_what_is_kept_goes_with_the_end_of_the_create(front: Front, message: dict[str, Any]) -> None:
    front.hear(op("CREATE", "running", at=4))
    assert len(front.owed()) == 1
    front.hear(message)
    front.pay()
    assert (front.owed(), front.rapi.calls) == ([], [])


def test_only_the_create_that_the_server_is_built_by_counts(front: Front) -> None:
    by_hand = op("CREATE", "error", job=9, at=5, **NO_ROOM)
    front.hear(by_hand)
    assert [each["tries"] for each in front.owed()] == [0]


def test_a_server_that_somebody_else_has_taken_in_hand_is_left_to_him(front: Front) -> None:
    front.hear(op("REMOVE", "queued", job=11, at=3))
    assert front.hear(op("CREATE", "error", at=5, **NO_ROOM))["status"] == "ERROR"
    assert front.owed() == []


def test_what_is_being_done_is_nobody_elses(front: Front) -> None:
    front.hear(op("CREATE", "error", at=5, **NO_ROOM))
    now = front.owed()[0]["due"]
    with front.engine.begin() as connection:
        assert owed.claim(connection, now - 1, 60) is None
        first = owed.claim(connection, now, 60)
        assert first is not None
        assert owed.claim(connection, now + 59, 60) is None
        second = owed.claim(connection, now + 60, 60)
    assert second is not None
    assert (first["tries"], second["tries"]) == (2, 3)


def test_the_answer_that_gave_the_job_may_have_been_lost(front: Front) -> None:
    with front.engine.begin() as connection:
        connection.execute(update(db.owed).values(job=None))
        connection.execute(update(db.server).values(job=None))
    assert front.hear(op("CREATE", "error", at=5, **NO_ROOM))["status"] == "BUILD"
    front.pay()
    assert front.rapi.calls == [AGAIN]


@pytest.mark.parametrize("heard", [False, True])
def test_who_dies_after_the_second_create_does_not_submit_a_third(front: Front, heard: bool) -> None:
    front.hear(op("CREATE", "error", at=5, **NO_ROOM))

    def die(_job: int) -> None:
        raise Killed

    front.rapi.on_submit = die
    with pytest.raises(Killed):
        front.pay()
    assert front.rapi.calls == [AGAIN]
    front.rapi.on_submit = None
    front.rapi.found = [
        {"id": 11, "ops": [{"OP_ID": "OP_INSTANCE_CREATE", "instance_name": "other"}]},
        {"id": 12, "ops": [{"OP_ID": "OP_INSTANCE_CREATE", "instance_name": NAME}]},
    ]
    if heard:
        assert front.hear(op("CREATE", "success", job=12, at=9))["status"] == "ACTIVE"
    front.pay()
    assert front.rapi.calls == [AGAIN]
    assert (front.server()["job"], front.owed()) == (12, [])
    assert front.server()["status"] == ("ACTIVE" if heard else "BUILD")
    if not heard:
        named = ["=[]", "summary", f"INSTANCE_CREATE({NAME})"]
        assert front.rapi.queried == [("job", ("id", "ops"), ["&", [">", "id", 10], named])]


def test_a_second_create_that_came_twice_breaks_nothing(front: Front) -> None:
    front.hear(op("CREATE", "error", at=5, **NO_ROOM))
    front.pay()
    front.hear(op("CREATE", "error", job=13, at=8, result="exists", error_code=state.ALREADY_EXISTS))
    assert front.hear(op("CREATE", "success", job=12, at=9))["status"] == "ACTIVE"


@pytest.mark.parametrize("error", [RapiUnavailable("down"), RapiError("queue is full", 429)])
def test_a_remote_api_that_is_away_is_asked_again(front: Front, error: Exception) -> None:
    front.hear(op("CREATE", "error", at=5, **NO_ROOM))
    front.rapi.fails = error
    front.pay()
    assert (front.server()["status"], len(front.owed())) == ("BUILD", 1)
    front.rapi.fails = None
    front.pay()
    assert front.rapi.calls == [AGAIN]


def test_a_create_that_cannot_be_submitted_is_given_up(front: Front) -> None:
    front.hear(op("CREATE", "error", at=5, **NO_ROOM))
    with front.engine.begin() as connection:
        connection.execute(update(db.owed).values(body=Vault("other" * 10).lock(BODY)))
    front.pay()
    found = front.server()
    assert (found["status"], found["task"], front.owed()) == ("ERROR", None, [])
    assert "another secret" in found["fault"]


def test_a_removal_that_is_owed_waits_for_the_create(front: Front) -> None:
    front.rapi.jobs = {10: "running"}
    assert front.delete() is not None
    front.pay()
    ((method, path, body, _),) = front.rapi.calls
    assert (method, path) == ("DELETE", f"instances/{NAME}")
    assert body["depends"] == [[10, ["success", "error", "canceled"]]]
    assert (front.server()["task"], front.server()["job"], front.owed()) == ("deleting", 12, [])
    # The create ends as it likes.
    front.hear(op("CREATE", "success", at=9))
    gone = front.hear(op("REMOVE", "success", job=12, at=10))
    assert (gone["deleted"], gone["task"], front.owed()) == (updates.BEGIN + 10, None, [])


@pytest.mark.parametrize("end", ["canceled", "error", "success"])
def test_deleted_while_it_is_built_it_is_shown_so_until_it_is_gone(front: Front, end: str) -> None:
    front.delete()
    found = front.hear(op("CREATE", "running", at=4))
    assert (found["status"], found["task"]) == ("BUILD", "deleting")
    front.pay()
    found = front.hear(op("CREATE", end, at=5, **(NO_ROOM if end == "error" else {})))
    assert found["task"] == "deleting"
    assert found["status"] == {"canceled": "BUILD", "error": "ERROR", "success": "ACTIVE"}[end]
    found = front.hear(op("REMOVE", "error", job=12, at=6, read_at=[updates.BEGIN + 7, 0]))
    assert (found["deleted"], found["task"]) == (updates.BEGIN + 7, None)
    front.pay()
    assert len(front.rapi.calls) == 1


def test_who_is_killed_after_the_promise_has_it_kept(front: Front) -> None:
    front.delete()  # and the API dies
    found = front.hear(op("CREATE", "success", at=5))
    assert found["status"] == "ACTIVE"
    front.pay()
    assert [call[:2] for call in front.rapi.calls] == [("DELETE", f"instances/{NAME}")]
    assert front.server()["task"] == "deleting"


def test_deleted_before_the_second_create_is_submitted(front: Front) -> None:
    front.hear(op("CREATE", "error", at=5, **NO_ROOM))
    front.delete()
    front.pay()
    assert [call[0] for call in front.rapi.calls] == ["DELETE"]
    assert front.owed() == []


def test_deleted_just_before_the_second_create_is_submitted(front: Front) -> None:
    front.hear(op("CREATE", "error", at=5, **NO_ROOM))
    now = front.owed()[0]["due"]
    with front.engine.begin() as connection:
        found = owed.claim(connection, now, 60)
    assert found is not None
    front.delete()
    Payer(front.engine, front.rapi, VAULT)._pay(found)
    assert front.rapi.calls == []
    front.pay()
    assert [call[0] for call in front.rapi.calls] == ["DELETE"]


def test_deleted_while_the_second_create_is_submitted(front: Front) -> None:
    front.hear(op("CREATE", "error", at=5, **NO_ROOM))

    def meanwhile(job: int) -> None:
        if job == 12:
            front.delete()
            front.rapi.jobs = {12: "queued"}

    front.rapi.on_submit = meanwhile
    front.pay(later=0.0)
    front.pay()
    first, second = front.rapi.calls
    assert first == AGAIN
    assert second[:2] == ("DELETE", f"instances/{NAME}")
    assert second[2]["depends"][0][0] == 12
    assert (front.rapi.canceled, front.owed()) == ([12], [])


def test_deleted_after_a_second_create_whose_submitter_died(front: Front) -> None:
    front.hear(op("CREATE", "error", at=5, **NO_ROOM))

    def die(_job: int) -> None:
        raise Killed

    front.rapi.on_submit = die
    with pytest.raises(Killed):
        front.pay()
    front.rapi.on_submit, front.rapi.jobs = None, {12: "running"}
    front.rapi.found = [{"id": 12, "ops": [{"OP_ID": "OP_INSTANCE_CREATE", "instance_name": NAME}]}]
    front.delete()
    for _ in range(3):  # the removal waits until it is known what it has to wait for
        front.pay()
    assert [call[0] for call in front.rapi.calls] == ["POST", "DELETE"]
    assert front.rapi.calls[1][2]["depends"][0][0] == 12
    assert front.owed() == []


def test_what_is_kept_is_forgotten_when_nobody_told_of_the_end(front: Front) -> None:
    front.pay(later=10.0)
    assert len(front.owed()) == 1, "it is still being built"
    with front.engine.begin() as connection:
        connection.execute(update(db.server).values(status="ACTIVE", power="ACTIVE"))
    front.pay(later=10.0)
    assert front.owed() == []


def test_who_is_waited_for(front: Front) -> None:
    def waiting() -> set[str]:
        with front.engine.connect() as connection:
            return owed.waiting(connection)

    assert waiting() == set()
    front.hear(op("CREATE", "error", at=5, **NO_ROOM))
    assert waiting() == {IDENT}


def test_tick_works_in_a_thread_of_its_own(front: Front) -> None:
    front.hear(op("CREATE", "error", at=5, **NO_ROOM))
    due = front.owed()[0]["due"]
    payer = Payer(front.engine, front.rapi, VAULT, clock=lambda: due + 1)
    payer.tick()
    assert payer._thread is not None
    payer._thread.join(10)
    assert front.rapi.calls == [AGAIN]
