"""Which blocks are shared, in which pieces; and the index that knows where they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from extstorage import image_dedup, image_index
from extstorage.image_dedup import Run
from extstorage.image_digest import BLOCK, CHUNK, SHORT, Blocks, Digests

A, B, C, D = (bytes([number]) * SHORT for number in range(4))


def runs(blocks: list[tuple[int, bytes]], found: dict[bytes, list[tuple[str, int]]]) -> list[Run]:
    return list(image_dedup.runs(blocks, found, "own"))


def test_neighbours_that_are_neighbours_there_are_one_run() -> None:
    found = {A: [("x", 7), ("y", 0)], B: [("y", 3), ("x", 8)], C: [("x", 9)]}
    assert runs([(0, A), (1, B), (2, C)], found) == [Run("x", 7, 0, 3)]


def test_a_run_ends_where_either_has_a_gap() -> None:
    found = {A: [("x", 7)], B: [("x", 8)], C: [("x", 20)]}
    assert runs([(0, A), (5, B), (6, C)], found) == [Run("x", 7, 0, 1), Run("x", 8, 5, 1), Run("x", 20, 6, 1)]


def test_what_nobody_has_is_in_no_run() -> None:
    assert runs([(0, A), (1, B), (2, C)], {A: [("x", 1)], C: [("x", 3)]}) == [Run("x", 1, 0, 1), Run("x", 3, 2, 1)]


def test_what_the_image_has_twice_is_shared_with_itself_and_never_overlaps() -> None:
    assert runs([(0, A), (1, A), (2, A)], {}) == [Run("own", 0, 1, 1), Run("own", 0, 2, 1)]
    assert runs([(0, A), (1, B), (2, A), (3, B)], {}) == [Run("own", 0, 2, 2)]


def test_no_run_is_longer_than_the_kernel_takes() -> None:
    digests = [hashlib.sha256(b"%d" % number).digest()[:SHORT] for number in range(300)]
    found = {digest: [("x", number)] for number, digest in enumerate(digests)}
    assert [run.length for run in runs(list(enumerate(digests)), found)] == [256, 44]


def blocks(*pairs: tuple[int, bytes]) -> Blocks:
    made = Blocks()
    for number, digest in pairs:
        made.numbers.append(number)
        made.digests += digest
    return made


def test_the_index_tells_which_images_have_a_block_until_they_are_gone(tmp_path: Path) -> None:
    with image_index.opened(str(tmp_path)) as index:
        assert index
        index.note("x", "1", blocks((0, A), (1, B), (2, A)))
        index.note("y", "2", blocks((9, B)))
        assert index.find([A, B, C]) == {A: [("x", 0)], B: [("x", 1), ("y", 9)]}
        assert (index.state("x"), index.state("z")) == ("1", "")
        index.note("x", "3", blocks((4, C)))
        assert index.find([A, B, C]) == {B: [("y", 9)], C: [("x", 4)]}
        index.forget("y")
    with image_index.opened(str(tmp_path)) as index:
        assert index and index.find([B, C] * 600) == {C: [("x", 4)] * 3}


def test_an_index_that_is_damaged_is_begun_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / image_index.NAME).write_bytes(b"something else" * 100)
    with image_index.opened(str(tmp_path)) as index:
        assert index
        index.note("x", "1", blocks((0, A)))
        assert index.find([A]) == {A: [("x", 0)]}
    with image_index.opened(str(tmp_path / "none"), make=False) as index:
        assert index is None
    with image_index.opened(str(tmp_path / "none")) as index:
        assert index is None
    assert "unable to open database file" in capsys.readouterr().err


def test_checksums_are_those_of_what_was_added_and_skipped() -> None:
    found = Blocks()
    content = bytes(range(256)) * (CHUNK // 256)
    with Digests(("md5", "sha512"), found) as digests:
        digests.add(content)
        digests.skip(3 * CHUNK + BLOCK)
        digests.add(content[: BLOCK + 1])
        assert digests.end() == {
            name: hashlib.new(name, content + bytes(3 * CHUNK + BLOCK) + content[: BLOCK + 1]).hexdigest()
            for name in ("md5", "sha512")
        }
    digest = hashlib.sha256(content[:BLOCK]).digest()[:SHORT]
    assert [found[number] for number in range(len(found))] == [(number, digest) for number in (*range(16), 65)]
