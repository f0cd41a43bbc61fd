"""A mirror as a QEMU of the test's has it: what is asked in which order, and what is undone when it fails."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import pytest

from extstorage import mirror, mirror_qemu
from extstorage.mirror_qemu import DONE, GOING, Pair
from extstorage.move_copy import Meter
from ganeti_ext import qemusocket
from ganeti_ext.errors import ExtError
from ganeti_ext.qemusocket import Refused
from tests.unit.extstorage.test_mirror import BOTH, NEW, OLD


class Qemu:
    """Its answers; `fails` is a command that it refuses, `ends` what becomes of a mirror that is to be completed."""

    def __init__(self) -> None:
        self.root, self.status = mirror.node_name(OLD), "running"
        self.named = {self.root}
        self.job: dict[str, Any] | None = None
        self.fails, self.ends, self.why = "", "concluded", ""
        self.asked: list[str] = []
        self.looked = 0

    def __enter__(self) -> Qemu:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def ask(self, command: str, _: float | None = None, arguments: Mapping[str, Any] | None = None) -> Any:
        if not command.startswith("query-"):
            self.asked.append(command)
        if command == self.fails:
            raise Refused(f"{command}: no")
        with contextlib.suppress(KeyError):
            return {
                "query-status": {"status": self.status},
                "query-block": [{"device": ""}, {"inserted": {"node-name": self.root}}],
                "query-commands": [{"name": "block-job-change"}],
                "query-named-block-nodes": [{"node-name": name} for name in self.named],
            }[command]
        return getattr(self, "_" + command.replace("-", "_"))(arguments or {})

    def give(self, fd: int) -> int:
        self.asked.append(f"give {fd}")
        return 7

    def _query_block_jobs(self, _: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.looked += 1
        if self.job and self.job["status"] == "running" and self.looked > 2:
            self.job |= {"ready": True, "status": "ready", "offset": 8}
        elif self.job and self.job["status"] == "ready" and self.looked > 4:
            self.job["actively-synced"] = True
        return [dict(self.job)] if self.job else []

    def _blockdev_add(self, tree: Mapping[str, Any]) -> None:
        self.tree = tree
        self.named.add(tree["node-name"])

    def _remove_fd(self, facts: Mapping[str, Any]) -> None:
        assert facts == {"fdset-id": 7}

    def _blockdev_mirror(self, facts: Mapping[str, Any]) -> None:
        assert (facts["device"], facts["target"]) == (mirror.node_name(OLD), mirror.node_name(NEW))
        assert {facts["device"], facts["target"]} <= self.named
        self.job = {"device": facts["job-id"], "status": "running", "ready": False, "offset": 0, "len": 8}
        self.job["actively-synced"] = False

    def _block_job_change(self, facts: Mapping[str, Any]) -> None:
        assert facts["copy-mode"] == "write-blocking"

    def _stop(self, _: object) -> None:
        self.status = "paused"

    def _cont(self, _: object) -> None:
        self.status = "running"

    def _block_job_complete(self, _: object) -> None:
        assert self.job
        assert self.status == "paused"
        self.job["status"] = self.ends
        if self.why:
            self.job["error"] = self.why
        else:
            self.root = mirror.node_name(NEW)

    def _block_job_cancel(self, facts: Mapping[str, Any]) -> None:
        assert self.job
        assert facts["force"]
        self.job["status"] = "concluded"

    def _job_dismiss(self, facts: Mapping[str, Any]) -> None:
        assert self.job
        assert (facts["id"], self.job["status"]) == (self.job["device"], "concluded")
        self.job = None

    def _blockdev_del(self, facts: Mapping[str, Any]) -> None:
        assert facts["node-name"] != self.root
        self.named.remove(facts["node-name"])


@pytest.fixture
def qemu(monkeypatch: pytest.MonkeyPatch) -> Qemu:
    made = Qemu()
    monkeypatch.setattr(qemusocket, "monitor", lambda *_: made)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return made


class Notes:
    """What is written down, each with what the guest did."""

    def __init__(self, qemu: Qemu) -> None:
        self._qemu = qemu
        self.made: list[str] = []
        self.fails: list[Exception] = []

    def note(self) -> None:
        self.made.append(f"note {self._qemu.status}")
        if self.fails:
            raise self.fails.pop()

    def withdraw(self) -> None:
        self.made.append(f"withdraw {self._qemu.status}")
        if self.fails:
            raise self.fails.pop()


def mirrored(qemu: Any, pair: Pair = BOTH) -> None:
    """Begun and followed to where the other can take its place."""
    mirror_qemu.begin(qemu, pair, mirror.tree(NEW, {"driver": "host_device", "filename": "/dev/x"}), 5)
    mirror_qemu.follow("", pair, Meter(), lambda: True)


def test_a_disk_takes_anothers_place(qemu: Any) -> None:
    assert mirror_qemu.state(qemu, BOTH) == ""
    mirrored(qemu)
    assert qemu.tree["file"]["filename"] == "/dev/fdset/7"
    assert mirror_qemu.state(qemu, BOTH) == GOING
    notes = Notes(qemu)
    mirror_qemu.pivot("", BOTH, notes.note, notes.withdraw, stands=False)
    assert (notes.made, qemu.status, mirror_qemu.state(qemu, BOTH)) == (["note paused"], "running", DONE)
    mirror_qemu.settle(qemu, BOTH)
    assert (qemu.named, qemu.job) == ({mirror.node_name(NEW)}, None)
    begun = ["give 5", "blockdev-add", "remove-fd", "blockdev-mirror", "block-job-change"]
    assert qemu.asked == [*begun, "stop", "block-job-complete", "cont", "job-dismiss", "blockdev-del"]


@pytest.mark.parametrize(("status", "stands", "after"), [("paused", False, "paused"), ("paused", True, "running")])
def test_a_guest_that_stood_still_before(qemu: Any, status: str, stands: bool, after: str) -> None:
    mirrored(qemu)
    qemu.status = status
    assert mirror_qemu.stands(qemu, BOTH)
    notes = Notes(qemu)
    mirror_qemu.pivot("", BOTH, notes.note, notes.withdraw, stands=stands)
    assert qemu.status == after


def test_a_pivot_that_fails_is_withdrawn_before_the_guest_goes_on(qemu: Any) -> None:
    mirrored(qemu)
    qemu.why = "Input/output error"
    notes = Notes(qemu)
    with pytest.raises(ExtError, match="could not mirror disk 1 of instance 'web': Input/output error"):
        mirror_qemu.pivot("", BOTH, notes.note, notes.withdraw, stands=False)
    assert (notes.made, qemu.status) == (["note paused", "withdraw paused"], "running")
    mirror_qemu.cancel(qemu, BOTH)
    assert (qemu.named, qemu.job, mirror_qemu.state(qemu, BOTH)) == ({mirror.node_name(OLD)}, None, "")


def test_a_guest_stands_still_until_all_is_withdrawn(qemu: Any) -> None:
    mirrored(qemu)
    notes = Notes(qemu)
    notes.fails = [OSError("still"), ExtError("the store is away")]
    with pytest.raises(ExtError, match="the store is away"):
        mirror_qemu.pivot("", BOTH, notes.note, notes.withdraw, stands=False)
    assert notes.made == ["note paused", "withdraw paused", "withdraw paused"]
    assert (qemu.status, "block-job-complete" in qemu.asked) == ("running", False)


def test_a_pivot_that_was_done_is_noted_only(qemu: Any) -> None:
    mirrored(qemu)
    qemu.status = "paused"
    qemu.ask("block-job-complete")
    qemu.asked.clear()
    notes = Notes(qemu)
    mirror_qemu.pivot("", BOTH, notes.note, notes.withdraw, stands=True)
    assert (notes.made, qemu.asked) == (["note paused"], ["cont"])


def test_no_pivot_while_the_guest_migrates(qemu: Any) -> None:
    mirrored(qemu)
    qemu.status = "finish-migrate"
    with pytest.raises(ExtError, match="is being migrated: QEMU says finish-migrate"):
        mirror_qemu.pivot("", BOTH, lambda: None, lambda: None, stands=False)
    assert "stop" not in qemu.asked


def test_a_mirror_that_ends_by_itself(qemu: Any) -> None:
    mirrored(qemu)
    qemu.job |= {"status": "concluded", "error": "No space left on device"}
    with pytest.raises(ExtError, match="No space left on device"):
        mirror_qemu.follow("", BOTH, Meter(), lambda: True)
    del qemu.job["error"]
    with pytest.raises(ExtError, match="somebody cancelled it"):
        mirror_qemu.follow("", BOTH, Meter(), lambda: True)
    qemu.job = None
    with pytest.raises(ExtError, match="somebody ended the mirror"):
        mirror_qemu.follow("", BOTH, Meter(), lambda: True)


def test_a_mirror_that_nobody_wants_any_more(qemu: Any) -> None:
    with pytest.raises(ExtError, match="whoever asked for the mirror is gone"):
        mirror_qemu.follow("", BOTH, Meter(), lambda: False)


def test_a_node_that_is_not_opened_leaves_no_descriptor(qemu: Any) -> None:
    qemu.fails = "blockdev-add"
    with pytest.raises(ExtError, match="blockdev-add: no"):
        mirror_qemu.begin(qemu, BOTH, mirror.tree(NEW, {}), 5)
    assert qemu.asked == ["give 5", "blockdev-add", "remove-fd"]


def test_a_job_that_does_not_end(qemu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mirrored(qemu)
    qemu.fails = "block-job-cancel"
    monkeypatch.setattr(mirror_qemu, "OPENED", 0.01)
    with pytest.raises(ExtError, match="QEMU does not end its block job move-to-disk-"):
        mirror_qemu.cancel(qemu, BOTH)


def test_a_qemu_with_other_disks(qemu: Any) -> None:
    qemu.root = "drive0"
    with pytest.raises(ExtError, match=f"no disk with the block node {mirror.node_name(OLD)}"):
        mirror_qemu.state(qemu, BOTH)
