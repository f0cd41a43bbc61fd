"""The real ganeti-ext-eventd on directories of our own, with this host as the master and no luxid."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.eventd_node import OWN_NAME, ROOT, Front, Node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.close()


@pytest.fixture
def front(node: Node) -> Iterator[Front]:
    made = Front(node.outbox())
    yield made
    made.close()


def test_a_job_is_told_while_it_goes_on(node: Node, front: Front) -> None:
    node.start()
    for name in ("create-queued", "create-running", "create-success"):
        node.job(name, 17)
        front.until(lambda name=name: (17, 0, name.removeprefix("create-")) in front.states())  # type: ignore[misc]
    assert front.states() == [(17, 0, "queued"), (17, 0, "running"), (17, 0, "success")]
    last = front.taken[-1]
    assert (last["cluster"], last["type"]) == ("cluster.example.org", "ganeti-op-status")
    assert "read_at" not in last  # nobody answers for Ganeti here
    assert "Passw0rd" not in json.dumps(front.taken) + node.log()


def test_killed_at_any_moment_it_loses_and_repeats_nothing(node: Node, front: Front) -> None:
    chance = random.Random(20261121)
    last = 0
    for _ in range(5):
        eventd = node.start()
        for _ in range(20):
            last += 1
            for name in ("startup-success", "three-ops-second-failed")[last % 2 :][:1]:
                node.job(name, last)
        time.sleep(chance.uniform(0, 0.03))
        eventd.send_signal(signal.SIGKILL)
        eventd.wait()
        for _ in range(5):
            last += 1
            node.job("startup-success", last)
    node.start()
    front.until(lambda: {job for job, _, _ in front.states()} == set(range(1, last + 1)))
    states = front.states()
    assert len(states) == len(set(states))
    assert sum(1 for _, index, _ in states if index == 2) == 50


def test_archived_before_it_was_read(node: Node, front: Front) -> None:
    node.job("startup-success", 5)
    (node.path / "queue/archive/0").mkdir()
    (node.path / "queue/job-5").rename(node.path / "queue/archive/0/job-5")
    node.start()
    front.until(lambda: front.states() == [(5, 0, "success")])


def test_only_the_master_tells_of_jobs_but_every_node_of_notes(node: Node, front: Front) -> None:
    node.master("node2.example.org")
    node.note("gx-before")
    node.job("startup-success", 5)
    node.start()
    node.job("startup-success", 6)
    node.note("gx-after")
    front.until(lambda: len(front.taken) == 2)
    assert [(m["type"], m["instance"], m["node"]) for m in front.taken] == [
        ("ganeti-net-status", "gx-before", OWN_NAME),
        ("ganeti-net-status", "gx-after", OWN_NAME),
    ]
    node.master(OWN_NAME)
    front.until(lambda: set(front.states()) == {(5, 0, "success"), (6, 0, "success")})
    node.master("node2.example.org")
    node.job("startup-success", 7)
    node.note("gx-last")
    front.until(lambda: front.taken[-1].get("instance") == "gx-last")
    assert len(front.states()) == 2
    assert f"{OWN_NAME} is not the master" in node.log()


def test_who_becomes_the_master_tells_it_and_that_ganeti_is_started_anew(node: Node, front: Front) -> None:
    (node.path / "sockets").mkdir()
    node.configure(query_socket=str(node.path / "sockets/ganeti-query"))
    node.start()
    front.until(lambda: front.masters == [OWN_NAME])
    with contextlib.ExitStack() as luxid:
        for name in ("ganeti-master", "ganeti-query"):  # in the order of luxid
            listener = luxid.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(node.path / "sockets" / name))
        front.until(lambda: front.masters == [OWN_NAME] * 2)
    node.master("node2.example.org")
    (node.path / "sockets/ganeti-query").unlink()
    (node.path / "sockets/ganeti-query").touch()
    node.note("gx-after")
    front.until(lambda: [message["instance"] for message in front.taken] == ["gx-after"])
    node.master(OWN_NAME)
    front.until(lambda: front.masters == [OWN_NAME] * 3)


def test_bad_files_are_one_line_and_it_goes_on(node: Node, front: Front) -> None:
    eventd = node.start()
    for number, content in ((5, b'{"id": 5, "ops": [{"in'), (6, b"\xff\x00")):
        draft = node.path / f"queue/job-{number}.new"
        draft.write_bytes(content)
        draft.rename(node.path / f"queue/job-{number}")
    (node.path / "notes/1-1.json").write_text("{")
    node.job("startup-success", 7)
    front.until(lambda: front.states() == [(7, 0, "success")])
    node.note("gx-after")
    front.until(lambda: front.taken[-1].get("instance") == "gx-after")
    assert eventd.poll() is None
    log = node.log()
    assert [log.count(f"job-{number} is skipped") for number in (5, 6)] == [1, 1]
    assert log.count("note 1-1.json is no note") == 1
    assert "Traceback" not in log


def test_a_queue_that_is_set_up_later(node: Node, front: Front) -> None:
    (node.path / "queue/archive").rmdir()
    (node.path / "queue").rmdir()
    node.start()
    (node.path / "queue").mkdir()
    node.job("startup-success", 1)
    front.until(lambda: front.states() == [(1, 0, "success")])


def test_a_full_disk_only_delays(node: Node) -> None:
    state = node.path / "state"
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(state)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting takes root")
    try:
        eventd = node.start()
        front = Front(node.outbox())
        with contextlib.suppress(OSError), open(state / "filler", "wb", buffering=0) as filler:
            while filler.write(b"x" * 4096):
                pass
        for number in range(1, 41):
            node.job("network-add-success", number)
        while "trying again" not in node.log():
            time.sleep(0.05)
        (state / "filler").unlink()
        front.until(lambda: len(front.states()) == 80)
        assert len(set(front.states())) == 80
        assert eventd.poll() is None
        front.close()
        node.close()
    finally:
        subprocess.run(["umount", "-l", state], check=True)


def test_no_broker_holds_nothing_up_and_its_password_stays_hidden(node: Node) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        node.configure(broker=f"amqp://front:Passw0rd@127.0.0.1:{port}/, amqp://front:Passw0rd@127.0.0.1:{port}/two")
        eventd = node.start()
        node.job("create-success", 17)
        outbox = node.outbox()
        end = time.monotonic() + 10
        while len(outbox) < 2:  # that this is the master, and the job
            assert time.monotonic() < end
            time.sleep(0.01)
        while node.log().count("; trying again, ") < 2:  # one line for each broker
            assert time.monotonic() < end
            time.sleep(0.01)
        assert len(outbox) == 2
        command = Path(f"/proc/{eventd.pid}/cmdline").read_bytes()
        eventd.terminate()
        assert eventd.wait(10) == 0
    assert b"eventd.conf" in command
    assert b"Passw0rd" not in command
    assert f"amqp://127.0.0.1:{port}/" in node.log()
    assert "Passw0rd" not in node.log()
    outbox.close()


def test_a_wrong_configuration(node: Node) -> None:
    node.configure(brokre="x")
    done = subprocess.run(
        [sys.executable, "-I", ROOT / "eventd/ganeti-ext-eventd", "--config", node.path / "eventd.conf"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr.startswith(f"ganeti-ext-eventd: {node.path}/eventd.conf: [eventd] unknown key 'brokre'")


def test_help() -> None:
    done = subprocess.run(
        [sys.executable, "-I", ROOT / "eventd/ganeti-ext-eventd", "--help"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "/etc/ganeti-ext/eventd.conf" in done.stdout
