"""Records that two calls change at once, or that a killed one left; no Ceph, but the texts of a pool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from extstorage import lock, rbd_fence, rbd_holding, rbd_process, rbd_record, rbd_volume
from extstorage.lock import Holder
from extstorage.rbd_record import Doing, Record
from extstorage.rbd_settings import Settings
from ganeti_ext.errors import ExtError

B = Holder("b", lock.EXCLUSIVE, "BOOT", "2026-01-01T00:00:00Z")
DEAD = ("a", "BOOT-BEFORE", "4711", "1")


class Pool:
    """Texts, and a step of another call between our look and our change."""

    def __init__(self, folder: Path) -> None:
        self.name = "rbd"
        self.settings = Settings(node="a", data_directory=str(folder))
        self.texts: dict[str, str] = {}
        self.changes: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None
        (folder / "ssconf_node_list").write_text("a\nb\n")

    def has(self, _: str) -> bool:
        return True

    def text(self, key: str) -> str:
        return self.texts.get(key, "")

    def swap(self, key: str, before: str, after: str) -> bool:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        if self.text(key) != before:
            return False
        self.texts[key] = after
        self.changes.append(after)
        return True

    def put(self, record: Record) -> None:
        self.texts["v"] = rbd_record.to_text(record)

    @property
    def record(self) -> Record:
        return rbd_record.from_text(self.text("v"), "v")


@pytest.fixture
def pool(tmp_path: Path) -> Any:
    return Pool(tmp_path)


@pytest.fixture
def fences(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, bool]]:
    """How fences are asked for."""
    asked: list[dict[str, bool]] = []
    monkeypatch.setattr(rbd_fence, "fence", lambda _pool, _name, **how: asked.append(how))
    return asked


def doing(verb: str, pool: Pool) -> Doing:
    return rbd_process.doing(verb, pool.settings.this())


def test_what_another_call_began_to_remove_meanwhile_is_not_opened(pool: Any, fences: list[dict[str, bool]]) -> None:
    removing = Record(doing=doing("remove", pool))
    pool.meanwhile = lambda: pool.put(removing)
    with pytest.raises(ExtError, match=r"remove .* is at work on it"):
        rbd_holding.take(pool, "v", exclusive=True)
    assert (pool.record, fences) == (removing, [])


def test_a_removal_that_is_refused_leaves_no_trace(pool: Any) -> None:
    """A record that says `remove` would be mended by a removal, once the other node has stopped."""
    pool.put(Record(holders=(B,)))
    with pytest.raises(lock.Held, match="is open on b"):
        rbd_volume.discard(pool, "v", lambda: pytest.fail("removed"))
    assert pool.changes == []


def test_a_removal_is_refused_though_the_other_node_came_last(pool: Any) -> None:
    pool.meanwhile = lambda: pool.put(Record(holders=(B,)))
    with pytest.raises(lock.Held, match="is open on b"):
        rbd_volume.discard(pool, "v", lambda: pytest.fail("removed"))
    assert pool.record.holders == (B,)


def test_a_first_open_fences_the_dead_alone(pool: Any, fences: list[dict[str, bool]]) -> None:
    rbd_holding.take(pool, "v", exclusive=True)
    assert fences == [{"others": False}]
    rbd_holding.take(pool, "v", exclusive=False)
    assert len(fences) == 1
    assert [holder.mode for holder in pool.record.holders] == [lock.SHARED]


def test_one_who_takes_over_fences_before_the_record_forgets(
    pool: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(*_: object, **how: bool) -> None:
        assert how == {"others": True}
        raise ExtError("Ceph has gone")

    pool.put(Record(holders=(B,)))
    (tmp_path / "ssconf_offline_nodes").write_text("b\n")
    monkeypatch.setattr(rbd_fence, "fence", fails)
    for _ in range(2):  # the second finds itself as the holder, and the note that the fence is still to be made
        with pytest.raises(ExtError, match="Ceph has gone"):
            rbd_holding.take(pool, "v", exclusive=True)
        assert pool.record.doing.verb == rbd_volume.OPEN
        assert [holder.node for holder in pool.record.holders] == ["a"]
    monkeypatch.setattr(rbd_fence, "fence", lambda *_, **__: [])
    rbd_holding.take(pool, "v", exclusive=True)
    assert pool.record.doing is None


@pytest.mark.parametrize(
    ("who", "left", "asked"),
    [
        ("b", ["a"], [{"others": True, "own": False}]),
        ("a", ["b"], [{"others": False, "own": True}]),
        (None, [], [{"others": True, "own": True}]),
        ("c", ["a", "b"], []),
    ],
)
def test_whose_clients_are_fenced_when_a_volume_is_taken_away(
    pool: Any, fences: list[dict[str, bool]], who: str | None, left: list[str], asked: list[dict[str, bool]]
) -> None:
    pool.put(Record(holders=(B._replace(node="a", mode=lock.SHARED), B._replace(mode=lock.SHARED))))
    taken = rbd_holding.take_away(pool, "v", who)
    assert [holder.node for holder in pool.record.holders] == left
    assert len(taken) + len(left) == 2
    assert fences == asked
    assert pool.record.doing is None
    notes = [rbd_record.from_text(text, "v").doing for text in pool.changes]
    assert [note is not None for note in notes] == ([True, False] if asked else [])


def test_a_fence_that_a_killed_call_owed_is_made_by_who_takes_away(pool: Any, fences: list[dict[str, bool]]) -> None:
    pool.put(Record(doing=Doing(rbd_volume.OPEN, *DEAD)))
    assert rbd_holding.take_away(pool, "v", None) == ()
    assert (fences, pool.record) == ([{"others": True, "own": False}], Record())


def test_taking_away_leaves_what_another_call_is_at(pool: Any, fences: list[dict[str, bool]]) -> None:
    note = Doing("rollback:s:1", *DEAD)
    pool.put(Record(doing=note, holders=(B,)))
    rbd_holding.take_away(pool, "v", "b")
    assert (pool.record, fences) == (Record(doing=note), [{"others": True, "own": False}])
