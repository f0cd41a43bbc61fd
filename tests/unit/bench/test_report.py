from __future__ import annotations

from bench.report import Against, lines
from bench.table import Samples

SAMPLES: Samples = {
    "ns a packet": {"no rules": [1000.0, 2000.0], "ours": [1250.0, 2500.0], "lossy": [None, 4000.0]},
    "kpps": {"no rules": [1000.0, 500.0], "ours": [800.0, 400.0], "lossy": [None, 250.0]},
}


def test_a_share_is_what_is_left_of_the_other_turn_by_turn() -> None:
    head, *rows = lines(SAMPLES, [Against("of no rules", "ns a packet", "no rules", share=True)])
    assert head == ["", "ns a packet", "kpps", "of no rules"]
    assert [row[0] for row in rows] == ["no rules", "ours", "lossy"]
    assert [row[-1] for row in rows] == ["", "80.0%", "50.0% [1 of 2]"]


def test_a_ratio_is_how_many_times_the_other() -> None:
    _, _, ours, _ = lines(SAMPLES, [Against("of no rules", "ns a packet", "no rules")])
    assert ours == ["ours", "1,875 (1,250..2,500)", "600 (400..800)", "1.2x"]


def test_a_column_that_says_nothing_is_left_out() -> None:
    head, *_ = lines(SAMPLES, [Against("of nft -f", "set-up, ms", "nft -f"), Against("of it", "kpps", "nft -f")])
    assert head == ["", "ns a packet", "kpps"]


def test_a_measure_that_a_subject_lacks_is_empty() -> None:
    samples = {"change, ms": {"nft -f": [10.0], "ours": [20.0]}, "removal, ms": {"ours": [5.0]}}
    _, nft, ours = lines(samples, [Against("of nft -f", "change, ms", "nft -f")])
    assert nft == ["nft -f", "10.0", "", ""]
    assert ours == ["ours", "20.0", "5.0", "2.0x"]
