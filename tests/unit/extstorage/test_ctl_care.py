"""What `repair` and `gc` mend, and what they leave."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from extstorage import cow_admin
from extstorage.found import Leak
from tests.unit.extstorage.test_ctl import Output, hold, place, rows, run

__all__ = ["place", "run"]


@pytest.fixture
def draft(place: Path) -> Path:
    made = place / "share/volumes/.half.raw.new"
    made.touch()
    os.utime(made, (1, 1))
    return made


def test_what_is_named_is_mended_and_nothing_else(run: Any, capsys: Output, place: Path, draft: Path) -> None:
    for name in ("v", "w"):
        hold(place, name, "b")  # volumes that are no more
    assert run("repair", "v", "--json") == 0
    assert [(row["volume"], row["done"]) for row in rows(capsys)] == [("v", True)]
    assert draft.exists()
    assert run("verify", "--json") == 4
    assert {row["volume"] for row in rows(capsys)} == {"w", str(draft)}


def test_that_a_volume_has_moved_is_not_forgotten(run: Any, place: Path) -> None:
    """Its node was started again, has no device for it, and is down: none of that makes it the disk again."""
    assert run("create", "v", "1M") == 0
    for node in ("a", "b"):
        hold(place, "v", node)
        (file,) = (place / "share/locks/v").iterdir()
        file.write_text(file.read_text().replace(" exclusive ", " moved "))
        (place / "data/ssconf_offline_nodes").write_text("b\n")
        assert run("repair", "v") == 0
        assert " moved " in file.read_text()
        file.unlink()
        file.parent.rmdir()


def test_gc_takes_no_locks_away(run: Any, place: Path, draft: Path) -> None:
    hold(place, "v", "b")
    assert run("gc", "--yes") == 0
    assert not draft.exists()
    assert (place / "share/locks/v").exists()


def test_what_could_not_be_mended_is_told(
    run: Any, capsys: Output, place: Path, draft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(place, "v", "b")
    real = cow_admin.mend

    def mends_all_but_v(settings: Any, wanted: Any) -> list[Leak]:
        return real(settings, wanted=lambda leak: wanted(leak) and leak.what != "v")

    monkeypatch.setattr(cow_admin, "mend", mends_all_but_v)
    assert run("repair", "--json") == 4
    assert {row["volume"]: row["done"] for row in rows(capsys)} == {"v": False, str(draft): True}


def test_what_dead_imports_left_of_images_is_told_and_mended(run: Any, capsys: Output, place: Path) -> None:
    images = place / "share/images"
    dead, alive = images / ".dead.making", images / ".alive.making"
    lost, kept = images / "gone.json", images / "kept.json"
    for path in (dead, alive, lost, kept, images / "kept.raw"):
        path.touch()
        os.utime(path, (1, 1))
    with alive.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert run("verify", "--json") == 4
        found = rows(capsys)
        assert {(row["kind"], row["volume"]) for row in found} == {("draft", str(dead)), ("draft", str(lost))}
        assert run("repair", str(dead)) == 0
        assert (dead.exists(), lost.exists()) == (False, True)
        assert run("gc", "--yes") == 0
    assert sorted(path.name for path in images.iterdir()) == [".alive.making", "kept.json", "kept.raw"]
