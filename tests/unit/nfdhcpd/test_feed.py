"""What a watcher gets, and what he is too slow for."""

from __future__ import annotations

from ganeti_ext.feed import WAITING
from nfdhcpd.feed import Feed


def feed(tap: str | None = None) -> tuple[Feed, list[int]]:
    """A feed, and one item for each time it woke its reader."""
    woken: list[int] = []
    return Feed(tap, lambda: woken.append(1), lambda: 1700000000.25), woken


def test_a_transaction_is_told_with_its_time() -> None:
    found, woken = feed()
    found("tap0", "web", "DISCOVER", "OFFER 192.0.2.1", 0.0000321)
    assert woken == [1]
    assert list(found.taken()) == [
        {
            "time": 1700000000.25,
            "tap": "tap0",
            "instance": "web",
            "asked": "DISCOVER",
            "told": "OFFER 192.0.2.1",
            "us": 32.1,
        }
    ]
    assert list(found.taken()) == []


def test_one_tap_alone() -> None:
    found, woken = feed("tap1")
    found("tap0", "web", "DISCOVER", "OFFER", 0)
    assert woken == []
    found("tap1", "db", "RS", "RA", 0)
    assert [record["tap"] for record in found.taken()] == ["tap1"]


def test_what_there_is_no_place_for_is_counted_behind_what_there_was() -> None:
    found, _ = feed()
    for number in range(WAITING + 7):
        found(f"tap{number}", "", "RS", "RA", 0)
    *kept, last = found.taken()
    assert [record["tap"] for record in kept] == [f"tap{number}" for number in range(WAITING)]
    assert last == {"lost": 7}
    found("tap0", "", "RS", "RA", 0)
    assert [record["tap"] for record in found.taken()] == ["tap0"]


def test_what_comes_while_the_rest_is_taken_is_taken_too() -> None:
    found, _ = feed()
    found("tap0", "", "RS", "RA", 0)
    taken = found.taken()
    next(taken)
    found("tap1", "", "RS", "RA", 0)
    assert [record["tap"] for record in taken] == ["tap1"]
