from __future__ import annotations

from nfdhcpd.stats import BOUNDS, Counts, Stats


def test_counts_by_tap_and_kind() -> None:
    stats = Stats()
    for asked in ("DISCOVER", "REQUEST", "DISCOVER"):
        stats.count(stats.of("tap0"), asked, 0.0)
    stats.drop("tap0", "spoofed")
    stats.drop("tap1", "malformed")
    assert stats.taps == {
        "tap0": Counts({"DISCOVER": 2, "REQUEST": 1}, {"spoofed": 1}),
        "tap1": Counts({}, {"malformed": 1}),
    }
    stats.forget("tap0")
    assert set(stats.taps) == {"tap1"}


def test_times_fall_into_classes_whose_bound_belongs_to_them() -> None:
    stats = Stats()
    for seconds in (0.0, BOUNDS[0], BOUNDS[0] * 1.01, 5.0):
        stats.count(stats.of("tap0"), "RS", seconds)
    assert stats.times == [2, 1, *[0] * (len(BOUNDS) - 2), 1]
    assert stats.seconds == BOUNDS[0] * 2.01 + 5.0
