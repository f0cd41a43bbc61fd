"""The life of a volume, step by step, in several ways at once: each step of one way beside the same of the others."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

Run = Callable[[list[str], dict[str, str]], tuple[float, str]]
Times = dict[tuple[str, str], float]


class Command(NamedTuple):
    """One program. What it says is kept under a name, as which later ones have it: %NAME% in their words."""

    argv: Sequence[str]
    env: Mapping[str, str] = {}
    keeps: str = ""


class Step(NamedTuple):
    """What is measured, and how each subject does it; several programs are one after the other. No name: only done."""

    measure: str
    ways: Mapping[str, Sequence[Command]]


def shell(line: str, keeps: str = "") -> Command:
    return Command(["/bin/sh", "-ec", line], keeps=keeps)


def once(steps: Iterable[Step], run: Run) -> Times:
    """Do all of them; milliseconds by measure and subject."""
    said: dict[str, str] = {}
    times: Times = {}
    for step in steps:
        for subject, commands in step.ways.items():
            took = sum(_do(command, said, run) for command in commands)
            if step.measure:
                times[step.measure, subject] = took
    return times


def medians(steps: Sequence[Step], run: Run, times: int) -> Times:
    """The median of so many lives, one after the other; the first, for which things are made, does not count."""
    once(steps, run)
    lives = [once(steps, run) for _ in range(times)]
    return {key: statistics.median(life[key] for life in lives) for key in lives[0]}


def _do(command: Command, said: dict[str, str], run: Run) -> float:
    argv = list(command.argv)
    for name, text in said.items():
        argv = [word.replace(f"%{name}%", text) for word in argv]
    took, out = run(argv, dict(command.env))
    if command.keeps:
        said[command.keeps] = out.strip()
    return took
