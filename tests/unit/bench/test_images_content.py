"""The images that are measured are the same in each run, and what they have in common is counted."""

from __future__ import annotations

import os
from pathlib import Path

from bench.images import content
from bench.images.content import BLOCK

FILES = [("usr/a", 10), ("usr/b", 20), ("usr/c", 30), ("usr/d", 5)]


def names(start: int, octets: int) -> list[str]:
    return [name for name, _ in content.chosen(FILES, start, octets)]


def test_files_are_chosen_in_their_order_until_there_is_no_room() -> None:
    assert names(0, 30) == ["usr/a", "usr/b"]
    assert names(0, 35) == ["usr/a", "usr/b", "usr/d"]  # the third does not fit


def test_a_later_start_chooses_other_files() -> None:
    assert names(30, 35) == ["usr/c", "usr/d"]


def test_it_begins_anew_behind_the_last_one() -> None:
    assert names(60, 15) == ["usr/d", "usr/a"]
    assert names(65, 10) == ["usr/a"]
    assert names(0, 75) == ["usr/a", "usr/b", "usr/c", "usr/d", "usr/a"]


def test_nothing_is_chosen_where_nothing_fits() -> None:
    assert names(0, 4) == []
    assert content.chosen([], 7, 100) == []


def test_regular_files_alone_are_found_by_name(tmp_path: Path) -> None:
    for name in ("usr/z", "usr/lib/a", "usr/empty", "etc/no"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text({"usr/empty": "", "usr/z": "z" * 4097}.get(name, "text"))
    (tmp_path / "usr/link").symlink_to("z")
    os.mkfifo(tmp_path / "usr/fifo")
    assert content.sizes(tmp_path) == [("usr/lib/a", 4096), ("usr/z", 8192)]


def test_blocks_that_differ_are_counted_and_zeros_are_none(tmp_path: Path) -> None:
    one, two, zeros = b"1" * BLOCK, b"2" * BLOCK, bytes(BLOCK)
    for name, blocks in (("a", (one, zeros, two)), ("b", (two, one)), ("c", (zeros, one, b"3" * BLOCK))):
        (tmp_path / name).write_bytes(b"".join(blocks))
    found = content.unlike(tmp_path / name for name in "abc")
    assert found == (6 * BLOCK, 3 * BLOCK)


def test_a_last_block_may_be_short(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(BLOCK + 7))
    (tmp_path / "b").write_bytes(bytes(BLOCK) + b"text")
    assert content.unlike([tmp_path / "a"]) == (0, 0)
    assert content.unlike([tmp_path / "b"]) == (4, BLOCK)
