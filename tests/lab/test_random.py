"""Random operations of an administrator, and of fate, on real guests, against a model of what must be set.

LAB_OPERATIONS=200 makes it a long one, LAB_SEED=7 repeats one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from random import Random

import pytest

from lab.story import Story
from tests.lab import routed_site
from tests.lab.fleet import Fleet

OPERATIONS = int(os.environ.get("LAB_OPERATIONS", "20"))
SEED = int(os.environ.get("LAB_SEED", "0")) or Random().randrange(1, 1 << 31)

# How often each is done.
WEIGHTS: dict[Callable[[Fleet], None], int] = {
    Fleet.start: 20,
    Fleet.stop: 8,
    Fleet.reboot: 8,
    Fleet.kill: 14,
    Fleet.kill_reaper: 8,
    Fleet.migrate: 14,
    Fleet.failover: 8,
    Fleet.tag: 20,
}


@pytest.fixture
def fleet(story: Story) -> Iterator[Fleet]:
    made = Fleet(story, Random(SEED))
    with routed_site.site(story, made.nodes, routed_site.FAR):
        try:
            made.add()
            yield made
        finally:
            made.remove()


@pytest.mark.long
def test_neither_more_nor_less_is_set(fleet: Fleet) -> None:
    try:
        fleet.check()
        for _ in range(OPERATIONS):
            (operation,) = fleet.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
            operation(fleet)
            fleet.check()
    except BaseException as err:
        done = "\n".join(fleet.did[-20:])
        err.add_note(f"LAB_SEED={SEED}, {len(fleet.did)} done, the last:\n{done}")
        raise
