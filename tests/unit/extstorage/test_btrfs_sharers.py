"""What several files have of an extent is written once."""

from __future__ import annotations

from extstorage.btrfs_sharers import Part, once

K = 1 << 16


def test_what_several_have_is_taken_from_the_first_and_no_octet_twice() -> None:
    parts = [
        Part(4, 70 * K, 8 * K, 4 * K),
        Part(3, 10 * K, K, 2 * K),
        Part(4, 50 * K, 2 * K, 3 * K),
        Part(5, 0, 2 * K, K),
    ]
    assert list(once(parts)) == [
        Part(3, 10 * K, K, 2 * K),
        Part(4, 51 * K, 3 * K, 2 * K),
        Part(4, 70 * K, 8 * K, 4 * K),
    ]
