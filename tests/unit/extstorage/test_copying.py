"""How far a copy has come is told, seldom, and never at the cost of the copy."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from extstorage import copying, cow, draft, reflink
from extstorage.copying import Copying, instance_of
from extstorage.layout import Settings
from ganeti_ext import event
from ganeti_ext.volenv import Volume

MIB = 1 << 20


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def notes(folder: Path) -> list[dict[str, Any]]:
    return [event.decode(path.read_bytes()) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize(
    ("disk", "instance"),
    [
        ("gx-1.disk0", "gx-1"), ("web.example.org.disk12", "web.example.org"), (None, ""), ("", ""), (".disk0", ""),
        ("gx-1.disk", ""), ("gx-1.diskx", ""), ("root", ""), ("gx-1.disk-1", ""),
    ],
)  # fmt: skip
def test_the_instance_is_in_the_disks_name(disk: str | None, instance: str) -> None:
    assert instance_of(disk) == instance


def test_at_most_one_each_second_and_one_at_the_end(tmp_path: Path) -> None:
    clock = Clock()
    told = Copying("gx-1", "gx-1.disk0", str(tmp_path), clock)
    for step in range(1, 21):
        clock.now += 0.125
        told(step * 10 * MIB, 200 * MIB)
    told(200 * MIB, 200 * MIB)
    found = notes(tmp_path)
    assert [(note["progress"], note["position"] // MIB) for note in found] == [(40.0, 80), (80.0, 160), (100.0, 200)]
    assert {key: value for key, value in found[0].items() if key != "event_time"} == {
        "type": "image-copy-progress", "version": 1, "instance": "gx-1", "disk": "gx-1.disk0",
        "position": 80 * MIB, "total": 200 * MIB, "progress": 40.0,
    }  # fmt: skip


def test_a_quick_copy_and_one_without_an_instance_leave_none(tmp_path: Path) -> None:
    clock = Clock()
    quick = Copying("gx-1", "gx-1.disk0", str(tmp_path), clock)
    clock.now += 0.9
    quick(5, 5)
    nameless = Copying("", "root", str(tmp_path), clock)
    clock.now += 9
    nameless(1, 5)
    nameless(5, 5)
    assert notes(tmp_path) == []


@pytest.mark.parametrize("why", ["no folder", "full"])
def test_what_keeps_a_note_away_is_silent_and_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], why: str
) -> None:
    folder = tmp_path / "notes"
    if why == "full":
        folder.mkdir()
        monkeypatch.setattr("ganeti_ext.note.MOST", -1)
    clock = Clock()
    told = Copying("gx-1", None, str(folder), clock)
    for step in range(3):
        clock.now += 2
        told(step, 5)
        if step == 0:
            monkeypatch.setattr("ganeti_ext.note.leave", lambda *_, **__: pytest.fail("tried again"))
    assert capfd.readouterr() == ("", "")


def test_no_note_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("waited"))
    clock = Clock()
    told = Copying("gx-1", None, str(tmp_path), clock)
    clock.now += 1
    told(1, 5)
    assert len(notes(tmp_path)) == 1


def test_a_copy_tells_of_its_data_and_passes_over_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflink, "PIECE", 64 << 10)
    source = os.open(tmp_path / "source", os.O_RDWR | os.O_CREAT)
    target = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    os.pwrite(source, b"x" * (256 << 10), 0)
    os.pwrite(source, b"y" * (64 << 10), 8 * MIB)
    os.ftruncate(source, 16 * MIB)
    said: list[tuple[int, int]] = []
    copied = reflink.copy(source, target, lambda *where: said.append(where))
    assert os.pread(target, 16 * MIB, 0) == os.pread(source, 16 * MIB, 0)
    total = said[-1][1]
    assert said[-1] == (copied, total) == (total, total)
    assert len(said) == total // (64 << 10) >= 5
    assert total < MIB
    os.close(source)
    os.close(target)


def test_the_verb_create_tells_of_the_disk_of_its_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a share without reflinks that takes a second for each piece."""
    folder = tmp_path / "notes"
    folder.mkdir()
    monkeypatch.setattr("ganeti_ext.note.DIRECTORY", str(folder))
    monkeypatch.setattr(reflink, "clone", lambda *_: "unable")
    monkeypatch.setattr(reflink, "PIECE", MIB)
    clock = Clock()
    copy_range = reflink._copy_range

    def slow(*where: int) -> int:
        clock.now += 1
        return copy_range(*where)

    monkeypatch.setattr(reflink, "_copy_range", slow)
    monkeypatch.setattr(copying.Copying.__init__, "__defaults__", (None, clock))
    for name in ("volumes", "images", "locks"):
        (tmp_path / name).mkdir(exist_ok=True)
    (tmp_path / "image").write_bytes(os.urandom(3 * MIB))
    told = Copying(instance_of("gx-1.disk0"), "gx-1.disk0")
    draft.make(str(tmp_path / "volume.raw"), 4 * MIB, str(tmp_path / "image"), {}, told)
    assert [note["progress"] for note in notes(folder)] == [33.3, 66.7, 100.0]
    assert (tmp_path / "volume.raw").read_bytes()[: 3 * MIB] == (tmp_path / "image").read_bytes()


def test_only_a_create_with_an_origin_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr("extstorage.volumefile.create", lambda *_, told=None: given.append(told))
    monkeypatch.setattr("extstorage.volumefile.origin", lambda *_: ("file", "image:debian"))
    for params in ({}, {"origin": "debian"}):
        cow.create(Settings(), Volume("v", 1024, None, None, None, False, params, "gx-1.disk0"))
    assert given[0] is None
    assert isinstance(given[1], Copying)
    assert given[1]._instance == "gx-1"


def test_a_note_is_whole_for_who_reads(tmp_path: Path) -> None:
    clock = Clock()
    told = Copying("gx-1", None, str(tmp_path), clock)
    clock.now += 1
    told(1, 3)
    (path,) = tmp_path.iterdir()
    assert path.name.endswith(".json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["progress"] == 33.3
