"""Measuring, on files as Ganeti and the kernel have them."""

from __future__ import annotations

import os
import select
from pathlib import Path
from typing import Any

import pytest

from eventd.sampler import Files, Sampler
from ganeti_ext import event
from tests.unit.eventd.test_samples import DEV, IO, STAT

PAGE, TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")

TAP0, TAP111 = (["tap0", 70000000, 90000, 0, 4, 5000000, 10000, 1, 2], ["tap111", 1, 1, 0, 0, 12345678901234, 1, 0, 0])


class Node:
    """Its instances, by files below `path`."""

    def __init__(self, path: Path) -> None:
        self.run, self.proc = path / "run", path / "proc"
        self._write(self.proc / "sys/kernel/random/boot_id", "9a3b1c1e-0000-4000-8000-000000000001\n")
        self._write(self.proc / "net/dev", DEV)
        self.files = Files(str(self.run), str(self.proc))

    def guest(self, name: str, pid: int, taps: tuple[str, ...] = (), stat: str = STAT, its: str = "") -> None:
        self._write(self.run / "pid" / name, f"{pid}\n")
        for index, tap in enumerate(taps):
            self._write(self.run / "nic" / name / str(index), tap)
        words = ("/usr/bin/kvm", "-name", its or name)
        texts = {"stat": stat, "statm": "100 25 5 1 0 50 0\n", "io": IO, "cmdline": "\0".join([*words, ""])}
        for kind, text in texts.items():
            self._write(self.proc / str(pid) / kind, text)

    def gone(self, pid: int, *kinds: str) -> None:
        for kind in kinds:
            (self.proc / str(pid) / kind).unlink()

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def names(found: list[dict[str, Any]]) -> set[str]:
    return {one["instance"] for one in found}


def test_all_that_runs_is_measured(node: Node) -> None:
    node.guest("web", 2411, ("tap0", "tap111"))
    node.guest("db", 2500)
    found = {one["instance"]: one for one in node.files.measure()}
    web, db = found["web"], found["db"]
    began = (web.pop("began"), db.pop("began"))
    assert len(set(began)) == 2
    assert web == {
        "instance": "web",
        "cpu_ns": 2517 * 10**9 // TICKS,
        "memory_kib": 25 * PAGE // 1024,
        "read": 104857600,
        "written": 52428800,
        "nics": [TAP0, TAP111],
    }
    assert db["nics"] == []


def test_a_node_without_instances(node: Node) -> None:
    assert node.files.measure() == []
    (node.run / "pid").mkdir(parents=True)
    assert node.files.measure() == []


@pytest.mark.parametrize("kind", ["stat", "cmdline", "io", "statm"])
def test_what_goes_away_amid_measuring_is_no_error(node: Node, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    node.guest("web", 2411)
    node.guest("db", 2500)
    node.gone(2411, kind)
    assert names(node.files.measure()) == {"db"}
    assert caplog.text == ""


def test_a_number_that_another_process_got_is_not_the_instances(node: Node) -> None:
    node.guest("web", 2411, its="other")
    assert node.files.measure() == []
    node.guest("web", 2411)
    assert names(node.files.measure()) == {"web"}
    node.guest("web", 2411, its="other")  # looked at once, as long as it is the same process
    assert names(node.files.measure()) == {"web"}
    node.guest("web", 2411, its="other", stat=STAT.replace("431507", "431508"))
    assert node.files.measure() == []


def test_another_process_is_another_beginning(node: Node) -> None:
    node.guest("web", 2411, ("tap0",))
    first, again = node.files.measure()[0]["began"], node.files.measure()[0]["began"]
    node.guest("web", 2411, ("tap0",), stat=STAT.replace("431507", "431508"))
    restarted = node.files.measure()[0]["began"]
    node.guest("web", 2411, ("tap0", "tap111"), stat=STAT.replace("431507", "431508"))
    assert first == again
    assert len({first, restarted, node.files.measure()[0]["began"]}) == 3


def test_a_file_that_a_crash_left_behind_gives_nobodys_traffic_away(node: Node) -> None:
    node.guest("crashed", 2411, ("tap0",))
    node.guest("new", 2500, ("tap0",))
    os.utime(node.run / "nic/crashed/0", (1, 1))
    found = {one["instance"]: one["nics"] for one in node.files.measure()}
    assert found == {"crashed": [], "new": [TAP0]}


def test_drafts_and_half_written_files_are_passed_over(node: Node) -> None:
    node.guest("web", 2411, ("tap0", "tap7", ""))  # tap7 is taken away
    (node.run / "nic/web/0abc.new").write_text("lo")
    (node.run / "pid/begun").write_text("")
    (node.run / "nic/begun").mkdir()
    assert [one["nics"] for one in node.files.measure()] == [[TAP0]]


def test_what_cannot_be_read_is_said_once(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    node.guest("web", 2411)
    node.guest("db", 2500)
    (node.proc / "2411/io").write_text("nothing of the kind\n")
    for _ in range(3):
        assert names(node.files.measure()) == {"db"}
    assert caplog.text.count("instance web cannot be measured") == 1
    node.guest("web", 2411)
    assert names(node.files.measure()) == {"db", "web"}
    (node.proc / "net/dev").unlink()
    assert node.files.measure() == []
    assert caplog.text.count("no instance can be measured") == 1


def test_the_thread_hands_over_what_it_measured(node: Node) -> None:
    node.guest("web", 2411)
    sampler = Sampler(0.01, node.files)
    sampler.start()
    try:
        assert select.select([sampler.ready], [], [], 10)[0]
        message = sampler.take("c", "node1")
        assert message is not None
        assert {**message, "instances": [], "event_time": []} == {
            "type": event.SAMPLES, "version": event.VERSION, "cluster": "c", "node": "node1", "event_time": [],
            "instances": [],
        }  # fmt: skip
        assert names(message["instances"]) == {"web"}
        assert event.decode(event.encode(message)) == message
    finally:
        sampler.stop()
