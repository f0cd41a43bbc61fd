"""Many messages in one transaction: as if each had come alone, and none keeps the others."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import SQLAlchemyError

from frontend.database import db
from frontend.update import incoming, mirror_server
from frontend.update.mirror import TRIES, Mirror
from ganeti_ext import event as messages
from tests.unit.frontend.updates import BEGIN, create, network, network_data, op, read

NOW = BEGIN + 1000.0
SERVERS = 6


def ident(number: int) -> str:
    return f"7a1f0a52-52b4-4f0d-9d39-{number:012x}"


def history() -> list[dict[str, Any]]:
    """Lives of some servers, and a network, in the order in which they were seen."""
    found: list[dict[str, Any]] = [network("ADD", "success", 1, job=1, **network_data(2), seq=[1, 1])]
    number = 1

    def add(message: dict[str, Any], server: int) -> None:
        nonlocal number
        number += 1
        found.append({**message, "instance": f"gx-{ident(server)}", "seq": [1, number]})

    for server in range(SERVERS):
        job = 100 + 10 * server
        for status in ("queued", "running"):
            add(create(status, job=job, at=number), server)
        add(create("success", job=job, at=number, **read(True, at=number)), server)
        for offset, opcode in enumerate(("SHUTDOWN", "STARTUP", "SHUTDOWN", "REMOVE")[: 1 + server % 4]):
            add(op(opcode, "running", job=job + offset + 1, at=number), server)
            add(op(opcode, "success", job=job + offset + 1, at=number), server)
    return found


class Made:
    """A mirror of a database of its own, and what it said of the messages."""

    def __init__(self, path: Path) -> None:
        self.engine = db.connect_writer(f"sqlite:///{path}")
        self.seen: list[tuple[str | None, str]] = []
        self.compared: list[str] = []
        self.mirror = Mirror(self.engine, "gx-", lambda: NOW, self._seen, lambda why, _: self.compared.append(why))
        self.transactions = 0
        event.listen(self.engine, "commit", self._count)

    def _seen(self, message: Any, outcome: str) -> None:
        self.seen.append((message.get("type"), outcome))

    def _count(self, _: object) -> None:
        self.transactions += 1

    def take(self, *bodies: str | bytes | dict[str, Any]) -> None:
        encoded = [messages.encode(body) if isinstance(body, dict) else body for body in bodies]
        assert sum(self.mirror.take_all(encoded)) == len(encoded)

    def rows(self, table: Any) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return db.rows(connection, select(table).order_by(*table.primary_key))

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        return {table.name: self.rows(table) for table in (db.server, db.network, db.action, db.dead_letter)}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[], Made]]:
    made: list[Made] = []

    def new() -> Made:
        made.append(Made(tmp_path / f"{len(made)}.db"))
        return made[-1]

    yield new
    for one in made:
        one.engine.dispose()


@pytest.fixture
def made(make: Callable[[], Made]) -> Made:
    return make()


def test_batches_of_any_size_and_order_end_as_one_by_one(make: Callable[[], Made]) -> None:
    chance, told, expected = random.Random(20261121), history(), make()
    for message in told:
        expected.take(message)
    assert {row["status"] for row in expected.rows(db.action)} == {"success"}
    for size in (1, 2, 7, 30, 100):
        shuffled = [*told, *chance.sample(told, 20)]
        chance.shuffle(shuffled)
        one = make()
        for start in range(0, len(shuffled), size):
            one.take(*shuffled[start : start + size])
        assert one.everything() == expected.everything(), size


def test_a_batch_is_one_transaction_also_with_garbage_in_it(made: Made) -> None:
    made.take(*history(), "garbage", b"\xff", *history())
    assert made.transactions == 1
    assert len(made.rows(db.dead_letter)) == 2
    assert len(made.rows(db.server)) == SERVERS
    assert made.seen.count((None, "dead")) == 2
    assert made.seen.count((messages.OP_STATUS, "skipped")) >= len(history()) - 1


def test_a_bad_message_in_a_batch_keeps_none_of_the_others(made: Made) -> None:
    told = history()
    bad = network("ADD", "success", 1, job=2, network_data={"name": "a"}, read_at=[1, 2])
    made.take(*told[:5], bad, *told[5:])
    assert len(made.rows(db.dead_letter)) == 1
    assert len(made.rows(db.server)) == SERVERS


def _breaks(monkeypatch: pytest.MonkeyPatch, action: Callable[[Any], object]) -> list[str]:
    """From now on the server of one instance has a bug; returns the calls."""
    original, calls = mirror_server.apply, []

    def broken(rows: Any, message: Any) -> bool:
        if message["instance"] == f"gx-{ident(2)}":
            calls.append(message["status"])
            action(rows)
        return original(rows, message)

    monkeypatch.setattr(mirror_server, "apply", broken)
    return calls


def test_a_bug_in_one_message_is_tried_three_times_and_laid_aside(
    make: Callable[[], Made], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("in truth")

    calls = _breaks(monkeypatch, fail)
    made = make()  # the table of handlers is made with it
    made.take(create("success", instance=f"gx-{ident(1)}"), create("success", instance=f"gx-{ident(2)}"), "garbage")
    assert len(calls) == 1 + TRIES
    assert [row["id"] for row in made.rows(db.server)] == [ident(1)]
    letter = next(row for row in made.rows(db.dead_letter) if row["body"] != "garbage")
    assert (letter["tries"], letter["time"]) == (TRIES, NOW)
    assert letter["reason"].startswith("ZeroDivisionError: in truth, in test_mirror_batch.py:")
    assert "laid aside, ZeroDivisionError" in caplog.text
    assert sorted(outcome for _, outcome in made.seen) == ["applied", "dead", "dead"]


def test_sql_that_is_wrong_for_one_message_is_no_absence_of_the_database(
    make: Callable[[], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = {"secret": "Passw0rd"}
    _breaks(monkeypatch, lambda rows: rows.connection.execute(text("SELECT x FROM nowhere WHERE y = :secret"), secret))
    made = make()
    # SQLite calls that an OperationalError: the message waits, as nobody can tell it from a lost table.
    with pytest.raises(SQLAlchemyError):
        made.take(create("success", instance=f"gx-{ident(2)}"))
    assert made.rows(db.dead_letter) == []


def test_a_table_that_is_gone_is_the_databases_fault(made: Made) -> None:
    with made.engine.begin() as connection:
        connection.execute(text("ALTER TABLE action RENAME TO gone"))
    with pytest.raises(SQLAlchemyError):
        made.take(create("success"))
    with made.engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO action"))
    made.take(create("success"))
    assert (len(made.rows(db.server)), made.rows(db.dead_letter)) == (1, [])


def test_what_is_seen_is_in_the_database(make: Callable[[], Made]) -> None:
    made, found = make(), []
    made.mirror._seen = lambda *_: found.append(len(made.rows(db.server)))
    made.take(*history())
    assert set(found) == {SERVERS}


def test_a_message_too_large_is_cut_and_cannot_be_replayed(made: Made) -> None:
    made.take(b"x" * (incoming.LARGEST + 1))
    letter = made.rows(db.dead_letter)[0]
    assert letter["reason"].startswith(f"ValueError: {incoming.LARGEST + 1} octets, and {incoming.LARGEST} are allowed")
    assert len(letter["body"]) == 65536
    assert made.mirror.replay(letter) == "only a part of it could be kept"


def test_a_letter_is_replayed_once_its_reason_is_gone(
    make: Callable[[], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("in truth")

    with monkeypatch.context() as patch:
        _breaks(patch, fail)
        made = make()
        made.take(create("success", instance=f"gx-{ident(2)}"))
        failed = made.mirror.replay(made.rows(db.dead_letter)[0])
        assert failed is not None
        assert failed.startswith("ZeroDivisionError: in truth")
        assert made.rows(db.dead_letter)[0]["tries"] == TRIES + 1
    mended = Mirror(made.engine, "gx-")
    assert mended.replay(made.rows(db.dead_letter)[0]) is None
    assert made.rows(db.dead_letter) == []
    assert made.rows(db.server)[0]["status"] == "ACTIVE"


def test_garbage_replayed_stays_what_it_is(made: Made) -> None:
    made.take("garbage")
    failed = made.mirror.replay(made.rows(db.dead_letter)[0])
    assert failed is not None
    assert failed.startswith("JSONDecodeError")
    assert [row["tries"] for row in made.rows(db.dead_letter)] == [2]


def test_what_was_taken_outlives_a_loss_of_power(made: Made) -> None:
    with made.engine.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
