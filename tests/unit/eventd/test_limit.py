from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventd.limit import enforce
from ganeti_ext import event
from ganeti_ext.outbox import Outbox


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    made = Outbox(str(tmp_path / "outbox.db"))
    yield made
    made.close()


def put(outbox: Outbox, *statuses: str | None) -> None:
    kinds = [event.OP_STATUS if status else event.NET_STATUS for status in statuses]
    messages = [{"type": kind, "version": 1, "status": status} for kind, status in zip(kinds, statuses, strict=True)]
    outbox.put([("key", json.dumps(message)) for message in messages])


def left(outbox: Outbox) -> list[str | None]:
    return [json.loads(message.body)["status"] for message in outbox.take(10_000)]


def test_below_the_limit_nothing_is_dropped(outbox: Outbox) -> None:
    put(outbox, "queued", "success")
    assert enforce(outbox, 2) == 0
    assert left(outbox) == ["queued", "success"]


def test_final_states_outlive_newer_others(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    put(outbox, "success", "error", "running", None, "canceled", "queued")
    assert enforce(outbox, 4) == 2
    assert left(outbox) == ["success", "error", "canceled", "queued"]
    assert "more than 4 waited, dropped the 2 oldest, 0 of them final" in caplog.text


def test_the_oldest_final_states_go_last(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    put(outbox, "success", "running", "error", "canceled")
    assert enforce(outbox, 2) == 2
    assert left(outbox) == ["error", "canceled"]
    assert "1 of them final" in caplog.text


def test_more_than_a_page(outbox: Outbox) -> None:
    put(outbox, *["success"] * 1500, *["running"] * 1500)
    assert enforce(outbox, 1600) == 1400
    assert left(outbox) == ["success"] * 1500 + ["running"] * 100
