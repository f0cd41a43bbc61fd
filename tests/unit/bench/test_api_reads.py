"""How reads are measured: nothing that is no read of what was asked for passes as one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from bench.api import fronts, reads
from bench.api.fronts import Front
from bench.api.peer import Peer
from bench.api.place import Place, Size
from bench.process import Where
from bench.remote import Remote
from bench.report import Report
from ganeti_ext.errors import ExtError

FRONTS = [Front(kind, servers, ("127.0.0.1", servers), "conf") for kind in fronts.KINDS for servers in (5500, 50_000)]


class Worker:
    """Answers like all workers of a place; `calls` are those that the remote API has had."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.asked: list[tuple[Any, str]] = []
        self.entries: dict[str, int] = {read.path: read.entries for read in reads.READS}
        self.leaks = ""

    def call(self, verb: str, *arguments: Any) -> Any:
        if verb == "issue":
            return [f"token of {name}" for name in arguments[1]]
        if verb == "calls":
            return dict(self.calls)
        at, path = arguments[:2]
        self.asked.append((at, path))
        if path == self.leaks:
            self.calls[f"GET {path}"] = 1
        slow = 2 if at[1] == 50_000 else 1
        return [1.0, [0.01 * slow] * 10, self.entries.get(path, 100)]


class There(Place):
    """A place whose peer is a worker, too."""

    @contextlib.contextmanager
    def peer(self) -> Iterator[Peer]:
        yield Peer(100, self.client)


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def place(worker: Worker) -> There:
    one = cast(Remote, worker)
    size = Size(rounds=2, seconds=1, servers=(5500, 50_000), instances=100, creates=50)
    return There(Path("/"), Where("", None), "", one, one, one, size, Report("x", reads.AGAINST))


def test_figures_of_all_and_whether_a_listing_grows(place: There, worker: Worker) -> None:
    reads.measure(place, FRONTS)
    own, page = reads.READS[:2]
    assert place.result.samples(own.heading, "requests/s", FRONTS[0].title) == [10, 10]
    assert place.result.samples(page.heading, "servers/s", FRONTS[0].title) == [10_000, 10_000]
    assert place.result.samples(page.heading, "servers/s", reads.RAPI) == [1000, 1000]
    assert "50,000 servers, p50, ms, of PostgreSQL, 5,500 servers: to be at most 1.1x; 2.0x: DOES NOT HOLD" in (
        place.result.text()
    )
    turn = [at for at, path in worker.asked if path == own.path][: 2 * len(FRONTS)]
    assert turn == [front.at for front in FRONTS] * 2  # one slice each, then the next


@pytest.mark.parametrize("read", reads.READS)
def test_a_call_of_the_remote_api_ends_the_run(place: There, worker: Worker, read: reads.Read) -> None:
    worker.leaks = read.path
    with pytest.raises(ExtError, match=r"SQLite, 5,500 servers: .*calls of the remote API.*GET .*: 1"):
        reads.measure(place, FRONTS)


def test_another_number_of_servers_ends_the_run(place: There, worker: Worker) -> None:
    worker.entries[reads.OWN.path] = 9
    with pytest.raises(ExtError, match="9 entries, expected 10"):
        reads.measure(place, FRONTS)
