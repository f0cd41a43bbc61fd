"""Job files as Ganeti 3.1's own code writes them (tests/data/jobs), and a job queue to put them into."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventd import enrich
from eventd.counts import Counts
from eventd.follow import Follower
from eventd.jobqueue import JobQueue
from eventd.messages import News
from eventd.spool import Spool
from ganeti_ext.outbox import Outbox
from tests.unit.eventd.following import DAY, Clock, Following

DATA = Path(__file__).parents[2] / "data" / "jobs"


@pytest.fixture
def job_file() -> Callable[[str], bytes]:
    """The content of tests/data/jobs/NAME.json."""
    return lambda name: (DATA / f"{name}.json").read_bytes()


class QueueDirectory:
    """A job queue on disk, written as Ganeti does: a draft, renamed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def put(self, name: str, job_id: int | None = None, *, folder: str = ".", **changes: Any) -> int:
        """The recorded job of that name, under another id and with other top-level fields if told."""
        job = json.loads((DATA / f"{name}.json").read_text())
        job.update(changes)
        if job_id is not None:
            job["id"] = job_id
        self.write(job["id"], json.dumps(job), folder=folder)
        number: int = job["id"]
        return number

    def write(self, job_id: int, text: str, *, folder: str = ".") -> None:
        target = self.path / folder
        target.mkdir(parents=True, exist_ok=True)
        draft = target / f"job-{job_id}abc.new"
        draft.write_text(text)
        draft.rename(target / f"job-{job_id}")


@pytest.fixture
def queue_directory(tmp_path: Path) -> QueueDirectory:
    return QueueDirectory(tmp_path / "queue")


class Answers:
    """Stands for eventd.asking.Asker: what was asked for stays until the test lets Ganeti answer."""

    def __init__(self) -> None:
        self.asked: list[News] = []
        self.ready: list[News] = []
        self.forgotten = 0

    def ask(self, items: Iterable[News]) -> None:
        self.asked += items

    def forget(self) -> None:
        self.asked.clear()
        self.forgotten += 1

    def answer(self, *, read_at: bool = True) -> None:
        for item in self.asked:
            if read_at and enrich.wants(item):
                enrich.add(item, {}, 1795300000.5)
        self.ready += self.asked
        self.asked.clear()

    def take(self) -> list[News]:
        ready, self.ready = self.ready, []
        return ready

    def wait(self, seconds: float) -> bool:
        assert seconds > 0
        self.answer()
        return bool(self.ready)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    made = Outbox(str(tmp_path / "outbox.db"))
    yield made
    made.close()


@pytest.fixture
def spool(outbox: Outbox, counts: Counts) -> Spool:
    return Spool(outbox, 100_000, "node1.example.org", lambda: "cluster.example.org", counts)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(queue_directory: Any, spool: Spool, answers: Any, counts: Counts, clock: Clock) -> Callable[..., Following]:
    """eventd started (anew) on the queue."""

    def start(**more: Any) -> Following:
        queue = JobQueue(str(queue_directory.path))
        answers.__init__()
        return Following(Follower(queue, spool, answers, counts, recent=DAY, clock=clock, **more), answers)

    return start
