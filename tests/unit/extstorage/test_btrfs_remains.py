"""Which remains of extents are stored anew."""

from __future__ import annotations

from extstorage.btrfs_remains import BATCH, WORTH, Rest, batches, rests
from extstorage.usage import LAST, SHARED

K = 1 << 16
ENCODED = 8  # linux/fiemap.h


def test_the_rest_of_an_extent_is_all_that_the_file_still_has_of_it() -> None:
    mapped = [(0, 9000 * K, 2 * K, SHARED), (2 * K, 102 * K, K, 0), (7 * K, 105 * K, 2 * K, LAST)]
    assert list(rests([(100 * K, 8 * K)], mapped)) == [Rest(8 * K, [(2 * K, K), (7 * K, 2 * K)])]


def test_of_an_extent_that_the_file_has_whole_or_not_at_all_there_is_none() -> None:
    assert list(rests([(100 * K, 8 * K), (200 * K, 8 * K)], [(0, 100 * K, 8 * K, LAST)])) == []
    assert list(rests([], [(0, 100 * K, 8 * K, LAST)])) == []


def test_of_what_somebody_else_has_too_nothing_would_go() -> None:
    for flags in (SHARED, SHARED | LAST, ENCODED):
        assert list(rests([(100 * K, 8 * K)], [(0, 100 * K, K, 0), (K, 103 * K, K, flags)])) == []


def test_neighbours_on_the_disk_are_told_as_one_and_are_each_an_extent() -> None:
    known = [(100 * K, 4 * K), (104 * K, 4 * K), (108 * K, 4 * K)]
    found = list(rests(known, [(K, 102 * K, 9 * K, LAST)]))
    assert found == [Rest(4 * K, [(K, 2 * K)]), Rest(4 * K, [(7 * K, 3 * K)])]


def test_what_the_file_has_twice_would_be_written_twice() -> None:
    mapped = [(0, 100 * K, 3 * K, 0), (3 * K, 100 * K, 3 * K, LAST)]
    assert list(rests([(100 * K, 4 * K)], mapped)) == []
    assert [rest.held for rest in rests([(100 * K, 8 * K)], mapped)] == [6 * K]


def test_no_more_is_written_than_is_worth_what_it_frees() -> None:
    for given, wanted in ((1, 0), (2, 1)):
        whole = (WORTH + 2) * K
        assert len(list(rests([(0, whole)], [(0, 0, whole - given * K, LAST)]))) == wanted


def test_no_batch_goes_on_behind_what_fills_it() -> None:
    sizes = (BATCH - K, K, BATCH + 5 * K, K, K)
    found = batches(Rest(2 * BATCH, [(0, size)]) for size in sizes)
    assert [[rest.held for rest in batch] for batch in found] == [[BATCH - K, K], [BATCH + 5 * K], [K, K]]
