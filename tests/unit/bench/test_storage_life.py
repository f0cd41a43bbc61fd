"""What a life of a volume makes, it removes: else the second could not be measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from bench.bars import OURS
from bench.result import Result
from bench.storage import cow, rbd
from bench.storage.place import Bench, Size
from bench.storage.share import KINDS, Share
from bench.storage.steps import Step


def bench() -> Bench:
    return Bench("", Path("/nowhere"), cast(Any, None), Size(1, 1, 1, 1, KINDS, 0), Result("storage", OURS))


def lives() -> list[Sequence[Step]]:
    return [*(cow.life(bench(), Share(kind, Path("/nowhere"))) for kind in KINDS), rbd.life(bench())]


def ours(life: Sequence[Step]) -> list[tuple[str, str]]:
    """Verbs, and the volumes that they make, remove or are about."""
    commands = [command for step in life for command in step.ways.get(OURS, ()) if "VOL_NAME" in command.env]
    return [
        (Path(command.argv[0]).name, command.env.get("VOL_SNAPSHOT_NAME", command.env["VOL_NAME"]))
        for command in commands
    ]


@pytest.mark.parametrize("life", lives(), ids=[*KINDS, "rbd"])
def test_all_volumes_that_are_made_are_removed(life: Sequence[Step]) -> None:
    there: set[str] = set()
    for verb, name in ours(life):
        if verb in ("create", "snapshot"):
            assert name not in there
            there.add(name)
        elif verb == "remove":
            there.remove(name)
        else:
            assert name in there
    assert not there


@pytest.mark.parametrize("life", lives(), ids=[*KINDS, "rbd"])
def test_every_verb_of_ganetis_is_measured(life: Sequence[Step]) -> None:
    verbs = {"create", "attach", "open", "snapshot", "grow", "close", "detach", "remove"}
    assert verbs <= {verb for verb, _ in ours([step for step in life if step.measure])}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_by_hand_is_removed_by_hand(kind: str) -> None:
    share = Share(kind, Path("/nowhere"))
    lines = [
        command.argv[-1]
        for step in cow.life(bench(), share)
        for subject, commands in step.ways.items()
        for command in commands
        if subject in (cow.HAND, cow.SYNCED)
    ]
    made = {word.split("/")[4] for line in lines for word in line.split() if word.startswith(f"/srv/{kind}/byhand/")}
    gone = {
        Path(word).name
        for line in lines
        if line.startswith(("rm ", "btrfs --quiet subvolume delete"))
        for word in line.split()
        if "byhand" in word
    }
    assert {name.rstrip(";") for name in made} == gone == {"e", "v", "w", "s", "t"}
