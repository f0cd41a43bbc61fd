"""Recorded jobs in any order, doubled, cut and changed; any moment to die at."""

from __future__ import annotations

import json
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventd.counts import Counts
from eventd.follow import Follower
from eventd.jobqueue import JobQueue
from eventd.jobs import parse
from eventd.messages import news
from eventd.spool import Spool
from ganeti_ext.event import FINAL
from ganeti_ext.outbox import Outbox
from tests.unit.eventd.conftest import DATA, Answers, QueueDirectory
from tests.unit.eventd.following import DAY, T0, Clock

NAMES = sorted(path.stem for path in DATA.glob("*.json"))
# The files of one job as it goes on, and of others that end at once.
STAGES = ("create-queued", "create-waiting", "create-running", "create-success")
WHOLE = ("startup-success", "network-add-success", "three-ops-second-failed", "node-changes", "cluster-modify-success",
         "remove-success", "tags-of-all", "heartbeat")  # fmt: skip


class World:
    """A queue, and an eventd that dies and starts; what it told lies in the outbox."""

    def __init__(self, folder: Path) -> None:
        self.directory = QueueDirectory(folder / "queue")
        self.clock = Clock()
        self.clock.now = T0 + 1000.0
        self.outbox = Outbox(str(folder / "outbox.db"))
        self.written: dict[int, str] = {}
        self.start()

    def start(self) -> None:
        """As a new process: only the outbox is left of the one before."""
        counts = Counts()
        spool = Spool(self.outbox, 100_000, "node1", lambda: "cluster", counts)
        self.answers = Answers()
        queue = JobQueue(str(self.directory.path))
        self.follower = Follower(
            queue, spool, self.answers, counts, recent=1000 * DAY, owe=lambda _: None, clock=self.clock
        )

    def write(self, name: str, job: int) -> None:
        self.directory.put(name, job)
        self.written[job] = name

    def step(self, what: str, name: str, job: int) -> None:
        is_new = what in ("write", "lost") and job not in self.written
        if is_new and job <= int(self.outbox.cursors().get("floor", 0)):
            return  # jobs come in the order of their numbers, but for an hour (eventd.cursors.SETTLED)
        if what in ("write", "lost"):
            self.write(name, job)
        if what in ("write", "again"):
            self.follower.changed([f"job-{job}"])
        elif what == "crash":
            self.start()
        elif what == "scan":
            self.follower.scan()
        elif what == "silent":
            self.answers.answer(read_at=False)
            self.follower.collect()
        elif what == "answer":
            self.answers.answer()
            self.follower.collect()
        elif what == "leave":
            self.follower.leave()
        elif what == "clock":
            self.clock.now += 7200 if job % 2 else -3600

    def settle(self) -> None:
        for _ in range(2):
            self.follower.scan()
            self.answers.answer()
            self.follower.collect()

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(message.body) for message in self.outbox.take(100_000)]


@contextmanager
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        made = World(Path(folder))
        yield made
        made.outbox.close()


def _file(stage: int, job: int) -> str:
    """Jobs 1 and 2 go on, in any order of their files, as old copies may come late; the others end at once."""
    return STAGES[stage] if job <= 2 else WHOLE[job - 3]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ("write", "write", "write", "lost", "again", "crash", "scan", "silent", "answer", "leave", "clock")
        ),
        st.integers(0, len(STAGES) - 1),
        st.integers(1, 2 + len(WHOLE)),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(STEPS)
def test_whatever_happens_each_end_is_told_once_and_in_order(steps: list[tuple[str, int, int]]) -> None:
    with world() as now:
        for what, stage, job in steps:
            now.step(what, _file(stage, job), job)
        now.settle()
        told = now.told()
        first: dict[tuple[int, int, str], dict[str, Any]] = {}
        for message in told:
            place = message["jobId"], message["op_index"]
            first.setdefault((*place, message["status"]), message)
        # What the files say at last, as far as it is no step back, is told.
        for job, name in now.written.items():
            content = json.loads((DATA / f"{name}.json").read_text()) | {"id": job}
            for item in news(parse(json.dumps(content)), {}, "cluster"):
                place = job, item.message["op_index"]
                ranks = [message["order"][4] for message in told if (message["jobId"], message["op_index"]) == place]
                assert max(ranks, default=-1) >= item.message["order"][4], (place, item.status)
        # Once; twice only what Ganeti was silent about at first.
        for status, count in Counter((m["jobId"], m["op_index"], m["status"]) for m in told).items():
            silent = status[2] in FINAL and "read_at" not in first[status]
            assert count <= 1 + silent, status
        for place in {(m["jobId"], m["op_index"]) for m in told}:
            mine = [m for m in told if (m["jobId"], m["op_index"]) == place]
            ranks = [m["order"][4] for m in mine]
            assert ranks == sorted(ranks)
            new = [m["seq"] for m in mine if m is first[(*place, m["status"])]]
            assert all(one < two for one, two in pairwise(new))
        # And nothing more comes of it.
        now.start()
        now.settle()
        assert len(now.told()) == len(told)


def test_any_order_of_whole_jobs_ends_the_same() -> None:
    found = []
    for order in (NAMES, NAMES[::-1], NAMES[1::2] + NAMES[::2] + NAMES):
        with world() as now:
            for name in order:
                now.write(name, NAMES.index(name) + 1)
                now.follower.changed([f"job-{NAMES.index(name) + 1}"])
            now.settle()
            found.append(sorted((m["order"][2:], m["type"], m["status"]) for m in now.told()))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) > 30


@pytest.mark.parametrize("name", NAMES)
def test_a_job_cut_anywhere_tells_of_nothing_and_is_whole_again_later(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = (DATA / f"{name}.json").read_text().rstrip()
    for end in range(len(content)):
        with pytest.raises(ValueError, match=r"."):
            parse(content[:end])
    with world() as now, caplog.at_level(logging.ERROR):
        number = json.loads(content)["id"]
        for end in (0, 1, len(content) // 2, len(content) - 1):
            now.directory.write(number, content[:end])
            now.follower.changed([f"job-{number}"])
            now.follower.changed([f"job-{number}"])
        assert now.told() == []
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) == len(set(lines)) <= 4
        assert all(f"job-{number} is skipped" in line for line in lines)
        now.write(name, number)
        now.follower.changed([f"job-{number}"])
        now.settle()
        assert len(now.told()) == len(news(parse(content), {}, "cluster"))


@pytest.mark.parametrize("name", NAMES)
def test_fields_that_nobody_knows_change_nothing(name: str) -> None:
    raw = json.loads((DATA / f"{name}.json").read_text())
    plain = news(parse(json.dumps(raw)), {}, "cluster")
    raw["future"] = [{"deep": None}]
    for op in raw["ops"]:
        op["future"] = {"a": [1]}
        op["input"]["future_parameter"] = [[["x"]]]
        op["log"] = [*(op.get("log") or []), [9, [1, 2], "future-type", {"x": 1}], "odd", [1], None]
    told = news(parse(json.dumps(raw)), {}, "cluster")
    for one, two in zip(plain, told, strict=True):
        one.message["job_fields"].pop("changed", None), two.message["job_fields"].pop("changed", None)
        assert one == two


@pytest.mark.parametrize(
    "opcode", ["OP_POOL_ADD", "OP_CLUSTER_EXPLODE", "OP_TEST_DELAY", "OP_", "", "INSTANCE", "OP_TAGS_GET"]
)
def test_opcodes_that_nobody_knows_are_not_told(opcode: str) -> None:
    for name in NAMES:
        raw = json.loads((DATA / f"{name}.json").read_text())
        for op in raw["ops"]:
            op["input"]["OP_ID"] = opcode
        assert news(parse(json.dumps(raw)), {}, "cluster") == []
