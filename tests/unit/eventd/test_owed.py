from __future__ import annotations

from eventd.owed import FAILED, PER_NODE, UNREACHED, Owed, Schedule
from eventd.tagged import Change


def change(cause: str, name: str = "web1", began: float = 0.0, opcode: str = "OP_TAGS_SET") -> Change:
    return Change(cause, "instance", name, opcode, began, began + 0.1)


def owing(*names: str) -> Schedule:
    """One change of each of these instances, at 0."""
    schedule = Schedule()
    for number, name in enumerate(names):
        schedule.add(change(f"{number}/0", name), 0.0)
    return schedule


def due(schedule: Schedule, now: float, most: int = 100) -> list[str]:
    return [item.name for item in schedule.due(now, most)]


def only(schedule: Schedule, now: float) -> Owed:
    (item,) = schedule.due(now, 100)
    return item


def test_what_is_owed_is_due_at_once_and_over_when_told() -> None:
    schedule = owing("web1")
    item = only(schedule, 0.0)
    assert schedule.wait(0.0) == 0.0
    assert schedule.start(item, "node2", 0.0)
    assert (due(schedule, 9.0), schedule.wait(9.0)) == ([], None)  # the end of the call is awaited
    assert schedule.holds("0/0")
    assert schedule.told(item, 9.0) == ["0/0"]
    assert (len(schedule), schedule.holds("0/0")) == (0, False)


def test_the_newest_change_counts_and_ends_all() -> None:
    schedule = owing("web1")
    schedule.add(change("1/0", began=5.0, opcode="OP_TAGS_DEL"), 1.0)
    schedule.add(change("2/0", began=4.0), 1.0)
    item = only(schedule, 1.0)
    assert (item.opcode, item.began, item.ended) == ("OP_TAGS_SET", 5.0, 5.1)
    schedule.start(item, "node2", 1.0)
    assert sorted(schedule.told(item, 1.0)) == ["0/0", "1/0", "2/0"]


def test_a_change_during_the_call_is_told_after_it() -> None:
    schedule = owing("web1")
    item = only(schedule, 0.0)
    schedule.start(item, "node2", 0.0)
    schedule.add(change("1/0"), 1.0)
    assert due(schedule, 1.0) == []  # never two calls for one instance
    assert schedule.told(item, 2.0) == []
    assert (only(schedule, 2.0), item.node) == (item, "")  # it may have moved
    schedule.start(item, "node3", 2.0)
    assert sorted(schedule.told(item, 3.0)) == ["0/0", "1/0"]


def test_the_same_change_again_during_the_call_is_one_cause() -> None:
    schedule = owing("web1")
    schedule.add(change("0/0"), 0.0)
    item = only(schedule, 0.0)
    schedule.start(item, "node2", 0.0)
    assert schedule.told(item, 0.0) == ["0/0"]


def test_a_network_is_its_instances() -> None:
    schedule = owing("web1")
    schedule.add(Change("9/0", "network", "net1", "OP_TAGS_DEL", 7.0, 7.1), 0.0)
    network = schedule.due(0.0, 100)[1]
    assert network.kind == "network"
    assert schedule.expand(network, ["web1", "web2"], 1.0) == []
    one, two = schedule.due(1.0, 100)
    assert [(item.name, item.opcode, item.causes) for item in (one, two)] == [
        ("web1", "OP_TAGS_DEL", {"0/0", "9/0"}),
        ("web2", "OP_TAGS_DEL", {"9/0"}),
    ]
    # What is asked of an instance need not be as new as the network.
    assert (one.began, two.began) == (0.0, 0.0)
    assert schedule.drop(two) == []
    assert sorted(schedule.drop(one)) == ["0/0", "9/0"]


def test_a_network_without_instances_is_done() -> None:
    schedule = Schedule()
    schedule.add(Change("9/0", "network", "net1", "OP_TAGS_SET", 7.0, 7.1), 0.0)
    assert schedule.expand(only(schedule, 0.0), [], 0.0) == ["9/0"]


def test_an_instance_and_a_network_of_one_name_are_two() -> None:
    schedule = owing("same")
    schedule.add(Change("9/0", "network", "same", "OP_TAGS_SET", 7.0, 7.1), 0.0)
    assert due(schedule, 0.0) == ["same", "same"]


def test_later() -> None:
    schedule = owing("web1", "web2")
    schedule.later(schedule.due(0.0, 100)[0], 0.5)
    assert (due(schedule, 0.4), due(schedule, 0.5)) == (["web2"], ["web1", "web2"])
    schedule.later(schedule.due(0.4, 100)[0], 0.7)
    assert schedule.wait(0.4) == 0.5 - 0.4


def test_no_more_than_there_is_room_for() -> None:
    assert due(owing("web1", "web2", "web3"), 0.0, most=2) == ["web1", "web2"]


def test_a_node_has_few_calls_at_a_time_and_others_do_not_wait() -> None:
    names = [f"web{number}" for number in range(PER_NODE + 2)]
    schedule = owing(*names, "other")
    items = schedule.due(0.0, 100)
    started = [schedule.start(item, "node3" if item.name == "other" else "node2", 0.0) for item in items]
    assert started == [True] * PER_NODE + [False, False, True]
    assert (due(schedule, 0.0), schedule.wait(0.0)) == ([], None)
    schedule.told(items[0], 1.0)
    assert due(schedule, 1.0) == names[PER_NODE : PER_NODE + 1]
    assert schedule.waiting_for("node2") == PER_NODE + 1


def test_a_node_that_does_not_answer_is_asked_ever_less_often_by_one() -> None:
    schedule = owing("web1", "web2", "web3")
    items = schedule.due(0.0, 100)
    for item in items:
        schedule.start(item, "node2", 0.0)
    assert [schedule.unreached(item, 5.0) for item in items] == [True, False, False]  # said once
    now = 5.0
    for pause in (*UNREACHED, UNREACHED[-1]):
        assert (due(schedule, now + pause - 0.01), schedule.wait(now)) == ([], pause)
        now += pause
        item = only(schedule, now)
        assert schedule.start(item, "node2", now)
        assert schedule.wait(now) is None  # the others wait for what comes of it
        assert schedule.unreached(item, now) is False
    now += UNREACHED[-1]
    item = only(schedule, now)
    schedule.start(item, "node2", now)
    assert schedule.answered(item)
    schedule.told(item, now)
    assert len(schedule.due(now, 100)) == 2
    item = schedule.due(now, 100)[0]
    schedule.start(item, "node2", now)
    assert not schedule.answered(item)


def test_an_instance_changed_again_leaves_the_queue_of_its_dead_node() -> None:
    schedule = owing("web1", "web2")
    for item in schedule.due(0.0, 100):
        schedule.start(item, "node2", 0.0)
        schedule.unreached(item, 0.0)
    schedule.add(change("8/0", "web2"), 0.1)
    item = only(schedule, 0.1)
    assert item.name == "web2"
    assert schedule.start(item, "node3", 0.1)
    assert only(schedule, UNREACHED[0]).name == "web1"


def test_still_on_the_dead_node_it_waits_with_the_others() -> None:
    schedule = owing("web1")
    item = only(schedule, 0.0)
    schedule.start(item, "node2", 0.0)
    schedule.unreached(item, 0.0)
    schedule.add(change("8/0"), 0.1)
    assert not schedule.start(only(schedule, 0.1), "node2", 0.1)
    assert schedule.wait(0.1) == UNREACHED[0] - 0.1


def test_scripts_that_fail_are_run_three_times() -> None:
    schedule = owing("web1")
    item = only(schedule, 0.0)
    now = 0.0
    for pause in FAILED:
        schedule.start(item, "node2", now)
        assert not schedule.answered(item)
        assert schedule.failed(item, now) is None
        assert (due(schedule, now + pause - 0.01), due(schedule, now + pause)) == ([], ["web1"])
        now += pause
    schedule.start(item, "node2", now)
    assert schedule.failed(item, now) == ["0/0"]
    assert len(schedule) == 0


def test_a_new_change_has_its_own_three_runs() -> None:
    schedule = owing("web1")
    item = only(schedule, 0.0)
    for number in range(10):
        schedule.start(item, "node2", 0.0)
        if number % 2:
            schedule.add(change(f"8/{number}"), 0.0)  # while it runs
        assert schedule.failed(item, 0.0) is None
        if not number % 2:
            schedule.add(change(f"8/{number}"), 0.0)  # while it waits
        assert due(schedule, 0.0) == ["web1"]


def test_to_clear_leaves_only_what_is_under_way() -> None:
    schedule = owing("web1", "web2")
    first, _ = schedule.due(0.0, 100)
    schedule.start(first, "node2", 0.0)
    assert schedule.clear() == ["1/0"]
    assert schedule.clear() == []
    assert schedule.told(first, 0.0) == ["0/0"]
