"""What verify, df, tree and gc make of what there is."""

from __future__ import annotations

from typing import Any

import pytest

from extstorage import account
from extstorage.found import Found, Leak
from extstorage.inventory_ganeti import Disk
from extstorage.lock import Holder

MIB = 1 << 20
NAME = "0a1b2c3d-0000-4000-8000-00000000000a.ext.disk0"
HELD = (Holder("n1", "exclusive", "boot", "2026-01-01T00:00:00Z"),)


def found(name: str, kind: str = "volume", **more: Any) -> Found:
    one = Found(name, kind, None, 10 * MIB, 4 * MIB, MIB, 1000.0, ())
    return one._replace(**more)


def disk(volume: str = NAME, size: int = 10, instance: str = "i1", number: int = 0) -> Disk:
    return Disk("u", "cow", volume, "", size, instance, number, "n1", "up", "", "rw", {})


def kinds(disks: list[Disk], entries: list[Found]) -> list[tuple[str, str, bool]]:
    every = [*account.owned(disks, "cow", "--provider=cow", entries)]
    every += account.orphans(disks, "cow", "--provider=cow", entries, before=2000.0)
    return [(one.kind, one.volume, one.mends) for one in every]


def test_a_disk_with_its_volume_is_well() -> None:
    assert kinds([disk()], [found(NAME)]) == []


def test_a_disk_without_a_volume() -> None:
    (one,) = account.owned([disk(number=3)], "cow", "--provider=cow", [found(NAME, "image")])
    assert (one.kind, one.found, one.mends) == ("missing", "disk 3 of i1 has no volume", False)
    assert one.todo.endswith("gnt-instance recreate-disks --disk=3 i1")
    (one,) = account.owned([disk(instance="")], "cow", "--provider=cow", [])
    assert one.found == "detached disk u has no volume"
    assert "gnt-instance" not in one.todo


@pytest.mark.parametrize(
    ("length", "size", "told"),
    [(10 * MIB - 512, 10, True), (10 * MIB + 512, 10, None), (11 * MIB, 10, False), (10 * MIB, 10, None)],
)
def test_a_volume_of_another_length(length: int, size: int, told: bool | None) -> None:
    every = list(account.owned([disk(size=size)], "cow", "--provider=cow", [found(NAME, logical=length)]))
    assert [(one.kind, one.mends) for one in every] == ([] if told is None else [("size", told)])
    if told:
        assert (every[0].size, every[0].todo) == (10, f"ganeti-ext-storage grow --provider=cow --force {NAME} 10M")


def test_a_volume_of_no_disk() -> None:
    assert kinds([], [found(NAME), found(f"{NAME}.snap", "snapshot")]) == [
        ("orphan", NAME, False),
        ("orphan", f"{NAME}.snap", False),
    ]


@pytest.mark.parametrize(
    "one",
    [
        found("golden"),  # an administrator's own
        found(NAME, "image"),
        found(NAME, created=2001.0),  # maybe of an instance that is being made
        found(NAME, holders=HELD),
    ],
    ids=["name", "image", "young", "open"],
)
def test_what_is_no_orphan(one: Found) -> None:
    assert kinds([], [one]) == []


def test_leaks_are_mended() -> None:
    (one,) = account.leaked([Leak("lock", "v n1", "n1 is offline")], "rbd", "--provider=rbd")
    assert (one.kind, one.volume, one.found, one.mends) == ("lock", "v n1", "n1 is offline", True)
    assert one.todo == "ganeti-ext-storage repair --provider=rbd"


def test_the_sums_of_a_store() -> None:
    entries = [found("a"), found("b", "snapshot"), found("c", "image")]
    sums = account.room("cow", entries, (100, 40))
    assert tuple(sums) == ("cow", 1, 1, 1, 30 * MIB, 12 * MIB, 3 * MIB, 100, 40)
    assert sums.shared == 9 * MIB
    unknown = account.room("cow", [*entries, found("d", exclusive=None)], None)
    assert (unknown.physical, unknown.exclusive, unknown.shared, unknown.free) == (16 * MIB, None, None, None)


def test_snapshots_that_nobody_needs() -> None:
    entries = [
        found("v", origin="snapshot:used"),
        found("w", origin="volume:also-used"),  # cow calls every origin a volume
        *(found(name, "snapshot", origin="volume:v") for name in ("used", "also-used", "free")),
        found("open", "snapshot", holders=HELD),
        found(f"{NAME}.snap", "snapshot"),
    ]
    assert list(account.unneeded(entries)) == ["free"]


def lines(entries: list[Found]) -> list[tuple[int, str, str]]:
    return [(branch.depth, branch.found.kind, branch.found.name) for branch in account.tree(entries)]


def test_the_tree() -> None:
    entries = [
        found("v", "image"),
        found("v", origin="image:v"),  # an image and a volume may have one name
        found("s", "snapshot", origin="volume:v"),
        found("w", origin="volume:s"),
        found("x", origin="volume:gone"),
    ]
    assert lines(entries) == [
        (0, "image", "v"),
        (1, "volume", "v"),
        (2, "snapshot", "s"),
        (3, "volume", "w"),
        (0, "volume", "x"),
    ]


def test_a_tree_that_bites_its_tail() -> None:
    entries = [found("a", origin="volume:b"), found("b", origin="volume:a"), found("c", origin="volume:c")]
    assert sorted(lines(entries)) == [(0, "volume", "a"), (0, "volume", "c"), (1, "volume", "b")]
