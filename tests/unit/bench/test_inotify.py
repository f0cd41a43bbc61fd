from __future__ import annotations

import struct
from pathlib import Path

import pytest

from bench import inotify
from bench.inotify import DELETE, MOVED_TO, Watch


def event(name: str) -> bytes:
    padded = name.encode() + bytes(16 - len(name))
    return struct.pack("iIII", 1, MOVED_TO, 0, len(padded)) + padded


def test_names_are_each_once_in_order() -> None:
    assert inotify.names(event("job-2") + event("job-10") + event("job-2")) == ["job-2", "job-10"]
    assert inotify.names(struct.pack("iIII", -1, 0x4000, 0, 0)) == [""]  # an overflow has no name


def test_only_what_was_asked_for_is_told(tmp_path: Path) -> None:
    watch = Watch(str(tmp_path), MOVED_TO | DELETE)
    (tmp_path / "draft").write_text("x")
    (tmp_path / "draft").rename(tmp_path / "job-1")
    assert watch.names(5) == ["job-1"]
    with pytest.raises(TimeoutError, match="nothing happened within 0 s"):
        watch.names(0)
    (tmp_path / "job-1").unlink()
    assert watch.names(5) == ["job-1"]
    watch.close()


def test_a_directory_that_is_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        Watch(str(tmp_path / "missing"), MOVED_TO)
