from __future__ import annotations

import pytest

from bench import bars
from bench.bars import OURS, Bar
from bench.result import Result

ATTACH = Bar("attach, ms", 15, " ms")
READS = Bar("reads, ops/s", 0.9, "x", "raw", least=True)


@pytest.mark.parametrize(
    ("bar", "found", "told"),
    [
        (ATTACH, [12.0], "attach, ms: to be at most 15 ms; 12.0 ms: holds"),
        (ATTACH, [16.0], "attach, ms: to be at most 15 ms; 16.0 ms: DOES NOT HOLD"),
        (ATTACH, [12.0, 13.0, 16.0], "attach, ms: to be at most 15 ms; 13.0 ms (12.0..16.0): holds, not in every turn"),
        (ATTACH, [12.0, 16.0, 17.0], "attach, ms: to be at most 15 ms; 16.0 ms (12.0..17.0): DOES NOT HOLD"),
        (ATTACH, [None], "attach, ms: to be at most 15 ms; no figure"),
        (READS, [0.95], "reads, ops/s, of raw: to be at least 0.9x; 0.95x: holds"),
        (READS, [0.85], "reads, ops/s, of raw: to be at least 0.9x; 0.85x: DOES NOT HOLD"),
        (Bar("wall, s", 1.15, "x", "none"), [1.1], "wall, s, of none: to be at most 1.15x; 1.1x: holds"),
    ],
)
def test_a_bar_says_what_was_wanted_and_found(bar: Bar, found: list[float | None], told: str) -> None:
    assert bars.verdict(bar, found) == told


def test_a_ratio_is_made_turn_by_turn() -> None:
    result = Result("storage", OURS)
    for ours, raw in ((80, 100), (190, 200)):
        result.add("disks", READS.measure, OURS, ours)
        result.add("disks", READS.measure, "raw", raw)
    assert bars.samples(result, "disks", READS) == [0.8, 0.95]
    bars.tell(result, "disks", (READS,))
    assert "* reads, ops/s, of raw: to be at least 0.9x; 0.88x (0.8..0.95): DOES NOT HOLD" in result.text()
