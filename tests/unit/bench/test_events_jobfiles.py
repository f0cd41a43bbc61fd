from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.events import floor, jobfiles
from bench.events.jobfiles import FINAL, SERVERS, STATUSES
from eventd import jobs, messages
from frontend.update import state

RECORDED = Path(__file__).parents[2] / "data/jobs"
TIMES = [1_800_000_000.0, 1_800_000_001.25, 1_800_000_002.5, 1_800_000_004.0]


@pytest.mark.parametrize(
    ("recorded", "job", "reached"),
    [("startup-success", 2 * SERVERS + 1, 4), ("create-success", 1, 4), ("create-queued", 1, 1),
     ("create-waiting", 1, 2), ("create-running", 1, 3)],
)  # fmt: skip
def test_it_has_the_shape_of_what_ganeti_wrote(recorded: str, job: int, reached: int) -> None:
    theirs = json.loads((RECORDED / f"{recorded}.json").read_text())
    ours = json.loads(jobfiles.text(job, TIMES[:reached]))
    assert ours.keys() == theirs.keys()
    mine, other = ours["ops"][0], theirs["ops"][0]
    assert mine.keys() == other.keys()
    assert (mine["status"], mine["input"]["OP_ID"]) == (other["status"], other["input"]["OP_ID"])
    assert mine["input"].keys() <= other["input"].keys()
    for stamp in ("start_timestamp", "exec_timestamp", "end_timestamp"):
        assert (mine[stamp] is None) == (other[stamp] is None), stamp
    assert (ours["end_timestamp"] is None) == (theirs["end_timestamp"] is None)


def test_each_status_is_news_to_eventd_and_later_than_the_one_before() -> None:
    told: dict[str, str] = {}
    orders = []
    for rank, status in enumerate(STATUSES):
        (news,) = messages.news(jobs.parse(jobfiles.text(77, TIMES[: rank + 1])), told, jobfiles.CLUSTER)
        assert (news.status, news.message["instance"]) == (status, jobfiles.instance(77 % SERVERS))
        told[news.cursor] = status
        orders.append(news.message["order"])
    assert orders == sorted(orders)
    assert orders[-1][4] == FINAL
    assert orders[-1][:2] == [1_800_000_004, 0]


def test_what_a_floor_reads_of_it() -> None:
    assert json.loads(floor.message(jobfiles.text(77, TIMES[:2]).encode())) == {
        "job": 77, "instance": jobfiles.instance(27), "operation": "OP_INSTANCE_SHUTDOWN", "status": "waiting",
        "time": [1_800_000_000, 0],
    }  # fmt: skip


def test_the_first_job_of_a_server_creates_it_and_then_it_goes_on_and_off() -> None:
    mine = [job for job in range(1, 6 * SERVERS) if jobfiles.server(job) == 7]
    names = [jobfiles.opcode(job).removeprefix("OP_INSTANCE_") for job in mine]
    assert names == ["CREATE", "SHUTDOWN", "STARTUP", "REBOOT", "SHUTDOWN", "STARTUP"]
    assert [jobfiles.runs(job) for job in mine] == [True, False, True, True, False, True]
    assert {jobfiles.server(job) for job in range(1, SERVERS + 1)} == set(range(SERVERS))


def test_each_of_them_is_a_task_of_its_server_so_that_its_row_tells_of_it() -> None:
    assert {jobfiles.opcode(job) for job in range(1, 6 * SERVERS)} <= state.TASKS.keys()
