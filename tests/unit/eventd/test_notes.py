from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventd.counts import Counts
from eventd.notes import Notes
from eventd.spool import Spool
from ganeti_ext import event
from ganeti_ext.outbox import Outbox

NOTE = {
    "type": "ganeti-net-status", "version": 1, "event_time": [5, 6], "cluster": "c", "instance": "gx-1",
    "operation": "OP_INSTANCE_STARTUP", "primary": "node1", "nics": [],
}  # fmt: skip
PROGRESS = {
    "type": "image-copy-progress", "version": 1, "event_time": [5, 6], "cluster": "c", "instance": "gx-1",
    "disk": "gx-1.disk0", "position": 100, "total": 400, "progress": 25.0,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "notes"
    path.mkdir()
    return path


Start = Callable[..., Notes]


@pytest.fixture
def start(folder: Path, spool: Spool, counts: Counts) -> Start:
    """eventd started (anew) beside the notes."""
    return lambda: Notes(str(folder), spool, "node1.example.org", counts)


def leave(folder: Path, name: str, **changes: Any) -> str:
    (folder / name).write_text(json.dumps({**NOTE, **changes}))
    return name


def told(outbox: Outbox) -> list[dict[str, Any]]:
    return [event.decode(message.body) for message in outbox.take(10_000)]


def test_a_note_is_put_and_removed(folder: Path, outbox: Outbox, start: Start) -> None:
    notes = start()
    notes.written([leave(folder, "1-2.json")])
    (message,) = outbox.take(10)
    assert message.key == "ganeti.gx.event.net"
    assert told(outbox) == [{**NOTE, "node": "node1.example.org"}]
    assert list(folder.iterdir()) == []


def test_what_was_there_before_the_start_comes_in_order(folder: Path, outbox: Outbox, start: Start) -> None:
    for name, instance in (("20-9.json", "gx-b"), ("10-9.json", "gx-a"), ("30-9.json", "gx-c")):
        leave(folder, name, instance=instance)
    start().scan()
    assert [message["instance"] for message in told(outbox)] == ["gx-a", "gx-b", "gx-c"]


def test_dying_between_put_and_removal_does_not_repeat(folder: Path, outbox: Outbox, start: Start) -> None:
    notes = start()
    notes.written([leave(folder, "1-2.json")])
    leave(folder, "1-2.json")  # as if it had not been removed
    start().scan()
    assert len(told(outbox)) == 1
    assert list(folder.iterdir()) == []


def test_cursors_of_notes_do_not_pile_up(folder: Path, outbox: Outbox, start: Start) -> None:
    notes = start()
    for number in range(5):
        notes.written([leave(folder, f"{number}-2.json")])
    assert list(outbox.cursors()) == ["note/4-2.json"]
    restarted = start()
    restarted.scan()
    restarted.written([leave(folder, "9-2.json")])
    assert list(outbox.cursors()) == ["note/9-2.json"]


def test_a_note_that_cannot_be_removed_is_told_once(
    folder: Path, outbox: Outbox, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stuck(path: str) -> bool:
        raise PermissionError(1, "Operation not permitted", path)

    notes = start()
    with monkeypatch.context() as patch:
        patch.setattr("ganeti_ext.files.remove", stuck)
        notes.written([leave(folder, "1-2.json")])
        notes.written([leave(folder, "2-2.json", instance="gx-2")])
        notes.scan()
    assert [message["instance"] for message in told(outbox)] == ["gx-1", "gx-2"]
    assert "cannot be removed" in caplog.text
    notes.scan()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting"),
        ("[]", "not a message of a known type"),
        ("\udcff", "decode"),
        (json.dumps({**NOTE, "type": "ganeti-op-status"}), "a note of type 'ganeti-op-status'"),
        (json.dumps({**NOTE, "version": 2}), "version 2"),
        (json.dumps({**NOTE, "instance": None}), "names no instance"),
        (json.dumps({**NOTE, "event_time": 5}), "event_time is 5, not"),
        (json.dumps({**PROGRESS, "total": None}), "total is None, no number"),
        (json.dumps({**PROGRESS, "position": True}), "position is True"),
        (json.dumps({**PROGRESS, "position": -1}), "position is -1"),
        (json.dumps({**PROGRESS, "position": 401}), "401 of 400 bytes are 25.0 %"),
        (json.dumps({**PROGRESS, "progress": 101}), "are 101 %"),
        (json.dumps({**PROGRESS, "event_time": ["a", 1]}), "event_time is"),
        (" " * 300_000, "longer than"),
    ],
)
def test_garbage_is_set_aside_with_one_line(
    folder: Path,
    outbox: Outbox,
    start: Start,
    counts: Counts,
    caplog: pytest.LogCaptureFixture,
    text: str,
    message: str,
) -> None:
    (folder / "1-2.json").write_bytes(text.encode(errors="surrogateescape"))
    leave(folder, "2-2.json")
    notes = start()
    notes.scan()
    notes.scan()
    assert len(told(outbox)) == 1
    assert [path.name for path in (folder / "bad").iterdir()] == ["1-2.json"]
    assert len(caplog.records) == 1
    assert message in caplog.text
    assert counts.complaints == 1


def test_of_an_instance_the_newest_progress_waits(folder: Path, outbox: Outbox, start: Start) -> None:
    notes = start()
    for number, percent in enumerate((25.0, 50.0)):
        leave(folder, f"{number}-2.json", **{**PROGRESS, "progress": percent})
    leave(folder, "5-2.json", **{**PROGRESS, "instance": "gx-2"})
    notes.scan()
    leave(folder, "6-2.json")
    leave(folder, "7-2.json", **{**PROGRESS, "progress": 75.0})
    notes.scan()
    found = told(outbox)
    assert [(m["instance"], m.get("progress"), m["node"]) for m in found] == [
        ("gx-2", 25.0, "node1.example.org"), ("gx-1", None, "node1.example.org"), ("gx-1", 75.0, "node1.example.org"),
    ]  # fmt: skip
    assert [message.key for message in outbox.take(9)][0::2] == ["ganeti.gx.event.progress"] * 2


def test_the_heap_of_garbage_is_bounded(
    folder: Path, outbox: Outbox, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("eventd.notes._MOST_BAD", 2)
    for number in range(4):
        (folder / f"{number}-2.json").write_text("x")
    with caplog.at_level(logging.ERROR):
        start().scan()
    assert len(list((folder / "bad").iterdir())) == 2
    assert [path.name for path in folder.iterdir()] == ["bad"]


def test_drafts_and_other_files_are_left_alone(folder: Path, outbox: Outbox, start: Start) -> None:
    for name in (".1-2.json.77", "README"):
        leave(folder, name)
    start().scan()
    assert len(list(folder.iterdir())) == 2
    assert told(outbox) == []


def test_a_directory_that_is_not_there_yet(folder: Path, outbox: Outbox, start: Start) -> None:
    folder.rmdir()
    notes = start()
    notes.scan()
    notes.written(["1-2.json"])
    assert told(outbox) == []
