"""The real ganeti-ext-eventd on queues as they are found: large, damaged, copied to another master."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.eventd_node import HERE, Front, Node

JOBS = 10_000


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "node1")
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "node2", "node2.example.org")
    yield made
    made.close()


def say(words: str) -> None:
    """A figure, for who runs this with -s."""
    sys.stdout.write(f"{words}\n")


def front_of(node: Node) -> Front:
    return Front(node.outbox())


def archive(node: Node, numbers: range, when: float) -> None:
    """Jobs that ended at this time."""
    text = (HERE / "data/jobs/startup-success.json").read_text()
    job = json.loads(text.replace("17952000", f"{int(when):010}"[:8]))
    whole = json.dumps({"id": -1, **{key: value for key, value in job.items() if key != "id"}})
    for number in numbers:
        folder = node.path / f"queue/archive/{number // 10_000}"
        folder.mkdir(exist_ok=True)
        path = folder / f"job-{number}"
        path.write_text(whole.replace('"id": -1', f'"id": {number}', 1))
        os.utime(path, (when, when))


def read_bytes(pid: int) -> int:
    facts = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(facts["rchar"])


def test_of_a_large_archive_what_is_old_is_not_read(node: Node) -> None:
    node.configure(recent_hours="24")
    archive(node, range(1, JOBS - 99), time.time() - 30 * 86400)
    archive(node, range(JOBS - 99, JOBS + 1), time.time() - 3600)
    began = time.monotonic()
    eventd = node.start()
    took = time.monotonic() - began
    say(f"started in {took:.1f} s, {read_bytes(eventd.pid) >> 10} KiB read")
    assert read_bytes(eventd.pid) < 8 << 20  # the archive has four times as much, the start itself the most of this
    front = front_of(node)
    front.until(lambda: len(front.states()) == 100)
    assert {job for job, _, _ in front.states()} == set(range(JOBS - 99, JOBS + 1))
    assert took < 20
    front.close()


def test_a_large_archive_that_is_new_is_told_whole_and_only_once(node: Node) -> None:
    node.configure(recent_hours="24")
    archive(node, range(1, JOBS + 1), time.time() - 7200)
    began = time.monotonic()
    eventd = node.start()
    took = time.monotonic() - began
    front = front_of(node)
    front.until(lambda: len(front.taken) >= JOBS, 60)
    say(f"started in {took:.1f} s, all told after {time.monotonic() - began:.1f} s")
    assert sorted(front.states()) == [(job, 0, "success") for job in range(1, JOBS + 1)]
    seqs = {message["jobId"]: message["seq"] for message in front.taken}
    assert [seqs[job] for job in sorted(seqs)] == sorted(seqs.values())
    eventd.kill()
    eventd.wait()
    again = node.start()
    node.job("startup-success", JOBS + 1)
    front.until(lambda: len(front.taken) > JOBS)
    assert front.states()[-1] == (JOBS + 1, 0, "success")
    assert len(front.taken) == JOBS + 1
    assert read_bytes(again.pid) < 8 << 20
    front.close()


def test_what_is_damaged_or_unknown_is_one_line_each(node: Node) -> None:
    queue = node.path / "queue"
    whole = json.loads((HERE / "data/jobs/startup-success.json").read_text())
    (queue / "job-1").write_text("")
    (queue / "job-2").write_text(json.dumps(whole)[:700])
    (queue / "job-3").mkdir()
    (queue / "job-4").symlink_to("nowhere")
    (queue / "job-5").symlink_to("job-5")
    (queue / "job-6").write_text(json.dumps({**whole, "id": 6, "ops": [{**whole["ops"][0], "status": "paused"}]}))
    (queue / "job-7").write_text(json.dumps({**whole, "id": 70}))
    (queue / "job-8").write_text("[" * 100_000)
    future = {**whole["ops"][0], "input": {"OP_ID": "OP_POOL_ADD", "instance_name": "x"}, "future": [{}]}
    (queue / "job-9").write_text(json.dumps({**whole, "id": 9, "ops": [future, *whole["ops"]], "new": {"a": None}}))
    eventd = node.start()
    front = front_of(node)
    front.until(lambda: front.states() == [(9, 1, "success")])
    node.data("ssconf_master_node", node.name)
    for number in (2, 6, 8):
        os.utime(queue / f"job-{number}")
        (queue / f"job-{number}").rename(queue / "draft")
        (queue / "draft").rename(queue / f"job-{number}")
    node.job("startup-success", 10)
    front.until(lambda: front.states()[-1] == (10, 0, "success"))
    log = node.log()
    assert [log.count(f"job-{number} is skipped") for number in range(1, 11)] == [1, 1, 1, 0, 1, 1, 1, 1, 0, 0]
    assert "Traceback" not in log
    # One that is mended is told.
    node.job("startup-success", 2)
    front.until(lambda: front.states()[-1] == (2, 0, "success"))
    assert eventd.poll() is None
    front.close()


def test_after_a_failover_the_new_master_tells_what_is_recent_again_and_newer(node: Node, other: Node) -> None:
    for one in (node, other):
        one.master(node.name)
        one.term(7)
        one.start()
        for number in range(1, 6):
            one.job("startup-success", number)  # the candidates' copies
    old, new = front_of(node), front_of(other)
    old.until(lambda: len(old.states()) == 5)
    # The new master knows first that it is one: for a moment there are two.
    other.term(8)
    other.master(other.name)
    new.until(lambda: len(new.states()) == 5)
    for one in (node, other):
        one.job("startup-success", 6)
    old.until(lambda: len(old.states()) == 6)
    new.until(lambda: len(new.states()) == 6)
    assert max(message["seq"] for message in old.taken) < min(message["seq"] for message in new.taken)
    assert {tuple(message["order"]) for message in old.taken} == {tuple(message["order"]) for message in new.taken}
    node.master(other.name)
    node.note("gx-after")  # comes after what the directory of jobs has told
    old.until(lambda: old.taken[-1].get("instance") == "gx-after")
    for one in (node, other):
        one.job("startup-success", 7)
    new.until(lambda: new.states()[-1] == (7, 0, "success"))
    node.note("gx-last")
    old.until(lambda: old.taken[-1].get("instance") == "gx-last")
    assert len(old.states()) == 6
    # And back: nothing that it told itself, but what it was not the master for.
    node.term(9)
    node.master(node.name)
    old.until(lambda: len(old.states()) == 7)
    assert old.states()[-1] == (7, 0, "success")
    assert old.taken[-1]["seq"] > max(message["seq"] for message in new.taken)
    old.close()
    new.close()


def test_who_is_master_no_more_still_delivers_what_it_told(node: Node) -> None:
    eventd = node.start()
    for number in range(1, 4):
        node.job("startup-success", number)
    outbox = node.outbox()
    end = time.monotonic() + 20
    while len(outbox) < 3:
        assert time.monotonic() < end
        time.sleep(0.02)
    outbox.close()
    node.master("node2.example.org")
    eventd.terminate()
    assert eventd.wait(20) == 0
    node.start()
    front = front_of(node)
    front.until(lambda: len(front.states()) == 3)
    front.close()


def test_a_queue_of_events_that_ran_over_is_read_again(node: Node) -> None:
    """The kernel keeps fs.inotify.max_queued_events of a process that stands still."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 20_000:
        pytest.skip(f"fs.inotify.max_queued_events is {limit}: too many files to make")
    eventd = node.start()
    front = front_of(node)
    os.kill(eventd.pid, 19)
    spare = [node.path / "queue" / name for name in ("serial-1", "serial-2")]
    for number in range(limit + 100):  # to two by turns, as the kernel makes one event of the same twice
        spare[number % 2 - 1].touch()
        spare[number % 2 - 1].rename(spare[number % 2])
    for number in range(1, 51):
        node.job("startup-success", number)
    os.kill(eventd.pid, 18)
    front.until(lambda: len(set(front.states())) == 50, 40)
    assert "inotify queue overflow" in node.log()
    assert len(front.states()) == 50
    front.close()
