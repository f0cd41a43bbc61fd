"""Job files as Ganeti 3.1's own code writes them (tests/data/jobs), and a job queue to put them into."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

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


class Silent:
    """A Ganeti that does not answer, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []

    def instances(self, names: Iterable[str]) -> dict[str, dict[str, Any]] | None:
        self.asked.append(("instances", sorted(names)))
        return None

    def running(self, names: Iterable[str]) -> dict[str, bool | None] | None:
        self.asked.append(("running", sorted(names)))
        return None

    def networks(self, names: Iterable[str]) -> dict[str, dict[str, Any]] | None:
        self.asked.append(("networks", sorted(names)))
        return None


@pytest.fixture
def silent() -> Silent:
    return Silent()
