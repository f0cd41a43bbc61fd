from __future__ import annotations

import pytest

from eventd.cursors import SETTLED, Cursors

NOW = 1_000_000.0
OLD = NOW - SETTLED - 1


def test_foreign_cursors_are_left_alone() -> None:
    cursors = Cursors({"note/1-2.json": "taken", "floor": "7", "8/0": "running"})
    assert (cursors.told, cursors.floor) == ({"8/0": "running"}, 7)
    assert "note/1-2.json" not in cursors.reset()


def test_a_job_is_open_until_every_op_is_told_to_its_end() -> None:
    assert Cursors({"1/0": "success", "1/1": "queued", "2/0": "error"}).open_jobs() == {1}


def test_the_floor_rises_to_the_last_job_that_is_an_hour_old() -> None:
    cursors = Cursors({"1/0": "success", "2/0": "running", "3/0": "success", "3/1": "waiting", "4/0": "error"})
    changes = cursors.raise_floor({1: OLD, 2: OLD, 3: OLD, 4: NOW - 60}, NOW)
    # 2 and 3 are still open and keep all their cursors; 4 is above the floor.
    assert changes == {"floor": "3", "mine": "", "1/0": None}
    cursors.update(changes)
    assert (cursors.floor, cursors.open_jobs()) == (3, {2, 3})
    assert cursors.highest() == 4


def test_an_empty_queue_has_the_floor_zero() -> None:
    assert Cursors({}).raise_floor({}, NOW) == {"floor": "0", "mine": ""}


def test_the_floor_never_falls() -> None:
    assert Cursors({"floor": "9"}).raise_floor({5: OLD}, NOW) == {"floor": "9", "mine": ""}


def test_who_was_the_last_that_told() -> None:
    cursors = Cursors({"floor": "3"})
    assert not cursors.is_mine
    cursors.update(cursors.raise_floor({}, NOW))
    assert cursors.is_mine
    assert Cursors({"mine": ""}).is_mine
    cursors.update({"mine": None})
    assert not cursors.is_mine


def test_forget_and_reset() -> None:
    cursors = Cursors({"floor": "3", "4/0": "running", "4/1": "queued", "5/0": "success"})
    assert cursors.forget({4}) == {"4/0": None, "4/1": None}
    cursors.update(cursors.reset())
    assert (cursors.floor, cursors.told, cursors.highest()) == (None, {}, 0)


@pytest.mark.parametrize("name", ["floor/1", "1/x", "x/1", "1", "/", ""])
def test_odd_names_are_no_cursors(name: str) -> None:
    assert Cursors({name: "success"}).told == {}
