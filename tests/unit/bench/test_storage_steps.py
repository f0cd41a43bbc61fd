from __future__ import annotations

from bench.storage import steps
from bench.storage.steps import Command, Step, shell


class Machine:
    """Runs nothing: each program takes as many milliseconds as were run before it, and says its first word."""

    def __init__(self) -> None:
        self.ran: list[list[str]] = []

    def __call__(self, argv: list[str], env: dict[str, str]) -> tuple[float, str]:
        self.ran.append([*argv, *env])
        return float(len(self.ran) - 1), f"{argv[0]}\n"


def test_each_step_is_done_by_all_before_the_next_and_only_what_is_measured_has_a_time() -> None:
    machine = Machine()
    life = [
        Step("create", {"ours": [Command(["a"], {"NAME": "v"})], "by hand": [Command(["b"]), Command(["c"])]}),
        Step("", {"ours": [Command(["d"])]}),
        Step("remove", {"ours": [Command(["e"])]}),
    ]
    assert steps.once(life, machine) == {("create", "ours"): 0, ("create", "by hand"): 3, ("remove", "ours"): 4}
    assert machine.ran == [["a", "NAME"], ["b"], ["c"], ["d"], ["e"]]


def test_what_a_program_says_is_a_word_of_later_ones() -> None:
    machine = Machine()
    life = [
        Step("attach", {"by hand": [Command(["/dev/loop7"], keeps="device")]}),
        Step("detach", {"by hand": [shell("losetup --detach %device%; sync")]}),
    ]
    steps.once(life, machine)
    assert machine.ran[1] == ["/bin/sh", "-ec", "losetup --detach /dev/loop7; sync"]


def test_the_first_life_does_not_count() -> None:
    machine = Machine()
    assert steps.medians([Step("x", {"ours": [Command(["a"])]})], machine, 3) == {("x", "ours"): 2}
    assert len(machine.ran) == 4
