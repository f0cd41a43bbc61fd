"""Records are whole or not there."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from kvm_ifup import state
from kvm_ifup.state import Record, RecordError, Records


def test_a_record_comes_back_as_it_was(records: Records, record: Record) -> None:
    bare = record._replace(tap="tap1", binding=None, elements=())
    for one in (record, bare):
        records.write(one)
        assert records.read(one.tap) == one
    assert sorted(records.taps()) == ["tap0", "tap1"]


def test_no_record(records: Records) -> None:
    assert list(records.taps()) == []
    assert records.read("tap0") is None
    records.remove("tap0")


def test_a_removed_record_is_gone(records: Records, record: Record) -> None:
    records.write(record)
    records.remove("tap0")
    assert list(records.taps()) == []


def test_drafts_are_no_records(records: Records, record: Record, tmp_path: Path) -> None:
    records.write(record)
    (tmp_path / "run" / "taps" / ".tap1.4711").write_text("IFINDEX=")
    assert list(records.taps()) == ["tap0"]


def test_the_text(record: Record) -> None:
    text = state.render(record._replace(binding="/b/tap0"))
    assert text.splitlines() == [
        "IFINDEX=12",
        "INSTANCE=gx-1.example.org",
        "NIC=nic-1",
        "BINDING=/b/tap0",
        "ELEMENT=taps",
        "ELEMENT=macs 52:54:00:00:00:01",
    ]


@pytest.mark.parametrize("text", ["", "IFINDEX=x\nINSTANCE=i\nNIC=n\nBINDING=\n", "IFINDEX=1\nINSTANCE=i\nNIC=n\n"])
def test_a_damaged_record_is_named(records: Records, record: Record, tmp_path: Path, text: str) -> None:
    records.write(record)
    path = tmp_path / "run" / "taps" / "tap0"
    path.write_text(text)
    with pytest.raises(RecordError, match=str(path)):
        records.read("tap0")


def test_a_lock_is_of_one_tap(records: Records, tmp_path: Path) -> None:
    path = tmp_path / "run" / "locks" / "tap0"
    with records.lock("tap0"), records.lock("tap1"), open(path) as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(path) as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
