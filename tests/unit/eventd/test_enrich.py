from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from eventd import enrich
from eventd.jobs import parse
from eventd.messages import News, news

T0 = 1795200000
SERVER = "gx-5f0c3a52-8c5e-4c52-9f0a-1d2e3f405162"
Found = Callable[..., list[News]]


def row(mtime: float = T0, pnode: str = "node1") -> dict[str, Any]:
    return {"mtime": mtime, "instance_nics": [], "instance_state": {"admin_state": "up", "pnode": pnode}}


@pytest.fixture
def found(job_file: Callable[[str], bytes]) -> Found:
    return lambda *names: [item for name in names for item in news(parse(job_file(name)), {}, "c")]


@pytest.fixture
def as_if(job_file: Callable[[str], bytes]) -> Callable[..., News]:
    """The recorded start of an instance (from T0 + 40.25 to T0 + 42) as if it were another opcode."""

    def as_if(opcode: str, status: str = "success", result: Any = None, **fields: Any) -> News:
        raw = json.loads(job_file("startup-success"))
        raw["ops"][0]["input"].update(OP_ID=opcode, **fields)
        raw["ops"][0].update(status=status, result=result)
        (item,) = news(parse(json.dumps(raw)), {}, "c")
        return item

    return as_if


def test_what_is_asked_for(found: Found) -> None:
    names = ("create-queued", "create-running", "modify-canceling", "remove-success", "cluster-modify-success")
    assert [enrich.wants(item) for item in found(*names)] == [""] * 5
    assert [enrich.wants(item) for item in found("create-success", "remove-failed", "modify-canceled")] == [
        "instance"
    ] * 3
    assert [enrich.wants(item) for item in found("network-add-success")] == ["network"] * 2


def test_after_a_rename_the_new_name_is_asked_for(found: Found) -> None:
    (item,) = found("rename-success")
    assert item.message["instance"] == SERVER
    assert enrich.subject(item.message) == "gx-new.example.org"
    assert enrich.key(item) == "ganeti-op-status/gx-new.example.org"


def test_the_object_of_a_cluster_is_none(found: Found) -> None:
    (item,) = found("cluster-modify-success")
    assert enrich.key(item) == ""


@pytest.mark.parametrize(
    ("late", "after", "behind"),
    [
        (None, 0.05, True),  # a new instance that luxid does not know yet
        (None, 2.9, True),
        (None, 3.1, False),  # another job removed it
        (T0 + 1.0, 0.05, True),  # older than the job's work
        (T0 + 1.0, 0.7, False),  # nothing was changed
        (T0 + 2.0, 0.05, False),
        (None, 3600, False),
        (None, -3600, False),  # the clock was set back
    ],
)
def test_luxid_may_lag_behind_the_job(found: Found, late: float | None, after: float, behind: bool) -> None:
    (item,) = found("create-success")
    rows = {} if late is None else {SERVER: row(late)}
    assert enrich.is_behind(item, rows, T0 + 9.75 + after) is behind


@pytest.mark.parametrize(
    "opcode", ["OP_INSTANCE_MIGRATE", "OP_INSTANCE_FAILOVER", "OP_INSTANCE_MOVE"],
)  # fmt: skip
@pytest.mark.parametrize(("status", "result"), [("success", None), ("error", ["OpExecError", ["half of it"]])])
def test_a_move_leaves_no_mark_so_luxid_is_given_time(
    as_if: Callable[..., News], opcode: str, status: str, result: Any
) -> None:
    item = as_if(opcode, status, result)
    rows = {SERVER: row(T0 + 50)}
    assert item.time == T0 + 42
    assert enrich.is_behind(item, rows, T0 + 42.2)
    assert not enrich.is_behind(item, rows, T0 + 42.31)


def test_what_was_refused_has_changed_nothing(as_if: Callable[..., News]) -> None:
    refused = as_if("OP_INSTANCE_MIGRATE", "error", ["OpPrereqError", ["no", "wrong_state"]])
    assert not enrich.is_behind(refused, {SERVER: row()}, T0 + 42)


def test_a_modification_that_failed_may_have_done_a_part(as_if: Callable[..., News]) -> None:
    failed = as_if("OP_INSTANCE_SET_PARAMS", "error", ["OpExecError", ["disk 1"]])
    assert enrich.is_behind(failed, {SERVER: row(T0 + 41)}, T0 + 42.1)
    assert not enrich.is_behind(failed, {SERVER: row(T0)}, T0 + 42.4)


@pytest.mark.parametrize(
    ("opcode", "status", "fields", "asked"),
    [
        ("OP_INSTANCE_STARTUP", "success", {}, ""),
        ("OP_INSTANCE_REBOOT", "success", {}, ""),
        ("OP_INSTANCE_STARTUP", "success", {"dry_run": True}, "node1"),
        ("OP_INSTANCE_STARTUP", "error", {}, "node1"),
        ("OP_INSTANCE_SHUTDOWN", "success", {}, "node1"),
        ("OP_INSTANCE_REBOOT", "canceled", {}, "node1"),
        ("OP_INSTANCE_CREATE", "success", {}, ""),
        ("OP_INSTANCE_MIGRATE", "success", {}, "node1"),
        ("OP_INSTANCE_SET_PARAMS", "error", {}, ""),
        ("OP_INSTANCE_GROW_DISK", "success", {}, ""),
        ("OP_INSTANCE_TELEPORT", "success", {}, "node1"),
    ],
)
def test_a_node_is_asked_where_the_job_does_not_say_what_runs(
    as_if: Callable[..., News], opcode: str, status: str, fields: dict[str, Any], asked: str
) -> None:
    item = as_if(opcode, status, **fields)
    assert enrich.node(item, {SERVER: row()}) == asked
    assert enrich.node(item, {}) == ""
    assert enrich.node(item, {SERVER: row(pnode="")}) == ""


def test_it_is_asked_too_where_another_job_left_the_instance_otherwise(as_if: Callable[..., News]) -> None:
    stopped = row()
    stopped["instance_state"]["admin_state"] = "down"
    rows = {SERVER: stopped}
    asked = {name: enrich.node(as_if(f"OP_INSTANCE_{name}"), rows) for name in ("STARTUP", "CREATE", "SHUTDOWN")}
    assert asked == {"STARTUP": "node1", "CREATE": "node1", "SHUTDOWN": ""}


def test_networks_have_no_node(found: Found) -> None:
    assert enrich.node(found("network-add-success")[0], {"gx-net1": {"mtime": 1, "network_data": {}}}) == ""


def test_a_message_is_completed_with_the_moment_of_the_question(found: Found) -> None:
    first, second = found("startup-success", "modify-canceled")
    rows = {SERVER: row()}
    for item in (first, second):
        enrich.add(item, rows, T0 + 42.25)
    enrich.add_running(second, None)
    assert first.message["instance_state"] == {"admin_state": "up", "pnode": "node1"}
    assert second.message["instance_state"] == {"admin_state": "up", "pnode": "node1", "oper_state": None}
    assert first.message["read_at"] == second.message["read_at"] == [T0 + 42, 250000]
    assert "mtime" not in first.message


def test_an_object_that_ganeti_does_not_know_is_the_moment_alone(found: Found) -> None:
    (item,) = found("remove-failed")
    enrich.add(item, {}, T0 + 61.0)
    assert item.message["read_at"] == [T0 + 61, 0]
    assert "instance_state" not in item.message


def test_an_instance_that_was_renamed_while_its_job_waited_is_found_by_its_uuid(as_if: Callable[..., News]) -> None:
    def named(uuid: str) -> dict[str, Any]:
        return {**row(), "instance_state": {"admin_state": "down", "pnode": uuid, "uuid": uuid}}

    item = as_if("OP_INSTANCE_REBOOT", instance_name="web1", instance_uuid="u-1")
    assert enrich.names(item) == {"web1", "u-1"}
    rows = {"web2": named("u-1"), "web3": named("u-3")}
    assert enrich.node(item, rows) == "u-1"
    # Another one may have the name by now.
    enrich.add(item, {**rows, "web1": named("u-2")}, T0 + 50.0)
    assert item.message["instance"] == "web2"
    assert item.message["instance_state"]["uuid"] == "u-1"
    # Of a rename the new name counts: who has the UUID may have been renamed once more, which another job tells.
    item = as_if("OP_INSTANCE_RENAME", result="web2", instance_name="web1", instance_uuid="u-1")
    assert enrich.names(item) == {"web2"}
    enrich.add(item, {"web3": named("u-1")}, T0 + 50.0)
    assert "instance_state" not in item.message
    # One that failed has changed no name.
    assert enrich.names(as_if("OP_INSTANCE_RENAME", "error", instance_uuid="u-1")) == {SERVER, "u-1"}


def test_a_short_name_is_found_and_becomes_the_full_one(as_if: Callable[..., News]) -> None:
    def tagged() -> News:
        return as_if("OP_INSTANCE_SET_PARAMS", instance_name="web1")

    rows = {"web1.example.org": row(T0 + 41), "web10.example.org": row(T0)}
    item = tagged()
    assert not enrich.is_behind(item, rows, T0 + 42.05)
    assert enrich.node(as_if("OP_INSTANCE_MIGRATE", instance_name="web1"), rows) == "node1"
    enrich.add(item, rows, T0 + 42.05)
    assert item.message["instance"] == "web1.example.org"
    assert "instance_state" in item.message
    # Two that have it: nobody can tell which is meant.
    both = {**rows, "web1.example.net": row()}
    other = tagged()
    enrich.add(other, both, T0 + 50.0)
    assert other.message["instance"] == "web1"
    assert "instance_state" not in other.message
