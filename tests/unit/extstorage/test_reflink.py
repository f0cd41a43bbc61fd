"""Copies keep holes; what cannot be a reflink says why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from extstorage import reflink

MIB = 1 << 20


class Pair:
    def __init__(self, folder: Path) -> None:
        self.source = os.open(folder / "source", os.O_RDWR | os.O_CREAT)
        self.target = os.open(folder / "target", os.O_RDWR | os.O_CREAT)

    def content(self) -> bytes:
        return os.pread(self.target, os.fstat(self.target).st_size + 1, 0)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    files = Pair(tmp_path)
    yield files
    os.close(files.source)
    os.close(files.target)


def fill(fd: int) -> bytes:
    """Data, hole, data, hole."""
    os.pwrite(fd, b"head" * 1024, 0)
    os.pwrite(fd, b"tail", 4 * MIB)
    os.ftruncate(fd, 8 * MIB)
    return os.pread(fd, 8 * MIB, 0)


def test_a_copy_is_the_same_and_as_sparse(pair: Pair) -> None:
    content = fill(pair.source)
    copied = reflink.copy(pair.source, pair.target)
    assert pair.content() == content
    assert copied < MIB
    assert os.fstat(pair.target).st_blocks * 512 < MIB


@pytest.mark.parametrize("size", [0, 5 * MIB])
def test_a_hole_is_copied_as_one(pair: Pair, size: int) -> None:
    os.ftruncate(pair.source, size)
    assert reflink.copy(pair.source, pair.target) == 0
    assert (os.fstat(pair.target).st_size, os.fstat(pair.target).st_blocks) == (size, 0)


def test_a_kernel_without_copy_file_range_is_served_too(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def unable(*_: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", unable)
    monkeypatch.setattr(reflink, "CHUNK", 1000)
    content = fill(pair.source)
    reflink.copy(pair.source, pair.target)
    assert pair.content() == content


def test_a_real_fault_is_not_mistaken_for_inability(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "copy_file_range", broken)
    monkeypatch.setattr(reflink, "ioctl", broken)
    fill(pair.source)
    with pytest.raises(OSError, match="Input/output error"):
        reflink.copy(pair.source, pair.target)
    with pytest.raises(OSError, match="Input/output error"):
        reflink.clone(pair.source, pair.target)


def test_extents_are_data_only(pair: Pair) -> None:
    fill(pair.source)
    found = reflink.extents(pair.source, 8 * MIB)
    assert [start for start, _ in found] == [0, 4 * MIB]
    assert all(4 <= stop - start <= 65536 for start, stop in found)


def test_two_file_systems_have_no_reflink(pair: Pair) -> None:
    other = os.open("/dev/shm", os.O_RDWR | os.O_TMPFILE)
    try:
        assert reflink.clone(pair.source, other) in {os.strerror(18), os.strerror(95)}
    finally:
        os.close(other)
