"""The lock of a volume on a shared directory: many nodes, kills, and a slow one."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from extstorage import lock, lockfile
from extstorage.lock import EXCLUSIVE, Holder
from ganeti_ext.errors import ExtError


def holder(node: str) -> Holder:
    return Holder(node, EXCLUSIVE, "boot", "2026-01-01T00:00:00Z")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "locks/v")


def join(folder: str, node: str) -> tuple[Holder, ...]:
    return lockfile.change(folder, node, lambda before: (*lock.closed(before, node), holder(node)))


def test_what_was_written_is_read_and_one_file_remains(folder: str) -> None:
    assert lockfile.holders(folder) == ()
    join(folder, "a")
    assert join(folder, "b") == (holder("a"), holder("b")) == lockfile.holders(folder)
    assert len(os.listdir(folder)) == 1
    assert lockfile.change(folder, "a", lambda _: ()) == ()
    assert lockfile.holders(folder) == ()


def test_a_lock_that_nobody_ever_took_leaves_no_directory(folder: str) -> None:
    lockfile.change(folder, "a", lambda before: before)
    assert not os.path.exists(folder)


def test_a_refusal_changes_nothing(folder: str) -> None:
    join(folder, "a")
    before = os.listdir(folder)

    def refuse(_: tuple[Holder, ...]) -> tuple[Holder, ...]:
        raise ExtError("no")

    with pytest.raises(ExtError, match="no"):
        lockfile.change(folder, "b", refuse)
    assert os.listdir(folder) == before


def test_of_many_changes_at_once_none_is_lost(folder: str) -> None:
    names = [f"n{number}" for number in range(12)]
    threads = [threading.Thread(target=join, args=(folder, name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found.node for found in lockfile.holders(folder)) == sorted(names)
    assert len(os.listdir(folder)) == 1


def test_a_slow_node_does_not_win_with_a_number_that_is_free_again(folder: str) -> None:
    join(folder, "a")
    turns: list[int] = []

    def slow(before: tuple[Holder, ...]) -> tuple[Holder, ...]:
        turns.append(len(before))
        if len(turns) == 1:  # meanwhile two others come and go: the number after ours is taken and free again
            join(folder, "b")
            lockfile.change(folder, "c", lambda _: (holder("c"),))
        return (*before, holder("slow"))

    assert lockfile.change(folder, "slow", slow) == (holder("c"), holder("slow"))
    assert turns == [1, 1]
    assert lockfile.holders(folder) == (holder("c"), holder("slow"))


def test_a_slow_node_does_not_win_over_a_lock_that_was_forgotten_and_made_anew(folder: str) -> None:
    for _ in range(3):  # the old lock has got further than the new one will
        lockfile.change(folder, "a", lambda _: ())
        join(folder, "a")
    turns: list[int] = []

    def slow(before: tuple[Holder, ...]) -> tuple[Holder, ...]:
        turns.append(len(before))
        if len(turns) == 1:
            lockfile.forget(folder)
            assert not os.path.exists(folder)
            join(folder, "new")
        return (*before, holder("slow"))

    assert [found.node for found in lockfile.change(folder, "slow", slow)] == ["new", "slow"]
    assert turns == [1, 1]


def test_of_many_first_takers_one_wins(folder: str) -> None:
    def take(before: tuple[Holder, ...], name: str) -> tuple[Holder, ...]:
        barrier.wait(20)  # all have read that nobody holds it, before one writes
        return before or (holder(name),)

    won: list[str] = []

    def run(name: str) -> None:
        first = True

        def alter(before: tuple[Holder, ...]) -> tuple[Holder, ...]:
            nonlocal first
            if first:
                first = False
                return take(before, name)
            return before or (holder(name),)

        won.append(lockfile.change(folder, name, alter)[0].node)

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=run, args=(f"n{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(won)) == 1
    assert [found.node for found in lockfile.holders(folder)] == won[:1]


def test_what_a_killed_call_left_is_cleared_by_the_next(folder: str) -> None:
    join(folder, "a")
    (name,) = os.listdir(folder)
    join(folder, "b")
    Path(folder, name).write_text("an older one")
    Path(folder, ".a").write_text("half")
    assert lockfile.holders(folder) == (holder("a"), holder("b"))
    join(folder, "a")
    assert os.listdir(folder) == [str(int(name) + 2)]


def test_a_damaged_lock_is_named_and_not_taken_for_a_free_one(folder: str) -> None:
    os.makedirs(folder)
    Path(folder, "7").write_text("")
    with pytest.raises(ExtError, match=f"{folder}/7 should say who holds a lock, found ''"):
        join(folder, "a")


def test_one_that_never_settles_is_an_error(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*_: object, **__: object) -> None:
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", taken)
    monkeypatch.setattr(lockfile, "TRIES", 3)
    with pytest.raises(ExtError, match="another node took it before us 3 times"):
        join(folder, "a")
    assert not os.path.exists(folder)


def test_one_that_is_forgotten_as_soon_as_it_is_made_is_made_again(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, times = os.link, []

    def then_forgotten(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        link(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        times.append(target)
        if len(times) == 1:
            lockfile.forget(folder)

    monkeypatch.setattr(os, "link", then_forgotten)
    assert join(folder, "a") == (holder("a"),) == lockfile.holders(folder)
    assert times == ["1", "1"]


def test_on_a_full_store_a_node_keeps_and_gives_up_what_it_has_but_takes_nothing(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    join(folder, "a")
    monkeypatch.setattr(lockfile, "_attempt", full)
    assert lockfile.change(folder, "a", lambda before: before) == (holder("a"),)
    with pytest.raises(OSError, match="No space left"):
        join(folder, "b")
    assert lockfile.holders(folder) == (holder("a"),)
    assert lockfile.change(folder, "a", lambda _: ()) == ()
    assert lockfile.holders(folder) == ()
    assert lockfile.change(f"{folder}-never", "a", lambda before: before) == ()


def test_forgetting_may_be_repeated(folder: str) -> None:
    join(folder, "a")
    for _ in range(2):
        lockfile.forget(folder)
        assert not os.path.exists(folder)
