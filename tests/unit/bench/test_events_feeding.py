from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from bench.events import feeding, jobfiles
from bench.events.jobfiles import SERVERS, STATUSES
from bench.inotify import MOVED_TO, Watch
from ganeti_ext.event import RANKS


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    (tmp_path / "queue").mkdir()
    (tmp_path / "states").write_bytes(bytes([1]) * SERVERS)
    return tmp_path / "queue"


def states(queue: Path) -> bytes:
    return queue.with_name("states").read_bytes()


def test_a_backlog_is_of_ended_jobs_and_ganeti_says_how_the_servers_stand_then(queue: Path) -> None:
    first = SERVERS + 1  # these shut down
    watch = Watch(str(queue), MOVED_TO)
    feeding.backlog(str(queue), f"{queue}/../states", first, 3)
    assert watch.names(0) == [f"job-{first + n}" for n in range(3)]
    watch.close()
    assert sorted(path.name for path in queue.iterdir()) == [f"job-{first + n}" for n in range(3)]
    jobs = [json.loads(path.read_text()) for path in queue.iterdir()]
    assert {job["ops"][0]["status"] for job in jobs} == {"success"}
    assert [number for number, runs in enumerate(states(queue)) if not runs] == [1, 2, 3]


def test_an_offer_writes_each_status_at_its_rate_and_tells_when(queue: Path) -> None:
    began = time.monotonic()
    written = feeding.offer(str(queue), f"{queue}/../states", 1, 100, 5)
    assert [(event.job, event.rank) for event in written] == [
        (job, RANKS[status]) for job, status in feeding.steps(1, 5)
    ]  # fmt: skip
    times = [event.time for event in written]
    assert times == sorted(times)
    assert began <= times[0]
    assert times[-1] - began >= 19 / 100
    assert all(json.loads(path.read_text())["end_timestamp"] for path in queue.iterdir())


def test_all_servers_are_at_work_side_by_side_and_one_at_a_time_on_each() -> None:
    steps = feeding.steps(1, 2 * SERVERS)
    assert len(steps) == len(set(steps)) == 2 * SERVERS * len(STATUSES)
    ended: dict[int, int] = {}
    for job, status in steps:
        before = job - SERVERS
        assert before < 1 or ended[jobfiles.server(job)] == before
        if status == STATUSES[-1]:
            ended[jobfiles.server(job)] = job
    assert [job for job, _ in steps[:SERVERS]] == list(range(1, SERVERS + 1))
