"""What is owed, on PostgreSQL, where several consumers and the API's workers do it at one moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import delete

from frontend.database import db
from frontend.effect import payer
from frontend.effect.payer import Payer
from tests.contract.services import PostgreSql
from tests.unit.frontend.test_owed import NO_ROOM, VAULT, Front
from tests.unit.frontend.updates import op

ROUNDS = 25


@pytest.fixture(scope="module")
def url(postgresql: PostgreSql) -> str:
    return postgresql.database()


@pytest.fixture
def fronts(url: str) -> Iterator[Callable[[], Front]]:
    """Makes the same front anew."""
    engine = db.connect_writer(url)

    def make() -> Front:
        with engine.begin() as connection:
            connection.execute(delete(db.owed))
            connection.execute(delete(db.server))
        return Front(engine)

    yield make
    engine.dispose()


def at_once(*calls: Callable[[], object]) -> None:
    start, failed = threading.Barrier(len(calls)), list[BaseException]()

    def run(call: Callable[[], object]) -> None:
        start.wait()
        try:
            call()
        except BaseException as err:  # noqa: BLE001 (a thread's error is the test's)
            failed.append(err)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []


def consumer(front: Front) -> Callable[[], None]:
    return Payer(front.engine, front.rapi, VAULT, clock=lambda: time.time() + 1).work


def test_several_consumers_submit_it_once(fronts: Callable[[], Front]) -> None:
    for _ in range(ROUNDS):
        front = fronts()
        front.hear(op("CREATE", "error", at=5, **NO_ROOM))
        at_once(*(consumer(front) for _ in range(4)))
        assert [call[0] for call in front.rapi.calls] == ["POST"]
        assert (front.owed(), front.server()["job"]) == ([], 12)


def test_whoever_is_first_a_deleted_server_does_not_stay(fronts: Callable[[], Front]) -> None:
    def api(front: Front) -> None:
        promised = front.delete()
        assert promised is not None
        payer.remove(front.engine, front.rapi, promised)

    for _ in range(ROUNDS):
        front = fronts()
        front.hear(op("CREATE", "error", at=5, **NO_ROOM))
        front.rapi.jobs = {12: "running"}
        at_once(lambda front=front: api(front), consumer(front), consumer(front))  # type: ignore[misc]
        front.pay()
        assert front.owed() == []
        assert front.server()["task"] == "deleting"
        calls = [call[0] for call in front.rapi.calls]
        # No create is submitted behind which there is no removal.
        assert calls[-1] == "DELETE"
        assert calls.count("POST") <= 1
        if "POST" in calls:
            assert front.rapi.calls[-1][2]["depends"][0][0] == 12
