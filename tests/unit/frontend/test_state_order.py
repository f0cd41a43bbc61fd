"""Whatever happens in Ganeti, and in whatever order its messages come: the row ends as Ganeti is."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from frontend.effect import purpose
from frontend.update import state
from ganeti_ext import event
from tests.unit.frontend import updates
from tests.unit.frontend.history import EFFECTS, Cluster, Message

HOUR = 3600
MORE = 4 if os.environ.get("HYPOTHESIS_ROAM") else 1  # examples, where they are others each time
# The first start of a server with volumes is no job of one that is there: test_volume_ways.py.
REASONS = [purpose.Purpose(kind, "").reason for kind in purpose.TASKS if kind != purpose.BOOT]
OPCODES = sorted(set(EFFECTS) - {"CREATE"})
FIELDS: dict[str, Any] = {
    "SET_PARAMS": lambda number: {"beparams": {"vcpus": number}},
    "GROW_DISK": lambda _: {"amount": 1024},
    "RENAME": lambda number: {"new_name": f"name{number}"},
}


def after(start: dict[str, Any], messages: list[Message]) -> dict[str, Any]:
    for message in messages:
        start = {**start, **(state.advance(start, message, {"blue": None}) or {})}
    return start


class Story:
    """What befalls a cluster, one step at a time."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw, self.cluster = draw, Cluster()
        self.submit("CREATE")

    def one_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def submit(self, opcode: str = "") -> None:
        """One more job; a second create comes when the first is over: a backup restored, or a mistake."""
        cluster = self.cluster
        number = 10 + len(cluster.waiting) + len(cluster.ended)
        # A removal by a name that it no longer has would fail, and be taken for one of an instance that is gone.
        waiting = {job.opcode for job in cluster.waiting}
        barred = {"REMOVE", "CREATE"} if "RENAME" in waiting else {"RENAME"} if "CREATE" in waiting else set()
        if "REMOVE" in waiting | {job.opcode for job in cluster.ended}:
            barred.add("RENAME")
        # Of these two, read at once, the later number counts (docs/architecture.md), whichever went first.
        barred |= {"REMOVE", "CREATE"} if {"REMOVE", "CREATE"} & waiting else set()
        known = [name for name in (*OPCODES, *(["CREATE"] if cluster.ended else [])) if name not in barred]
        opcode = opcode or self.one_of(*known)
        reason = "" if opcode in ("CREATE", "REMOVE") else self.one_of("", *REASONS)
        cluster.submit(opcode, reason, **FIELDS.get(opcode, lambda _: {})(number))

    def run(self) -> None:
        waiting = self.cluster.waiting
        if waiting:
            job = self.one_of(*waiting) if self.cluster.ended else waiting[0]
            self.cluster.run(job, self.one_of("success", "success", "success", "error", "canceled"))

    def watch(self) -> None:
        self.cluster.is_watched = not self.cluster.is_watched
        if self.cluster.is_watched:
            self.cluster.read()

    def clock(self) -> None:
        self.cluster.step_clock(self.one_of(-HOUR, HOUR, -5, 5))

    def answer(self) -> None:
        self.cluster.answer()

    def fail_over(self) -> None:
        self.cluster.fail_over(self.one_of(90_000, 100_000, 110_000), tells_again=self.draw(st.booleans()))

    def end(self) -> Cluster:
        while self.cluster.waiting:
            self.run()
        self.cluster.is_watched = True
        self.cluster.read()
        self.cluster.answer()
        return self.cluster


@st.composite
def histories(draw: st.DrawFn) -> Cluster:
    """A few jobs of all kinds, and all that may befall them."""
    story = Story(draw)
    steps = (story.submit, story.submit, story.run, story.run, story.run, story.watch, story.clock, story.answer,
             story.fail_over)  # fmt: skip
    for step in draw(st.lists(st.sampled_from(steps), max_size=20)):
        step()
    return story.end()


@st.composite
def deliveries(draw: st.DrawFn, said: list[Message]) -> list[Message]:
    """In any order, some twice, some of those that are not final never."""
    kept = [message for message in said if message["status"] in event.FINAL or draw(st.booleans())]
    again = draw(st.lists(st.sampled_from(kept), max_size=6))
    return draw(st.permutations(kept + again))


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """What is left of a row when all is told, without what says how new it is."""
    return {name: value for name, value in row.items() if name not in ("clocks", "job_order", "job")}


@settings(max_examples=125 * MORE, deadline=None)
@given(histories(), st.data())
def test_the_row_ends_as_ganeti_is(cluster: Cluster, data: st.DataObject) -> None:
    found = after(updates.row(), data.draw(deliveries(cluster.said)))
    there = cluster.instance
    assert found["task"] is None
    assert (found["deleted"] is not None) == there.is_deleted
    if there.is_deleted:
        return
    power = ("ACTIVE" if there.is_running else "SHUTOFF") if there.exists else "ERROR"
    stands = "VERIFY_RESIZE" if there.is_resized and power != "ERROR" else power
    assert found["status"] == ("ERROR" if there.is_broken else stands)
    assert bool(found["fault"]) == there.is_broken
    if there.exists:
        assert (found["instance"], found["name"], found["host"]) == (there.name, there.label, there.node)
        assert (found["vcpus"], found["disk"]) == (there.vcpus, there.disk // 1024)


@settings(max_examples=50 * MORE, deadline=None)
@given(histories(), st.data())
def test_any_order_ends_as_the_order_in_which_it_was_said(cluster: Cluster, data: st.DataObject) -> None:
    shuffled = data.draw(deliveries(cluster.said))
    assert shown(after(updates.row(), shuffled)) == shown(after(updates.row(), cluster.said))
