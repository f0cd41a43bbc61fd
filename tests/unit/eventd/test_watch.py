from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventd.watch import MADE, RENAMED, Watch


class Seen:
    def __init__(self) -> None:
        self.names: list[list[str]] = []
        self.lost_count = 0

    def written(self, names: list[str]) -> None:
        self.names.append(names)

    def lost(self) -> None:
        self.lost_count += 1


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def watch() -> Iterator[Watch]:
    made = Watch()
    yield made
    made.close()


def pump(watch: Watch) -> None:
    while select.select([watch], [], [], 0.1)[0]:
        watch.ready()


def test_written_and_renamed_files_are_told_once_in_order(tmp_path: Path, watch: Watch, seen: Seen) -> None:
    watch.add(str(tmp_path), seen.written, seen.lost)
    (tmp_path / "b").write_text("1")
    (tmp_path / ".draft").write_text("2")
    (tmp_path / ".draft").rename(tmp_path / "a")
    (tmp_path / "b").write_text("3")
    pump(watch)
    assert seen.names == [["b", "a"]]


def test_two_directories(tmp_path: Path, watch: Watch, seen: Seen) -> None:
    other = Seen()
    for name, listener in (("one", seen), ("two", other)):
        (tmp_path / name).mkdir()
        watch.add(f"{tmp_path}/{name}/", listener.written, listener.lost)
    (tmp_path / "two" / "x").write_text("")
    pump(watch)
    assert (seen.names, other.names) == ([], [["x"]])


def test_a_directory_that_comes_later(tmp_path: Path, watch: Watch, seen: Seen) -> None:
    path = tmp_path / "later"
    watch.add(str(path), seen.written, seen.lost)
    watch.retry()
    assert seen.lost_count == 0
    path.mkdir()
    watch.retry()
    watch.retry()
    assert seen.lost_count == 1
    (path / "x").write_text("")
    pump(watch)
    assert seen.names == [["x"]]


@pytest.mark.parametrize("away", ["deleted", "moved"])
def test_a_directory_that_is_replaced(tmp_path: Path, watch: Watch, seen: Seen, away: str) -> None:
    path = tmp_path / "dir"
    path.mkdir()
    watch.add(str(path), seen.written, seen.lost)
    if away == "deleted":
        path.rmdir()
    else:
        path.rename(tmp_path / "old")
    pump(watch)
    path.mkdir()
    watch.retry()
    assert seen.lost_count == 1
    (path / "x").write_text("")
    if away == "moved":
        (tmp_path / "old" / "y").write_text("")
    pump(watch)
    assert seen.names == [["x"]]


def test_an_overflow_of_the_kernels_queue(tmp_path: Path, watch: Watch, seen: Seen) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    watch.add(str(tmp_path), seen.written, seen.lost)
    files = [tmp_path / name for name in "ab"]
    for number in range(most + 10):  # the kernel only merges equal events that follow each other
        files[number % 2].write_text("")
    pump(watch)
    assert seen.lost_count == 1
    (tmp_path / "after").write_text("")
    pump(watch)
    assert seen.names[-1] == ["after"]


def test_where_files_are_renamed_their_drafts_are_no_news(tmp_path: Path, watch: Watch, seen: Seen) -> None:
    watch.add(str(tmp_path), seen.written, seen.lost, RENAMED)
    (tmp_path / "job-1.new").write_text("draft")
    (tmp_path / "job-1.new").rename(tmp_path / "job-1")
    watch.ready()
    assert seen.names == [["job-1"]]


def test_a_socket_that_is_made_is_news_where_that_is_wanted(tmp_path: Path, watch: Watch, seen: Seen) -> None:
    watch.add(str(tmp_path), seen.written, seen.lost, MADE)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "ganeti-query"))
    (tmp_path / "ganeti-query").unlink()
    watch.ready()
    assert seen.names == [["ganeti-query"]]
