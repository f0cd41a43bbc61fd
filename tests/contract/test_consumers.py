"""Several real consumers of one real RabbitMQ, on PostgreSQL, while servers and consumers are killed and frozen."""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.update import incoming
from frontend.update.mirror import Mirror
from ganeti_ext.errors import ExtError
from ganeti_ext.outbox import Outbox
from tests.contract import consumers
from tests.contract.consumers import Broker, everything
from tests.contract.services import PostgreSql, RabbitMq
from tests.waiting import until

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")

# After the last part is back.
PROMISE = 5.0
# For this machine's other work; the promise itself is measured on a quiet cluster (tests/lab).
SLACK = 15.0


@pytest.fixture
def broker(rabbitmq: RabbitMq) -> Iterator[Broker]:
    with contextlib.closing(Broker(rabbitmq.url)) as made:
        yield made


@pytest.fixture
def url(postgresql: PostgreSql) -> str:
    return postgresql.database()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = db.connect_writer(url)
    yield engine
    engine.dispose()


def a_few() -> tuple[list[str], int]:
    """Messages of a few servers, and how many opcodes end in them."""
    told = consumers.lives(servers=4, jobs=1)
    return consumers.encode(told), sum(message["status"] == "success" for message in told)


def differences(one: Engine, other: Engine) -> Sequence[object]:
    left, right = everything(one), everything(other)
    pairs = ((a, b) for name in left for a, b in itertools.zip_longest(left[name], right[name]))
    return [pair for pair in pairs if pair[0] != pair[1]][:2]


def test_three_consumers_of_which_one_is_killed_end_as_one(
    tmp_path: Path, rabbitmq: RabbitMq, broker: Broker, engine: Engine, url: str, postgresql: PostgreSql
) -> None:
    told = consumers.lives(servers=50, jobs=9)
    assert len(told) >= 2000
    finals = sum(message["status"] == "success" for message in told)
    one = db.connect_writer(postgresql.database())
    mirror, in_order = Mirror(one, "gx-"), consumers.encode(told)
    for start in range(0, len(in_order), 100):
        assert sum(mirror.take_all(in_order[start : start + 100])) == len(in_order[start : start + 100])
    chance = random.Random(2026)
    shuffled = in_order + chance.sample(in_order, 300)
    chance.shuffle(shuffled)
    with consumers.running(tmp_path, 3, rabbitmq.url, url) as started:
        broker.publish(shuffled[:1500])
        until(lambda: consumers.counted(engine) > finals // 10)
        started[1].kill()
        broker.publish(shuffled[1500:])
        until(
            lambda: consumers.counted(engine) == finals,
            lambda: [(consumers.counted(engine), broker.waiting()), *(each.complaints for each in started)],
        )
        until(lambda: everything(engine) == everything(one), lambda: differences(engine, one), SLACK)
        # Who works has taken part, and nobody has anything left.
        assert all("connected" in each.log for each in started)
        assert broker.waiting() == 0
    assert everything(engine)["dead_letter"] == []
    one.dispose()


def test_what_is_told_beside_the_birth_of_a_server_is_not_lost(
    engine: Engine, url: str, postgresql: PostgreSql
) -> None:
    """One consumer has its removal, and has not committed yet; another one has all that was before."""
    told = consumers.encode(consumers.lives(servers=1, jobs=1))
    reference, other = db.connect_writer(postgresql.database()), db.connect_writer(url)
    for body in told:
        Mirror(reference, "gx-").take(body)
    applied, go_on = threading.Event(), threading.Event()

    def pause(_: object) -> None:
        applied.set()
        assert go_on.wait(20)

    event.listen(other, "commit", pause)
    last = threading.Thread(target=Mirror(other, "gx-").take, args=(told[-1],))
    last.start()
    assert applied.wait(20)
    first = threading.Thread(target=lambda: list(Mirror(engine, "gx-").take_all(told[:-1])))
    first.start()
    first.join(0.5)  # with no wait for the other one it would be through by then
    go_on.set()
    for thread in (first, last):
        thread.join(20)
    assert differences(engine, reference) == []
    for each in (reference, other):
        each.dispose()


def test_what_cannot_be_taken_is_laid_aside_once_and_the_rest_goes_on(
    tmp_path: Path, rabbitmq: RabbitMq, broker: Broker, engine: Engine, url: str
) -> None:
    good, finals = a_few()
    with consumers.running(tmp_path, 1, rabbitmq.url, url) as started:
        broker.publish(good[:3])
        broker.publish(["garbage"])
        broker.publish([b"x" * (incoming.LARGEST + 1)])
        # Says that it is compressed, and is not.
        broker.publish(["{}"], headers={"compression": "application/x-gzip"})
        broker.publish(["{}"], headers={"compression": "no such thing"})
        broker.publish(["[" * 100_000], key="eventd.heartbeat")
        broker.publish(good[3:])
        until(lambda: consumers.counted(engine) == finals, lambda: started[0].complaints)
        until(lambda: len(everything(engine)["dead_letter"]) == 4, lambda: everything(engine)["dead_letter"])
        until(lambda: broker.waiting() == 0)
        assert started[0].process.poll() is None
        assert started[0].log.count("laid aside") == 5  # two of them are the same
        assert started[0].log.count("connected") == 1
    again = {"large": f"ValueError: {incoming.LARGEST + 1} octets", "text": "JSONDecodeError"}
    reasons = [letter["reason"] for letter in everything(engine)["dead_letter"]]
    assert all(any(reason.startswith(start) for reason in reasons) for start in again.values()), reasons
    assert broker.waiting() == 0


def test_a_broker_that_is_killed(tmp_path: Path, rabbitmq: RabbitMq, broker: Broker, engine: Engine, url: str) -> None:
    told, finals = a_few()
    with consumers.running(tmp_path, 1, rabbitmq.url, url) as started:
        broker.publish(told[: len(told) // 2])
        until(lambda: consumers.counted(engine) > 0)
        rabbitmq.kill()
        until(lambda: "trying again every 2 s" in started[0].log, lambda: started[0].complaints)
        rabbitmq.start()
        until(lambda: started[0].log.count("connected") == 2, lambda: started[0].complaints, PROMISE + SLACK)
        with contextlib.closing(Broker(rabbitmq.url)) as again:
            again.publish(told)
            until(lambda: consumers.counted(engine) == finals, lambda: started[0].complaints)
        assert "reconcile" in started[0].log
        assert started[0].process.poll() is None
        assert "Passw0rd" not in started[0].log


def test_a_broker_that_is_frozen_is_given_up(
    tmp_path: Path, rabbitmq: RabbitMq, broker: Broker, engine: Engine, url: str
) -> None:
    told, finals = a_few()
    with consumers.running(tmp_path, 1, rabbitmq.url, url) as started:
        broker.publish(told[:8])
        until(lambda: consumers.counted(engine) > 0)
        with rabbitmq.frozen():
            until(lambda: "connecting again" in started[0].log, lambda: started[0].complaints, 12 + SLACK)
            # Nothing hangs: a signal would be heard.
            until(lambda: "trying again every 2 s" in started[0].log, lambda: started[0].complaints, 12 + SLACK)
        until(lambda: started[0].log.count("connected") == 2, lambda: started[0].complaints, PROMISE + SLACK)
        with contextlib.closing(Broker(rabbitmq.url)) as again:
            again.publish(told)
            until(lambda: consumers.counted(engine) == finals, lambda: started[0].complaints)


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_a_database_that_goes_away_and_comes_back(
    tmp_path: Path, rabbitmq: RabbitMq, broker: Broker, engine: Engine, url: str, postgresql: PostgreSql, how: str
) -> None:
    told, finals = a_few()
    with consumers.running(tmp_path, 1, rabbitmq.url, url) as started:
        broker.publish(told[:8])
        until(lambda: consumers.counted(engine) > 0)
        engine.dispose()
        with postgresql.frozen() if how == "frozen" else contextlib.nullcontext():
            if how == "killed":
                postgresql.kill()
            broker.publish(told[8:])
            until(
                lambda: "messages wait; trying again every 2 s" in started[0].log,
                lambda: started[0].complaints,
                12 + SLACK,
            )
            if how == "frozen":
                assert "no answer within" in started[0].log
        if how == "killed":
            postgresql.start()
        took = until(lambda: consumers.counted(engine) == finals, lambda: started[0].complaints, PROMISE + SLACK)
        assert took < PROMISE + SLACK
        assert everything(engine)["dead_letter"] == []
        assert started[0].process.poll() is None


def test_a_signal_is_heard_while_everything_is_frozen(
    tmp_path: Path, rabbitmq: RabbitMq, broker: Broker, engine: Engine, url: str, postgresql: PostgreSql
) -> None:
    told, _ = a_few()
    with consumers.running(tmp_path, 1, rabbitmq.url, url) as started:
        broker.publish(told[:8])
        until(lambda: consumers.counted(engine) > 0)
        engine.dispose()
        broker.publish(told[8:])
        with postgresql.frozen(), rabbitmq.frozen():
            started[0].process.terminate()
            began = time.monotonic()
            assert started[0].process.wait(15 + SLACK) == 0
            assert time.monotonic() - began < 15 + SLACK


def test_a_second_consumer_of_an_outbox_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    outbox = Outbox(str(tmp_path / "outbox.db"))
    place = f"outbox:{tmp_path}/outbox.db"
    with contextlib.closing(consumers.Consumer(folder, place, f"sqlite:///{tmp_path}/front.db")) as first:
        with pytest.raises((AssertionError, TimeoutError, ExtError)):
            consumers.Consumer(tmp_path / "d", place, f"sqlite:///{tmp_path}/front.db")
        said = (tmp_path / "d/log").read_text()
        assert f"process {first.process.pid} takes from it already; several consumers need RabbitMQ" in said
    outbox.close()
