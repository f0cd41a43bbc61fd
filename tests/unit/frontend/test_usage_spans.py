"""Spans: whatever order messages come in, and however often, what was used is what a model of the time says."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update
from sqlalchemy.engine import Connection, Engine

from frontend.database import db
from frontend.settings import Credits
from frontend.update.mirror import Mirror
from frontend.usage import audit, points, spans, sums
from frontend.usage.spans import Key
from ganeti_ext import event, tags
from tests.unit.frontend import updates
from tests.unit.frontend.updates import BEGIN, FACTS, IDENT, PROJECT

FOR_EVER = BEGIN + 1_000_000.0
Message = dict[str, Any]

SIZES = st.tuples(st.integers(1, 8), st.sampled_from([512, 1024, 4096]))
CHANGE = st.tuples(st.just("size"), st.integers(1, 5000), SIZES)
FLAVOR = st.tuples(st.just("flavor"), st.integers(1, 5000), st.sampled_from(["f1", "f2", "f3"]))
STORY = st.lists(st.one_of(CHANGE, FLAVOR), max_size=6)


class Told:
    """A server's story as Ganeti would tell it, and how long it had what."""

    def __init__(self, story: Sequence[tuple[str, int, Any]], ends: int | None) -> None:
        self.messages: list[Message] = []
        self.parts: list[tuple[float, float, dict[str, Any]]] = []
        """From, to, with what."""
        self._at, self._job = 100, 10
        self._has: dict[str, Any] = {"vcpus": 2, "ram": 512, "flavor_id": "f1"}
        self._say(updates.create("success", at=self._at))
        for kind, pause, value in story:
            self._pass(pause)
            if kind == "size":
                self._has |= {"vcpus": value[0], "ram": value[1]}
                params = {"vcpus": value[0], "minmem": value[1], "maxmem": value[1]}
                self._say(self._op("OP_INSTANCE_SET_PARAMS", {"beparams": params}))
            else:
                self._has["flavor_id"] = value
                self._say(self._op("OP_TAGS_SET", {"tags": tags.encode({"flavor": value})}))
        self._pass(3600 if ends is None else ends)
        self.end = float(BEGIN + self._at)
        if ends is not None:
            message = self._op("OP_INSTANCE_REMOVE", {})
            self.messages.append({**message, "read_at": [BEGIN + self._at, 500_000], "seq": [1, 99]})

    def _pass(self, seconds: int) -> None:
        began = BEGIN + self._at
        self.parts.append((float(began), float(began + seconds), dict(self._has)))
        self._at += seconds

    def _op(self, operation: str, fields: dict[str, Any]) -> Message:
        self._job += 1
        return updates.op(operation, "success", job=self._job, at=self._at, job_fields=fields)

    def _say(self, message: Message) -> None:
        state: dict[str, Any] = {
            "beparams": {"vcpus": self._has["vcpus"], "maxmem": self._has["ram"]},
            "tags": tags.encode({**FACTS, "flavor": self._has["flavor_id"]}),
        }
        read = updates.read(True, self._at, **state)
        disks = {"instance_disks": [{"name": None, "size": 3072, "uuid": "d1"}]}
        self.messages.append({**message, **read, **disks, "seq": [1, len(self.messages)]})

    def used(self, start: float, end: float, column: str) -> float:
        return (
            sum(max(0.0, min(end, to) - max(start, began)) * float(has[column]) for began, to, has in self.parts) / 3600
        )


def empty(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in (db.server, db.usage_span, db.action):
            connection.execute(delete(table))


def used(engine: Engine, start: float, end: float) -> sums.Used:
    with engine.connect() as connection:
        found = sums.by(sums.of(connection, start, end), ("project_id",), start, end, Credits(vcpu=1), {})
    assert set(found) <= {(PROJECT,)}
    return found.get((PROJECT,), sums.Used())


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STORY, st.one_of(st.none(), st.integers(1, 5000)), st.randoms(use_true_random=False), st.data())
def test_what_was_used_is_what_the_model_says(
    engine: Engine, story: list[Any], ends: int | None, shuffle: random.Random, data: st.DataObject
) -> None:
    told = Told(story, ends)
    messages = [*told.messages, *shuffle.sample(told.messages, len(told.messages) // 2)]
    shuffle.shuffle(messages)
    empty(engine)
    mirror = Mirror(engine, "gx-")
    for message in messages:
        mirror.take(event.encode(message))
    first = data.draw(st.integers(0, int(told.end - BEGIN)))
    for start, end in ((float(BEGIN), told.end), (float(BEGIN + first), told.end), (float(BEGIN), BEGIN + first + 0.5)):
        found = used(engine, start, end)
        assert found.core_hours == pytest.approx(told.used(start, end, "vcpus"), abs=1e-6)
        assert found.ram_gib_hours == pytest.approx(told.used(start, end, "ram") / 1024, abs=1e-6)
        assert found.credits == pytest.approx(found.core_hours)
    after = used(engine, told.end, FOR_EVER).server_hours
    assert after == (0.0 if ends is not None else pytest.approx((FOR_EVER - told.end) / 3600))


def said(*points: tuple[float, dict[str, Any]]) -> dict[Key, dict[str, Any]]:
    return {Key(began, number, 0): words for number, (began, words) in enumerate(points)}


def test_a_point_says_what_holds_until_the_next() -> None:
    points = said((10.0, {"alive": True, "vcpus": 1}), (20.0, {"vcpus": 4}), (25.0, {"alive": False}))
    first, second, third = (spans.folded(points)[key] for key in sorted(points))
    assert (first["vcpus"], first["until"], first["alive"]) == (1, 20.0, True)
    assert (second["vcpus"], second["until"], second["alive"]) == (4, 25.0, True)
    assert (third["until"], third["alive"]) == (None, False)
    assert spans.seconds(10.0, 20.0, 12.0, 15.5) == 3.5
    assert spans.seconds(10.0, None, 12.0, 15.5) == 3.5
    assert spans.seconds(10.0, 11.0, 12.0, 15.5) == 0.0


def test_a_comparison_finds_what_no_message_told(engine: Engine) -> None:
    """A row that a comparison made counts from Ganeti's time of its making on; what it takes away counts no more."""
    row = {**updates.row(), "power": "ACTIVE", "status": "ACTIVE"}
    with engine.begin() as connection:
        connection.execute(db.server.insert().values(row))
    assert audit.run(engine, BEGIN + 500.0) == 1
    assert audit.run(engine, BEGIN + 600.0) == 0
    assert used(engine, 0.0, BEGIN + 3600.0).server_hours == pytest.approx(1.0)
    with engine.begin() as connection:
        connection.execute(update(db.server).where(db.server.c.id == IDENT).values(vcpus=3))
    assert audit.run(engine, BEGIN + 1800.0) == 1
    with engine.begin() as connection:
        connection.execute(update(db.server).where(db.server.c.id == IDENT).values(deleted=BEGIN + 3600.0))
    assert audit.run(engine, BEGIN + 9000.0) == 1
    assert audit.run(engine, BEGIN + 9001.0) == 0
    found = used(engine, 0.0, FOR_EVER)
    assert found.server_hours == pytest.approx(1.0)
    assert found.core_hours == pytest.approx(0.5 + 1.5)


def test_what_a_message_writes_meanwhile_holds_nobody_else_up(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many things that a comparison writes at once, one was just written: the others are."""
    idents = [f"7a1f0a52-52b4-4f0d-9d39-{number:012x}" for number in range(7)]
    with engine.begin() as connection:
        for ident in idents:
            row = {**updates.row(), "id": ident, "instance": f"gx-{ident}", "power": "ACTIVE"}
            connection.execute(db.server.insert().values(row))
    real, taken = points.of_things, idents[2]

    def of_things(connection: Connection, kind: str, things: Sequence[str]) -> Any:
        return {**real(connection, kind, things), **({taken: {}} if taken in things else {})}

    assert audit.run(engine, BEGIN + 500.0) == len(idents)
    with engine.begin() as connection:
        connection.execute(delete(db.usage_span).where(db.usage_span.c.thing != taken))
        connection.execute(update(db.usage_span).values(alive=False))
    monkeypatch.setattr(points, "of_things", of_things)
    assert audit.run(engine, BEGIN + 500.0) == len(idents) - 1
    monkeypatch.undo()
    with engine.connect() as connection:
        written = connection.execute(select(db.usage_span.c.thing).where(db.usage_span.c.alive.is_(True))).scalars()
        assert set(written) == {*idents} - {taken}


def test_a_create_that_fails_counts_nothing(engine: Engine) -> None:
    mirror = Mirror(engine, "gx-")
    mirror.take(event.encode(updates.create("error", at=5, result="broke")))
    audit.run(engine, BEGIN + 10.0)
    with engine.connect() as connection:
        assert db.rows(connection, select(db.usage_span)) == []


def test_public_addresses_count_as_long_as_nics_have_them(engine: Engine) -> None:
    network = {"id": "u-blue", "name": "blue", "subnet": "198.51.100.0/24", "tags": [], "updated": 0.0}
    with engine.begin() as connection:
        connection.execute(db.network.insert().values(network))
    nic = {**updates.NIC, "ip": "198.51.100.7"}
    mirror = Mirror(engine, "gx-")
    made = {**updates.create("success", at=10), **updates.read(True, 10, tags=tags.encode(FACTS))}
    mirror.take(event.encode({**made, "instance_nics": [nic]}))
    gone = updates.op("REMOVE", "success", job=11, at=3610, read_at=[BEGIN + 3610, 0])
    for _ in range(2):
        mirror.take(event.encode(gone))
    assert used(engine, 0.0, FOR_EVER).address_hours == pytest.approx(1.0, abs=1 / 3600)
    assert audit.run(engine, FOR_EVER) == 0


def test_what_deletes_the_rows_ends_their_spans(engine: Engine) -> None:
    values = {"name": "i", "visibility": "private", "size": 2 << 30, "sha256": "", "min_disk": 0, "min_ram": 0}
    with engine.begin() as connection:
        connection.execute(db.project.insert().values(id=PROJECT, name="p", max_servers=1, max_cores=1, max_ram=1))
        connection.execute(db.image.insert().values(id="i", owner_id=PROJECT, created=1000.0, properties={}, **values))
    assert audit.run(engine, 4600.0) == 1
    with engine.begin() as connection:
        connection.execute(delete(db.image))
    assert audit.run(engine, 1000.0 + 7200.0) == 1
    assert used(engine, 0.0, FOR_EVER).image_gib_hours == pytest.approx(4.0)
