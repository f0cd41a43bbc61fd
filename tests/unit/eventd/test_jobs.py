from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd.jobs import Job, parse
from eventd.messages import news

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "data" / "jobs").glob("*.json"))
T0 = 1795200000

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
)
STAMP = st.none() | st.tuples(st.integers(), st.integers()).map(list) | JSON
OP = st.fixed_dictionaries({
    "input": st.fixed_dictionaries(
        {"OP_ID": st.sampled_from(["OP_INSTANCE_CREATE", "OP_NETWORK_ADD", "OP_TAGS_SET", "OP_", ""])},
        optional={"instance_name": JSON, "network_name": JSON, "kind": JSON, "name": JSON, "nics": JSON, "disks": JSON,
                  "osparams": JSON, "hvparams": JSON, "tags": JSON},
    ),
    "status": st.sampled_from(["queued", "waiting", "canceling", "running", "canceled", "success", "error"]) | JSON,
    "result": JSON, "log": JSON, "start_timestamp": STAMP, "exec_timestamp": STAMP, "end_timestamp": STAMP,
})  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_recorded_jobs_are_read_whole(job_file: Callable[[str], bytes], name: str) -> None:
    raw = json.loads(job_file(name))
    job = parse(job_file(name))
    assert (job.id, len(job.ops)) == (raw["id"], len(raw["ops"]))
    assert [op.status for op in job.ops] == [op["status"] for op in raw["ops"]]
    assert [op.name for op in job.ops] == [op["input"]["OP_ID"] for op in raw["ops"]]


@pytest.mark.parametrize("name", ["create-success", "three-ops-second-failed", "create-canceled-in-queue"])
def test_a_job_cut_at_any_byte_is_a_value_error(job_file: Callable[[str], bytes], name: str) -> None:
    content = job_file(name).rstrip()
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r"JSON|decode"):
            parse(content[:length])


@given(JSON)
def test_any_json_is_a_job_or_a_value_error(value: Any) -> None:
    with suppress(ValueError):
        assert isinstance(parse(json.dumps(value)), Job)


@given(JSON, st.lists(OP, min_size=1, max_size=3), STAMP)
def test_any_op_is_told_or_a_value_error(number: Any, ops: list[Any], stamp: Any) -> None:
    with suppress(ValueError):
        job = parse(json.dumps({"id": number, "ops": ops, "received_timestamp": stamp}))
        assert len(news(job, {}, "c")) <= len(ops)


def test_json_nested_too_deep_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"deep|JSON|ops"):
        parse("[" * 200_000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ops": []}, "no list of ops"),
        ({"id": None}, "id is no number"),
        ({"id": True}, "id is no number"),
        ({"received_timestamp": 12.5}, "received_timestamp is no"),
        ({"ops": [{"input": {"OP_ID": "OP_X"}, "status": "cancelled"}]}, "unknown status 'cancelled'"),
        ({"ops": [{"input": {}, "status": "queued"}]}, "op 0 has no OP_ID"),
        ({"ops": [{"status": "queued"}]}, "op 0 has no input"),
    ],
)
def test_the_error_names_what_is_wrong(job_file: Callable[[str], bytes], change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(json.dumps({**json.loads(job_file("create-success")), **change}))


def test_an_error_never_shows_the_content(job_file: Callable[[str], bytes]) -> None:
    content = job_file("create-success")
    for length in range(0, len(content), 7):
        with pytest.raises(ValueError) as caught:
            parse(content[:length])
        assert "Passw0rd" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("create-queued", [(T0, 0)]),
        ("create-waiting", [(T0, 250000)]),
        ("create-running", [(T0 + 1, 500000)]),
        ("create-success", [(T0 + 9, 750000)]),
        ("modify-canceling", [(T0 + 50, 100000)]),
        ("create-canceled-in-queue", [(T0 + 5, 1)]),
        # The third has no end of its own: the job's.
        ("three-ops-second-failed", [(T0 + 81, 0), (T0 + 81, 500000), (T0 + 81, 510000)]),
    ],
)
def test_times_of_statuses(job_file: Callable[[str], bytes], name: str, times: list[tuple[int, int]]) -> None:
    job = parse(job_file(name))
    assert [job.time(op) for op in job.ops] == times


def test_a_clock_that_was_set_back_does_not_turn_the_order_of_statuses(job_file: Callable[[str], bytes]) -> None:
    raw = json.loads(job_file("create-success"))
    raw["ops"][0]["end_timestamp"] = [T0 - 3600, 0]
    raw["end_timestamp"] = [T0 - 3600, 0]
    job = parse(json.dumps(raw))
    assert job.time(job.ops[0]) == (T0 + 1, 500000)


def test_a_job_is_final_when_every_op_is(job_file: Callable[[str], bytes]) -> None:
    raw = json.loads(job_file("three-ops-second-failed"))
    assert parse(json.dumps(raw)).is_final
    raw["ops"][2]["status"] = "canceling"
    assert not parse(json.dumps(raw)).is_final
