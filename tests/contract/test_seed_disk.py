"""The seed's file system before programs that others wrote: a check of its structure, and readers of its files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from extstorage import fat
from lab import layer
from tests.contract.kvm_ifup_node import needs_node
from tests.lab.clients.box import Box

pytestmark = [pytest.mark.lab, needs_node]

TOOLS = ("dosfstools", "mtools")
DISK = "/root/disk"
# Of each length that is something else to FAT: nothing, less than a sector, one, more; and all that there is room for.
FILES = {
    "meta-data": b"",
    "user-data": b"a" * 511,
    "vendor-data": b"b" * 512,
    "network-config": bytes(range(256)) * 300,
    "a name of twenty-six letters": b"c",
    "Großes, für café": b"d" * 1025,
}


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with contextlib.closing(Box("fat", layer.lower("fat", TOOLS))) as made:
        yield made


def put(box: Box, files: dict[str, bytes]) -> None:
    box.path(DISK).write_bytes(fat.image("CIDATA", files).ljust(4 << 20, b"\0"))


@pytest.mark.parametrize("files", [FILES, {}, {"user-data": b"x" * 3_000_000}])
def test_its_structure_is_sound(box: Box, files: dict[str, bytes]) -> None:
    put(box, files)
    told = box.run("fsck.fat", "-n", "-v", DISK)
    clusters = sum(-(-len(content) // 512) for content in files.values())
    assert f"{DISK}: {len(files) + 1} files, {clusters}/6063 clusters" in told
    assert "2 FATs, 16 bit entries" in told


def test_its_files_are_read(box: Box) -> None:
    put(box, FILES)
    assert "CIDATA" in box.run("mlabel", "-s", "-i", DISK)
    for name, content in FILES.items():
        box.run("mcopy", "-n", "-o", "-i", DISK, f"::{name}", "/root/found")
        assert box.path("/root/found").read_bytes() == content, name
