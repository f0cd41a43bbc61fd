"""The reaper undoes what is stale, and nothing else."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ganeti_ext.errors import CommandError
from kvm_ifup import ruleset
from kvm_ifup.apply import Host
from kvm_ifup.reaper import Reaper
from kvm_ifup.state import Record, Records


class Node:
    """A host whose interfaces and programs are the test's. `fail` lists texts of nft that are refused."""

    def __init__(self, records: Records, bindings: Path) -> None:
        self.there: dict[str, int] = {}
        self.nft: list[str] = []
        self.refused: list[str] = []
        self.records = records
        self.reaper = Reaper(records, Host(records, self._run, self.there.get), str(bindings))

    def _run(self, argv: list[str], *, stdin: str) -> str:
        assert argv == ["nft", "-f", "-"]
        self.nft.append(stdin)
        if any(words in stdin for words in self.refused):
            raise CommandError("nft: no")
        return ""


@pytest.fixture
def node(records: Records, bindings: Path) -> Node:
    return Node(records, bindings)


def forgotten(record: Record) -> str:
    return ruleset.forget(record.tap, record.ifindex, record.elements)


def test_nothing_to_do_starts_nothing(node: Node, record: Record) -> None:
    node.reaper.sweep()
    node.there["tap0"] = 12
    node.records.write(record)
    node.reaper.sweep()
    assert node.nft == []
    assert list(node.records.taps()) == ["tap0"]


@pytest.mark.parametrize("index", [None, 13])
def test_what_a_vanished_tap_had_is_undone(node: Node, record: Record, bindings: Path, index: int | None) -> None:
    if index:
        node.there["tap0"] = index
    node.records.write(record)
    (bindings / "tap0").touch()
    node.reaper.sweep()
    assert node.nft == [forgotten(record)]
    assert [*node.records.taps(), *bindings.iterdir()] == []


def test_a_tap_that_comes_while_the_lock_is_awaited_keeps_its_own(
    node: Node, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.records.write(record)
    lock = node.records.lock

    def late(tap: str) -> object:
        node.there["tap0"] = 13
        node.records.write(record._replace(ifindex=13, nic="nic-2"))
        return lock(tap)

    monkeypatch.setattr(node.records, "lock", late)
    node.reaper.sweep()
    assert node.nft == []
    assert node.records.read("tap0") == record._replace(ifindex=13, nic="nic-2")


def test_one_failure_does_not_stop_the_others(node: Node, record: Record, caplog: pytest.LogCaptureFixture) -> None:
    others = [record._replace(tap=name) for name in ("tap1", "tap2")]
    for one in (record, *others):
        node.records.write(one)
    node.refused = ['"tap1"']
    node.reaper.sweep()
    assert list(node.records.taps()) == ["tap1"]
    assert [line.getMessage() for line in caplog.records if line.levelno == logging.ERROR] == ["tap tap1: nft: no"]
    node.refused = []
    node.reaper.sweep()
    assert list(node.records.taps()) == []


def test_a_damaged_record_is_told_and_left(
    node: Node, record: Record, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node.records.write(record)
    (tmp_path / "run" / "taps" / "tap0").write_text("?")
    node.reaper.sweep()
    assert "not a record" in caplog.text
    assert node.nft == []


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("MAC=52:54:00:00:00:01\nHOSTNAME=h\nIFINDEX=9\n", False),
        ("MAC=52:54:00:00:00:01\nHOSTNAME=h\nIFINDEX=12\n", True),
        ("MAC=52:54:00:00:00:01\nHOSTNAME=h\n", True),
        ("damaged", True),
    ],
)
def test_bindings_without_a_record(node: Node, bindings: Path, text: str, stays: bool) -> None:
    node.there["tap0"] = 12
    (bindings / "tap0").write_text(text)
    node.reaper.sweep()
    assert (bindings / "tap0").exists() is stays
    assert node.nft == []


def test_no_directory_of_bindings(node: Node, bindings: Path, record: Record) -> None:
    bindings.rmdir()
    node.records.write(record)
    node.reaper.sweep()
    assert node.nft == [forgotten(record)]


def test_restore_heals_those_that_are_there(node: Node, record: Record) -> None:
    node.there["tap0"] = 12
    node.records.write(record)
    node.records.write(record._replace(tap="tap1"))
    node.reaper.restore()
    assert node.nft == [ruleset.skeleton() + ruleset.allow("tap0", 12, record.elements)]


def test_restore_without_taps_starts_nothing(node: Node) -> None:
    node.reaper.restore()
    assert node.nft == []


def test_restore_goes_one_by_one_when_one_is_refused(
    node: Node, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        node.there[f"tap{number}"] = 12
        node.records.write(record._replace(tap=f"tap{number}"))
    node.refused = ['"tap1"']
    node.reaper.restore()
    assert [sum(f'"tap{number}"' in text for text in node.nft) for number in range(3)] == [2, 2, 2]
    assert "tap tap1: rules not restored" in caplog.text
    assert "tap tap0: rules" not in caplog.text
