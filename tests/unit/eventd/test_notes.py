from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventd.notes import Notes
from ganeti_ext import event
from ganeti_ext.outbox import Outbox

NOTE = {
    "type": "ganeti-net-status", "version": 1, "event_time": [5, 6], "cluster": "c", "instance": "gx-1",
    "operation": "OP_INSTANCE_STARTUP", "primary": "node1", "nics": [],
}  # fmt: skip


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    path = tmp_path / "notes"
    path.mkdir()
    return path


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    made = Outbox(str(tmp_path / "outbox.db"))
    yield made
    made.close()


def leave(spool: Path, name: str, **changes: Any) -> str:
    (spool / name).write_text(json.dumps({**NOTE, **changes}))
    return name


def told(outbox: Outbox) -> list[dict[str, Any]]:
    return [event.decode(message.body) for message in outbox.take(10_000)]


def test_a_note_is_put_and_removed(spool: Path, outbox: Outbox) -> None:
    notes = Notes(str(spool), outbox, "node1.example.org")
    notes.written([leave(spool, "1-2.json")])
    (message,) = outbox.take(10)
    assert message.key == "ganeti.gx.event.net"
    assert told(outbox) == [{**NOTE, "node": "node1.example.org"}]
    assert list(spool.iterdir()) == []


def test_what_was_there_before_the_start_comes_in_order(spool: Path, outbox: Outbox) -> None:
    for name, instance in (("20-9.json", "gx-b"), ("10-9.json", "gx-a"), ("30-9.json", "gx-c")):
        leave(spool, name, instance=instance)
    Notes(str(spool), outbox, "n").scan()
    assert [message["instance"] for message in told(outbox)] == ["gx-a", "gx-b", "gx-c"]


def test_dying_between_put_and_removal_does_not_repeat(spool: Path, outbox: Outbox) -> None:
    notes = Notes(str(spool), outbox, "n")
    notes.written([leave(spool, "1-2.json")])
    leave(spool, "1-2.json")  # as if it had not been removed
    Notes(str(spool), outbox, "n").scan()
    assert len(told(outbox)) == 1
    assert list(spool.iterdir()) == []


def test_cursors_of_notes_do_not_pile_up(spool: Path, outbox: Outbox) -> None:
    notes = Notes(str(spool), outbox, "n")
    for number in range(5):
        notes.written([leave(spool, f"{number}-2.json")])
    assert list(outbox.cursors()) == ["note/4-2.json"]
    restarted = Notes(str(spool), outbox, "n")
    restarted.scan()
    restarted.written([leave(spool, "9-2.json")])
    assert list(outbox.cursors()) == ["note/9-2.json"]


def test_a_note_that_cannot_be_removed_is_told_once(
    spool: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stuck(path: str) -> bool:
        raise PermissionError(1, "Operation not permitted", path)

    notes = Notes(str(spool), outbox, "n")
    with monkeypatch.context() as patch:
        patch.setattr("ganeti_ext.files.remove", stuck)
        notes.written([leave(spool, "1-2.json")])
        notes.written([leave(spool, "2-2.json", instance="gx-2")])
        notes.scan()
    assert [message["instance"] for message in told(outbox)] == ["gx-1", "gx-2"]
    assert "cannot be removed" in caplog.text
    notes.scan()
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting"),
        ("[]", "not a message of a known type"),
        ("\udcff", "decode"),
        (json.dumps({**NOTE, "type": "ganeti-op-status"}), "a note of type 'ganeti-op-status'"),
        (json.dumps({**NOTE, "version": 2}), "version 2"),
        (json.dumps({**NOTE, "instance": None}), "names no instance"),
        (" " * 300_000, "longer than"),
    ],
)
def test_garbage_is_set_aside_with_one_line(
    spool: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture, text: str, message: str
) -> None:
    (spool / "1-2.json").write_bytes(text.encode(errors="surrogateescape"))
    leave(spool, "2-2.json")
    notes = Notes(str(spool), outbox, "n")
    notes.scan()
    notes.scan()
    assert len(told(outbox)) == 1
    assert [path.name for path in (spool / "bad").iterdir()] == ["1-2.json"]
    assert len(caplog.records) == 1
    assert message in caplog.text


def test_the_heap_of_garbage_is_bounded(
    spool: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("eventd.notes._MOST_BAD", 2)
    for number in range(4):
        (spool / f"{number}-2.json").write_text("x")
    with caplog.at_level(logging.ERROR):
        Notes(str(spool), outbox, "n").scan()
    assert len(list((spool / "bad").iterdir())) == 2
    assert [path.name for path in spool.iterdir()] == ["bad"]


def test_drafts_and_other_files_are_left_alone(spool: Path, outbox: Outbox) -> None:
    for name in (".1-2.json.77", "README"):
        leave(spool, name)
    Notes(str(spool), outbox, "n").scan()
    assert len(list(spool.iterdir())) == 2
    assert told(outbox) == []


def test_a_spool_that_is_not_there_yet(tmp_path: Path, outbox: Outbox) -> None:
    notes = Notes(str(tmp_path / "none"), outbox, "n")
    notes.scan()
    notes.written(["1-2.json"])
    assert told(outbox) == []
