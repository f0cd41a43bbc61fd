"""What a verb has made is on the disk when it returns: the disk is taken away as it is then, and mounted anew."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.extstorage.harness import MIB, Node, add_node, mounted, sh

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and mounts need root"),
    pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="this kernel has no loop devices"),
]
LENGTH = MIB + 1000  # of an image: its last block is not full


@contextlib.contextmanager
def again(kind: str, disk: Path, folder: Path) -> Iterator[Node]:
    """The file system of a disk that lost its power, with what its journal brings back.

    Namespaces that others have made meanwhile may have the one that it was copied from mounted still: XFS mounts no
    two with one UUID unless it is told to.
    """
    point = folder / "again"
    point.mkdir(exist_ok=True)
    device = sh("losetup", "--find", "--show", disk).strip()
    try:
        sh("mount", *(("-o", "nouuid") if kind == "xfs" else ()), device, point)
        try:
            yield Node(point, folder)
        finally:
            sh("umount", point)
    finally:
        sh("losetup", "--detach", device)


def copy(disk: Path, target: Path) -> None:
    """The disk as it was at one moment: the kernel goes on to write what the journal has, and a copy takes a while."""
    for _ in range(20):
        sh("cp", "--sparse=always", disk, target)
        if same(disk, target):
            return
    raise AssertionError(f"{disk} was never left alone for as long as a copy takes")


def same(one: Path, other: Path) -> bool:
    """Whether two files of one length have the same content; most of them is holes, which need not be read."""
    with one.open("rb") as first, other.open("rb") as second:
        fds = (first.fileno(), second.fileno())
        spans = itertools.chain(*map(data, fds))
        return all(os.pread(fds[0], size, start) == os.pread(fds[1], size, start) for start, size in spans)


def data(fd: int) -> Iterator[tuple[int, int]]:
    """Offset and length of what a file has besides holes, in parts that fit into memory."""
    start = 0
    while True:
        try:
            start = os.lseek(fd, start, os.SEEK_DATA)
        except OSError:  # ENXIO: there is no more
            return
        size = min(os.lseek(fd, start, os.SEEK_HOLE) - start, MIB)
        yield start, size
        start += size


@pytest.mark.parametrize("kind", ["xfs", "btrfs", "ext4"])
def test_a_volume_outlives_a_loss_of_power(kind: str, tmp_path: Path) -> None:
    content = os.urandom(LENGTH)
    made = (
        ("empty", 4, ("create", "empty", {"VOL_SIZE": "4"})),
        ("clone", 2, ("create", "clone", {"VOL_SIZE": "2", "EXTP_ORIGIN": "debian"})),
        ("same", 2, ("create", "same", {"VOL_SIZE": "2", "EXTP_ORIGIN": "clone"})),
        ("longer", 3, ("create", "longer", {"VOL_SIZE": "3", "EXTP_ORIGIN": "clone"})),
        ("snap", 2, ("snapshot", "clone", {"VOL_SNAPSHOT_NAME": "snap"})),
    )
    with mounted(kind, tmp_path) as share:
        node = add_node(share, tmp_path / "n")
        (share / "images/debian.raw").write_bytes(content)
        for name, _, (verb, volume, env) in made:
            node.ok(verb, volume, **env)
            copy(tmp_path / "disk", tmp_path / name)
    for name, length, _ in made:
        with again(kind, tmp_path / name, tmp_path) as found:
            data = b"" if name == "empty" else content
            assert found.file(name).read_bytes() == data.ljust(length * MIB, b"\0")
        (tmp_path / name).unlink()
