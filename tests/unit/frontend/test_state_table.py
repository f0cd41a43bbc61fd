"""The state table: every opcode in every status, from every state that a server may be in."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from frontend.effect import purpose, translate
from frontend.update import state
from ganeti_ext import event
from tests.unit.frontend import updates
from tests.unit.frontend.updates import op, read, row

STARTS: Mapping[str, dict[str, Any]] = {
    "BUILD": {"status": "BUILD", "power": None, "fault": None},
    "ACTIVE": {"status": "ACTIVE", "power": "ACTIVE", "fault": None},
    "SHUTOFF": {"status": "SHUTOFF", "power": "SHUTOFF", "fault": None},
    "UNKNOWN": {"status": "UNKNOWN", "power": "UNKNOWN", "fault": None},
    "ERROR": {"status": "ERROR", "power": None, "fault": "it was broken"},
}
# Opcode: the task while it goes on, and the status after its success; "" where it stays what it was.
TABLE: Mapping[str, tuple[str | None, str]] = {
    "OP_INSTANCE_CREATE": ("spawning", "ACTIVE"),
    "OP_INSTANCE_STARTUP": ("powering-on", "ACTIVE"),
    "OP_INSTANCE_SHUTDOWN": ("powering-off", "SHUTOFF"),
    "OP_INSTANCE_REBOOT": ("rebooting", "ACTIVE"),
    "OP_INSTANCE_REMOVE": ("deleting", "DELETED"),
    "OP_INSTANCE_MIGRATE": ("migrating", ""),
    "OP_INSTANCE_FAILOVER": ("migrating", ""),
    "OP_INSTANCE_MOVE": ("migrating", ""),
    "OP_INSTANCE_REINSTALL": ("rebuilding", ""),
    "OP_INSTANCE_RECREATE_DISKS": ("rebuild_block_device_mapping", ""),
    "OP_INSTANCE_GROW_DISK": ("resize_finish", ""),
    "OP_INSTANCE_SET_PARAMS": (None, ""),
    "OP_INSTANCE_RENAME": (None, ""),
    "OP_INSTANCE_REPLACE_DISKS": (None, ""),
    "OP_INSTANCE_ACTIVATE_DISKS": (None, ""),
    "OP_INSTANCE_DEACTIVATE_DISKS": (None, ""),
    "OP_INSTANCE_CHANGE_GROUP": (None, ""),
    "OP_INSTANCE_SNAPSHOT": (None, ""),
    "OP_INSTANCE_CONSOLE": (None, ""),
    "OP_INSTANCE_QUERY_DATA": (None, ""),
    "OP_INSTANCE_OF_A_LATER_GANETI": (None, ""),
    "OP_TAGS_SET": (None, ""),
    "OP_TAGS_DEL": (None, ""),
}
TOLD_BY_JOBS = ("status", "power", "task", "fault", "deleted", "job", "job_order", "clocks")


def after(start: dict[str, Any], *messages: dict[str, Any]) -> dict[str, Any]:
    for message in messages:
        start = {**start, **(state.advance(start, message, {"blue": None}) or {})}
    return start


def begun(status: str) -> dict[str, Any]:
    return row(**{**STARTS[status], "task": None, "job": 9, "host": "n0", "progress": None})


@pytest.mark.parametrize("status", STARTS)
@pytest.mark.parametrize(("opcode", "ended"), list(itertools.product(TABLE, event.RANKS)))
def test_every_opcode_in_every_status(opcode: str, ended: str, status: str) -> None:
    start = begun(status)
    task, becomes = TABLE[opcode]
    found = after(start, op(opcode, ended, at=5, error_code=None))
    shown = start["status"]
    if ended == "success" and becomes:
        # A server that is broken is mended by nothing but running.
        shown = becomes if becomes != "SHUTOFF" or status != "ERROR" else "ERROR"
    elif opcode == state.CREATE and ended in ("error", "canceled"):
        shown = "ERROR"
    assert ("DELETED" if found["deleted"] else found["status"]) == shown
    assert found["task"] == (None if ended in event.FINAL else task)
    assert {name: value for name, value in found.items() if name not in TOLD_BY_JOBS} == {
        name: value for name, value in start.items() if name not in TOLD_BY_JOBS
    }


@pytest.mark.parametrize(
    ("fields", "task"),
    [
        ({"beparams": {"vcpus": 2}}, "resize_finish"),
        ({"nics": [["add", -1, {"network": "blue"}]]}, "attaching"),
        ({"disks": [["attach", -1, {"uuid": "u"}]]}, "attaching"),
        ({"nics": [["modify", 0, {"ip": "10.0.0.9"}], ["remove", "nic-7", {}]]}, "detaching"),
        ({"disks": [["detach", 1, {}]]}, "detaching"),
        ({"nics": [["modify", 0, {"ip": "10.0.0.9"}]]}, None),
        ({"nics": [[], {}, [{}], [None]]}, None),
        ({"hvparams": {"boot_order": "cdrom"}}, None),
        ({}, None),
    ],
)
def test_a_modification_is_named_by_what_it_changes(fields: dict[str, Any], task: str | None) -> None:
    found = after(begun("ACTIVE"), op("SET_PARAMS", "running", at=5, job_fields=fields))
    assert (found["status"], found["task"]) == ("ACTIVE", task)
    assert after(found, op("SET_PARAMS", "error", at=6, job_fields=fields))["task"] is None


@pytest.mark.parametrize(
    ("code", "instance", "status"),
    [
        ("insufficient_resources", "none", "ERROR"),
        ("temp_insufficient_resources", "none", "ERROR"),
        ("insufficient_resources", "there", "ACTIVE"),  # another job's: this one was refused
        ("already_exists", "there", "ACTIVE"),
        ("already_exists", "not asked", "BUILD"),
        (None, "none", "ERROR"),
        (None, "there", "ERROR"),  # left behind, half made
        (None, "not asked", "ERROR"),
    ],
)
def test_a_failed_create(code: str | None, instance: str, status: str) -> None:
    known: dict[str, Any] = {"none": {"read_at": [updates.BEGIN + 6, 0]}, "there": read(True, at=6), "not asked": {}}
    found = after(row(), op("CREATE", "error", at=5, result="no room", error_code=code, **known[instance]))
    assert (found["status"], found["fault"]) == (status, "no room" if status == "ERROR" else None)
    assert found["deleted"] is None


@pytest.mark.parametrize("code", ["already_exists", "wrong_input"])
def test_a_failed_create_of_a_name_that_is_taken_breaks_nothing(code: str) -> None:
    failed = op("CREATE", "error", job=11, at=5, result="exists", error_code=code, **read(True, at=6))
    assert after(begun("ACTIVE"), failed)["status"] == "ACTIVE"


def test_a_create_that_is_tried_again_goes_on() -> None:
    failed = op("CREATE", "error", at=5, result="later", error_code=state.TEMP_NORES)
    first = row(progress=40)
    again = {**first, **(state.advance(first, failed, {}, again=True) or {})}
    assert (again["status"], again["task"], again["fault"]) == ("BUILD", "spawning", None)
    second = after(again, op("CREATE", "running", job=12, at=6))
    # Told once more, it is about a create that was followed by another.
    assert after(second, failed)["status"] == "BUILD"
    assert after(second, op("CREATE", "error", job=12, at=7, error_code=state.TEMP_NORES))["status"] == "ERROR"
    made = after(second, op("CREATE", "success", job=12, at=7), failed)
    assert (made["status"], made["progress"]) == ("ACTIVE", None)


def test_a_create_that_is_canceled_for_its_removal_is_not_broken() -> None:
    deleting = row(task="deleting", job=11, clocks={"unwanted": [10]})
    found = after(deleting, op("CREATE", "canceled", at=5))
    assert (found["status"], found["task"]) == ("BUILD", "deleting")
    gone = after(found, op("REMOVE", "error", job=11, at=6, read_at=[updates.BEGIN + 7, 0]))
    assert (gone["deleted"], gone["task"]) == (updates.BEGIN + 7, None)
    # By somebody else it was canceled for another reason.
    assert after(row(task="deleting", job=11), op("CREATE", "canceled", at=5))["status"] == "ERROR"


def test_a_deleted_server_has_no_fault() -> None:
    broken = after(row(), op("CREATE", "error", at=5, result="no room"))
    assert after(broken, op("REMOVE", "success", job=11, at=6))["fault"] is None


def test_an_instance_that_is_made_but_not_started_is_off() -> None:
    made = op("CREATE", "success", at=5, job_fields={"start": False}, result=["n2", "n3"])
    assert (after(row(), made)["status"], after(row(), made)["host"]) == ("SHUTOFF", "n2")
    assert after(begun("ERROR"), made)["fault"] is None


@pytest.mark.parametrize(
    ("status", "known", "told", "progress"),
    [("BUILD", None, 12.7, 12), ("BUILD", 40, 30.0, 40), ("BUILD", 40, 400, 100), ("BUILD", None, -3, 0),
     ("ACTIVE", None, 50, None), ("ERROR", None, 50, None)],
)  # fmt: skip
def test_progress_rises_while_it_is_built(status: str, known: int | None, told: float, progress: int | None) -> None:
    start = {**begun(status), "progress": known}
    assert {**start, **(state.progress(start, {"progress": told}) or {})}["progress"] == progress


def test_progress_is_a_number() -> None:
    with pytest.raises(ValueError, match="progress 'half'"):
        state.progress(row(), {"progress": "half"})


# nova/api/openstack/common.py _STATE_MAP.
SHOWN = {
    ("ACTIVE", "rebooting"): "REBOOT",
    ("ACTIVE", "rebooting_hard"): "HARD_REBOOT",
    ("ACTIVE", "migrating"): "MIGRATING",
    ("ACTIVE", "rebuilding"): "REBUILD",
    ("ACTIVE", "rebuild_block_device_mapping"): "REBUILD",
    ("ACTIVE", "resize_finish"): "RESIZE",
    ("SHUTOFF", "rebuilding"): "REBUILD",
    ("SHUTOFF", "rebuild_block_device_mapping"): "REBUILD",
    ("SHUTOFF", "resize_finish"): "RESIZE",
    ("ERROR", "rebuilding"): "REBUILD",
    ("ERROR", "rebuild_block_device_mapping"): "REBUILD",
}
for power in ("ACTIVE", "SHUTOFF", "VERIFY_RESIZE"):
    SHOWN |= {(power, "resize_prep"): "RESIZE", (power, "resize_finish"): "RESIZE"}
    SHOWN |= {(power, "resize_reverting"): "REVERT_RESIZE"}
TASK_NAMES = sorted({*state.TASKS.values(), *filter(None, purpose.TASKS.values()), "rebooting_hard", "attaching"})
STANDS_OUT = {"VERIFY_RESIZE": {"resized": "f1"}, "RESCUE": {"rescued": "1"}}


@pytest.mark.parametrize(("status", "task"), list(itertools.product([*STARTS, *STANDS_OUT], [None, *TASK_NAMES])))
def test_status_that_is_shown(status: str, task: str | None) -> None:
    found = {**(begun(status) if status in STARTS else row(status=status)), "task": task}
    assert translate.status(found) == SHOWN.get((status, task or ""), status)
    assert translate.status({**found, "deleted": 1.0}) == "DELETED"


@pytest.mark.parametrize(("shown", "facts"), STANDS_OUT.items())
@pytest.mark.parametrize("power", ["ACTIVE", "SHUTOFF"])
def test_what_a_server_waits_for_stands_out_whether_it_runs_or_not(
    shown: str, facts: dict[str, str], power: str
) -> None:
    found = {"fault": None, "power": power, "facts": facts}
    assert (state.status(found), state.status({**found, "facts": {}})) == (shown, power)
    assert state.status({**found, "power": "UNKNOWN"}) == "UNKNOWN"
    assert state.status({**found, "fault": "broken"}) == "ERROR"
    kept = {"status": shown, "power": power, "deleted": None, "task": None}
    assert translate.power_state(kept) == {"ACTIVE": 1, "SHUTOFF": 4}[power]
    assert translate.vm_state(kept) == {"VERIFY_RESIZE": "resized", "RESCUE": "rescued"}[shown]


@pytest.mark.parametrize(("power", "shown"), [("ACTIVE", "active"), ("SHUTOFF", "stopped")])
def test_a_server_is_resized_when_the_last_job_is_over(power: str, shown: str) -> None:
    kept = {"status": "VERIFY_RESIZE", "power": power, "deleted": None}
    states = [translate.vm_state({**kept, "task": task}) for task in ("resize_prep", "resize_finish", None)]
    assert states == [shown, shown, "resized"]
    assert translate.vm_state({**kept, "task": "resize_reverting"}) == "resized"


@pytest.mark.parametrize("opcode", ["SHUTDOWN", "SET_PARAMS", "OP_TAGS_SET", "STARTUP"])
@pytest.mark.parametrize(("kind", "task"), purpose.TASKS.items())
def test_a_job_of_several_is_told_as_what_they_are_for(opcode: str, kind: str, task: str | None) -> None:
    reason = [["gnt:library:rlib2:x", ""], ["gnt:user", f"ganeti-ext:{kind}:some-id"]]
    found = after(begun("ACTIVE"), op(opcode, "running", at=5, reason=reason))
    assert found["task"] == task
    assert after(found, op(opcode, "error", at=6, reason=reason))["task"] is None


@pytest.mark.parametrize("reason", [[], [["gnt:user", "ganeti-ext:fly"]], [["gnt:client:x", "ganeti-ext:resize"]],
                                    [["gnt:user", None]], [["gnt:user", "resize"]], [[]]])  # fmt: skip
def test_a_reason_that_is_none_of_ours(reason: Any) -> None:
    assert purpose.of({"reason": reason}) is None
    assert after(begun("ACTIVE"), op("SHUTDOWN", "running", at=5, reason=reason))["task"] == "powering-off"
