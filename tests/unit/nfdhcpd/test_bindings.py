"""Real files and real events."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganeti_ext import binding as file_of
from ganeti_ext.binding import BindingError
from ganeti_ext.errors import ExtError
from tests.unit.nfdhcpd.guest import binding

pytest.importorskip("pyinotify")

from nfdhcpd.bindings import Directory


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    made = Directory(str(tmp_path))
    yield made
    made.close()


def wait(directory: Directory, *, seconds: float = 5) -> set[str] | None:
    assert select.select([directory], [], [], seconds)[0], "no event"
    return directory.changed()


def test_nothing_has_happened(directory: Directory) -> None:
    assert directory.changed() == set()


def test_a_file_renamed_into_place(tmp_path: Path, directory: Directory) -> None:
    file_of.write(binding(), str(tmp_path))
    found: set[str] | None = set()
    while not found:  # the draft's own events come first
        found = wait(directory)
    assert found == {"tap0"}
    assert directory.read("tap0") == binding()


def test_a_file_written_in_place(tmp_path: Path, directory: Directory) -> None:
    (tmp_path / "tap0").write_text(file_of.render(binding()))
    assert wait(directory) == {"tap0"}


def test_drafts_are_not_told(tmp_path: Path, directory: Directory) -> None:
    (tmp_path / ".tap0.17").write_text("MAC=")
    (tmp_path / "tap1").write_text("")
    assert wait(directory) == {"tap1"}
    assert directory.taps() == {"tap1"}


def test_a_file_that_is_deleted_or_moved_away(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    inside = tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    for name in ("tap0", "tap1"):
        file_of.write(binding(tap=name), str(inside))
    directory = Directory(str(inside))
    (inside / "tap0").unlink()
    assert wait(directory) == {"tap0"}
    (inside / "tap1").rename(outside / "tap1")
    assert wait(directory) == {"tap1"}
    assert directory.read("tap1") is None
    directory.close()


def test_a_bad_file_names_itself(tmp_path: Path, directory: Directory) -> None:
    (tmp_path / "tap0").write_text("MAC=52:54:00:00:00:10\n")
    with pytest.raises(BindingError, match="tap0"):
        directory.read("tap0")


def test_events_that_the_kernel_dropped(tmp_path: Path, directory: Directory) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip(f"it takes {limit} events here")
    for number in range(limit // 2 + 10):
        os.close(os.open(tmp_path / f"tap{number % 2}", os.O_WRONLY | os.O_CREAT))
        os.unlink(tmp_path / f"tap{number % 2}")
    (tmp_path / "tap9").write_text("")
    found: set[str] | None = set()
    while found is not None:
        found = wait(directory)
    assert directory.taps() == {"tap9"}


@pytest.mark.parametrize("moved", [False, True])
def test_a_directory_that_goes_away_ends_the_daemon(tmp_path: Path, moved: bool) -> None:
    path = tmp_path / "bindings"
    path.mkdir()
    directory = Directory(str(path))
    if moved:
        path.rename(tmp_path / "elsewhere")
    else:
        path.rmdir()
    with pytest.raises(ExtError, match="went away"):
        wait(directory)
    with pytest.raises(ExtError, match="went away"):
        directory.changed()
    directory.close()


def test_a_directory_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ExtError, match="no such directory"):
        Directory(str(tmp_path / "none"))
