"""What messages mean for a server's row, in whatever order they come."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.update import state
from ganeti_ext import event, tags
from tests.unit.frontend import updates
from tests.unit.frontend.updates import op, read, row

OPCODES = (
    *("CREATE", "STARTUP", "SHUTDOWN", "REBOOT", "REMOVE", "MIGRATE", "FAILOVER", "SET_PARAMS", "GROW_DISK"),
    *("REINSTALL", "REPLACE_DISKS", "ACTIVATE_DISKS", "OP_TAGS_SET", "OP_TAGS_DEL"),
)


def settled(**columns: Any) -> dict[str, Any]:
    """A server that is off and has nothing to do."""
    return row(status="SHUTOFF", power="SHUTOFF", task=None, job=9, **columns)


def after(start: dict[str, Any], *messages: dict[str, Any]) -> dict[str, Any]:
    for message in messages:
        start = {**start, **(state.advance(start, message, {"blue": None}) or {})}
    return start


def test_a_message_that_says_nothing_new_changes_nothing() -> None:
    message = op("STARTUP", "success", at=5, **read(True, at=6))
    assert state.advance(after(settled(), message), message, {"blue": None}) is None


def test_a_canceled_create_without_words_names_its_job() -> None:
    assert after(row(), op("CREATE", "canceled", at=5))["fault"] == "job 10 ended as canceled"


def test_a_late_running_does_not_overwrite_the_end_of_its_job() -> None:
    found = after(settled(), op("STARTUP", "error", at=9), op("STARTUP", "running", at=8))
    assert (found["status"], found["task"]) == ("SHUTOFF", None)


def test_an_older_success_is_not_hidden_by_a_newer_failure() -> None:
    found = after(settled(), op("REBOOT", "error", job=12, at=20), op("STARTUP", "success", job=11, at=10))
    assert found["status"] == "ACTIVE"


def test_the_end_of_an_older_job_leaves_the_task_of_the_newer_one() -> None:
    found = after(settled(), op("STARTUP", "running", job=11, at=1), op("REMOVE", "waiting", job=12, at=2),
                  op("STARTUP", "success", job=11, at=3))  # fmt: skip
    assert (found["status"], found["task"], found["job"]) == ("ACTIVE", "deleting", 12)


def test_a_job_without_a_task_hides_no_task() -> None:
    found = after(row(), op("CREATE", "running", at=1), op("OP_TAGS_SET", "success", job=11, at=2))
    assert (found["task"], found["job"]) == ("spawning", 10)


def test_the_task_that_the_api_wrote_is_kept_until_its_job_ends() -> None:
    start = row(status="ACTIVE", power="ACTIVE", task="rebooting_hard", job=12, job_order=[1, 0, 11, 0, 4])
    running = after(start, op("REBOOT", "running", job=12, at=1))
    assert running["task"] == "rebooting_hard"
    assert after(start, op("SHUTDOWN", "success", job=11, at=0))["task"] == "rebooting_hard"
    assert after(running, op("REBOOT", "success", job=12, at=2))["task"] is None


@pytest.mark.parametrize(("running", "status"), [(True, "ACTIVE"), (False, "SHUTOFF"), (None, "UNKNOWN")])
@pytest.mark.parametrize("final", sorted(event.FINAL))
def test_what_ganeti_says_counts_whatever_the_job_came_to(running: bool | None, status: str, final: str) -> None:
    found = after(settled(), op("MIGRATE", final, at=5, **read(running, at=6, host="n2")))
    assert (found["status"], found["host"], found["nics"]) == (status, "n2", [updates.SHOWN_NIC])


def test_what_ganeti_said_later_counts_more_than_what_the_job_came_to() -> None:
    assert after(settled(), op("STARTUP", "success", at=5, **read(False, at=6)))["status"] == "SHUTOFF"


def test_a_late_reading_counts_also_when_its_job_was_an_old_one() -> None:
    # eventd was behind: it told of job 11 after it had asked Ganeti, long after job 12.
    late = op("OP_TAGS_SET", "success", job=11, at=5, **read(False, at=20))
    assert after(settled(), op("STARTUP", "success", job=12, at=10), late)["status"] == "SHUTOFF"
    assert after(settled(), late, op("STARTUP", "success", job=12, at=10))["status"] == "SHUTOFF"


def test_a_failed_removal_of_what_ganeti_does_not_have() -> None:
    gone: dict[str, Any] = {"read_at": [updates.BEGIN + 6, 0]}
    assert after(settled(), op("REMOVE", "error", at=5, **gone))["deleted"] == updates.BEGIN + 6
    assert after(settled(), op("REMOVE", "canceled", at=5, **gone))["deleted"] is None
    assert after(settled(), op("REMOVE", "error", at=5, **read(False, at=6)))["deleted"] is None
    assert after(settled(), op("STARTUP", "error", at=5, **gone))["deleted"] is None


def test_an_older_reading_changes_nothing() -> None:
    newer = after(settled(), op("MIGRATE", "success", job=12, at=20, **read(True, at=21, host="n2")))
    assert after(newer, op("OP_TAGS_SET", "success", job=11, at=10, **read(False, at=12))) == newer


def test_a_failed_create_is_broken_also_when_something_runs() -> None:
    found = after(row(), op("CREATE", "error", at=5, result="no memory", **read(True, at=6)))
    assert (found["status"], found["fault"], found["host"]) == ("ERROR", "no memory", "n1")


def test_a_broken_server_stays_broken_until_it_runs() -> None:
    broken = after(row(), op("CREATE", "error", at=5, result="no memory"))
    still = after(broken, op("OP_TAGS_SET", "success", job=11, at=7, **read(False, at=8)))
    assert (still["status"], still["fault"]) == ("ERROR", "no memory")
    mended = after(still, op("STARTUP", "success", job=12, at=9))
    assert (mended["status"], mended["fault"]) == ("ACTIVE", None)


def test_a_server_restored_from_a_backup_is_there_again() -> None:
    gone = after(settled(), op("REMOVE", "success", job=11, at=5))
    assert after(gone, op("CREATE", "success", job=12, at=9))["deleted"] is None


def test_address_by_eui_64_only_in_a_64() -> None:
    message = op("CREATE", "success", at=5, **read(True, at=6))
    for subnet6, address in (("2001:db8::/64", "2001:db8::a800:ff:fe12:3456"), ("2001:db8::/80", None), (None, None)):
        changes = state.advance(row(), message, {"blue": subnet6})
        assert changes is not None
        assert changes["nics"] == [{**updates.SHOWN_NIC, "ip6": address}]


def test_name_and_owner_follow_the_tags() -> None:
    facts = tags.encode({**updates.FACTS, "name": "new", "project": "p2"})
    found = after(settled(), op("OP_TAGS_SET", "success", at=5, **read(None, at=6, tags=facts)))
    assert (found["name"], found["project_id"], found["user_id"]) == ("new", "p2", updates.USER)


def test_what_the_tags_no_longer_say() -> None:
    facts = {name: value for name, value in updates.FACTS.items() if name not in ("name", "flavor")}
    message = op("OP_TAGS_DEL", "success", at=5, **read(None, at=6, tags=tags.encode(facts)))
    found = after(settled(), message)
    assert (found["name"], found["flavor_id"], found["image_id"]) == (updates.NAME, "custom", "i1")
    renamed = op("RENAME", "success", at=7, job=11, result="web", **read(None, at=8, tags=tags.encode(facts)))
    assert after(found, renamed)["name"] == "web"


def test_a_create_tells_its_size() -> None:
    gone = after(settled(), op("REMOVE", "success", at=5))
    fields = {"beparams": {"vcpus": 4, "maxmem": 4096}, "disks": [{"size": 7168}]}
    again = after(gone, op("CREATE", "success", job=11, at=9, job_fields=fields))
    adopted = after(gone, op("CREATE", "success", job=11, at=9, job_fields={"disks": [{"name": "kept"}]}))
    assert (adopted["deleted"], adopted["disk"]) == (None, 1)
    assert (again["deleted"], again["vcpus"], again["ram"], again["disk"]) == (None, 4, 4096, 7)


def test_size_follows_a_modification() -> None:
    found = after(settled(), op("SET_PARAMS", "success", at=5, job_fields={"beparams": {"vcpus": 4, "maxmem": 4096}}))
    assert (found["vcpus"], found["ram"]) == (4, 4096)
    failed = after(found, op("SET_PARAMS", "error", job=11, at=6, job_fields={"beparams": {"vcpus": 8}}))
    assert failed["vcpus"] == 4


def test_size_is_what_ganeti_says_however_the_modification_ended() -> None:
    told = read(False, at=6, beparams={"vcpus": 8, "maxmem": 1024})
    told["instance_disks"] = [{"size": 2048}, {"size": 3072}]
    for opcode, ended in itertools.product(("SET_PARAMS", "GROW_DISK", "RECREATE_DISKS"), event.FINAL):
        found = after(settled(), op(opcode, ended, at=5, **told))
        assert (found["vcpus"], found["ram"], found["disk"]) == (8, 1024, 5)


def test_a_node_that_is_silent_and_one_that_was_not_asked() -> None:
    running = row(status="ACTIVE", power="ACTIVE", task=None, job=9)
    silent = after(running, op("MIGRATE", "error", at=5, **read(None, at=6)))
    assert silent["status"] == "UNKNOWN"
    not_asked = read(None, at=8)
    del not_asked["instance_state"]["oper_state"]
    assert after(running, op("OP_TAGS_SET", "success", at=7, **not_asked))["status"] == "ACTIVE"
    assert after(silent, op("OP_TAGS_SET", "success", job=11, at=7, **not_asked))["status"] == "UNKNOWN"
    assert after(silent, op("MIGRATE", "success", job=11, at=7, **read(True, at=8)))["status"] == "ACTIVE"


@pytest.mark.parametrize(
    ("opcode", "admin", "status"),
    [
        ("STARTUP", "up", "ACTIVE"),
        ("STARTUP", "down", "SHUTOFF"),
        ("REBOOT", "down", "SHUTOFF"),
        ("SHUTDOWN", "up", "ACTIVE"),
        ("SHUTDOWN", "down", "SHUTOFF"),
    ],
)
def test_a_conclusion_that_ganeti_contradicts_is_an_older_one(opcode: str, admin: str, status: str) -> None:
    told = read(None, at=8, admin_state=admin)
    del told["instance_state"]["oper_state"]
    start = settled() if opcode != "SHUTDOWN" else row(status="ACTIVE", power="ACTIVE", task=None, job=9)
    assert after(start, op(opcode, "success", at=5, **told))["status"] == status


def test_name_of_the_instance_follows_a_rename() -> None:
    assert after(settled(), op("RENAME", "success", at=5, job_fields={"new_name": "web"}))["instance"] == "web"
    assert after(settled(), op("RENAME", "success", at=5, result="web.lab"))["instance"] == "web.lab"
    # A scan may tell of a renaming after which there was another one.
    gone: dict[str, Any] = {"read_at": [updates.BEGIN + 6, 0]}
    assert after(settled(), op("RENAME", "success", at=5, result="web", **gone))["instance"] == updates.NAME


def test_a_renaming_shows_that_it_was_not_removed_before() -> None:
    failed = seq(op("REMOVE", "error", at=5, read_at=[updates.BEGIN + 6, 0]), 5, 100)
    renamed = seq(op("RENAME", "success", job=11, at=6, result="web"), 5, 101)
    assert after(settled(), failed, renamed)["deleted"] is None
    assert after(settled(), renamed, failed)["deleted"] is None


def test_a_removal_under_an_old_name_finds_nothing_and_says_nothing() -> None:
    gone: dict[str, Any] = {"read_at": [updates.BEGIN + 6, 0]}
    assert after(settled(instance="web"), op("REMOVE", "error", at=5, **gone))["deleted"] is None


def seq(message: dict[str, Any], *parts: int) -> dict[str, Any]:
    return {**message, "seq": list(parts)}


def test_the_clock_of_the_master_decides_nothing() -> None:
    started = seq(op("STARTUP", "success", job=11, at=9000), 5, 100)
    stopped = seq(op("SHUTDOWN", "success", job=12, at=5400), 5, 101)
    assert after(settled(), started, stopped)["status"] == after(settled(), stopped, started)["status"] == "SHUTOFF"


def test_job_numbers_decide_nothing_but_the_task() -> None:
    # Job 11 waited for something else, and job 12 came first.
    stopped = seq(op("SHUTDOWN", "success", job=12, at=5), 5, 100)
    started = seq(op("STARTUP", "success", job=11, at=6), 5, 101)
    assert after(settled(), stopped, started)["status"] == after(settled(), started, stopped)["status"] == "ACTIVE"


def test_what_an_old_master_still_says_is_older() -> None:
    new = seq(op("STARTUP", "success", job=11, at=1), 6, 1)
    old = seq(op("SHUTDOWN", "success", job=12, at=2), 5, 10**15)
    assert after(settled(), new, old)["status"] == after(settled(), old, new)["status"] == "ACTIVE"


def test_messages_without_a_number_are_older_than_those_with_one() -> None:
    new = seq(op("STARTUP", "success", job=11, at=1), 1, 1)
    old = op("SHUTDOWN", "success", job=12, at=10**6, **read(False, at=10**6 + 1))
    assert after(settled(), new, old)["status"] == after(settled(), old, new)["status"] == "ACTIVE"


@pytest.mark.parametrize("bad", [5, [1], ["a", "b"], [1, 2, 3], {}])
def test_a_number_that_is_none_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="seq"):
        state.advance(settled(), {**op("STARTUP", "success"), "seq": bad}, {})


# Any order of the same messages, some of them twice, ends in the same row.

REST = ("queued", "waiting", "running")


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The messages of some jobs on one instance, which may wait for each other, in the order they were sent."""
    messages, clock = [], 0
    # A removal under a name that the instance no longer has is another thing: see test_state_order.py.
    others = draw(st.sampled_from(("REMOVE", "RENAME")))
    opcodes = draw(st.lists(st.sampled_from((*(name for name in OPCODES if name != "REMOVE"), others)), max_size=5))
    for job, opcode in enumerate(("CREATE", *opcodes), 10):
        received = draw(st.integers(0, clock))  # it may have waited while earlier ones went on
        end = draw(st.sampled_from(sorted(event.FINAL)))
        for status in (*REST, end):
            at = received if status == "queued" else (clock := clock + 1)
            more: dict[str, Any] = {"result": "broke"} if end == "error" else {}
            if opcode == "RENAME":
                more["job_fields"] = {"new_name": f"name{job}"}
            if status in event.FINAL and draw(st.booleans()):
                clock += draw(st.integers(1, 3))
                known = read(draw(st.sampled_from((True, False, None))), at=clock, host=draw(st.sampled_from("ab")))
                more |= known if draw(st.booleans()) else {"read_at": known["read_at"]}
            messages.append(op(opcode, status, job=job, at=at, **more))
    return messages


@given(histories(), st.data())
def test_order_and_repetition_do_not_matter(messages: list[dict[str, Any]], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(messages), max_size=6))
    shuffled = data.draw(st.permutations(messages + again))
    assert after(row(), *shuffled) == after(row(), *messages)


@given(histories())
def test_no_job_leaves_a_task_behind(messages: list[dict[str, Any]]) -> None:
    assert after(row(), *messages)["task"] is None
