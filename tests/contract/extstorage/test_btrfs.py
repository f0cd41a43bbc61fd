"""Subvolumes: snapshots that do not care into how many pieces a disk is scattered."""

from __future__ import annotations

import errno
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from extstorage import btrfs as ioctls
from extstorage import draft, reflink
from ganeti_ext.errors import ExtError
from tests.contract.extstorage.harness import MIB, Node, add_node, image, mounted, sh

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and mounts need root"),
    pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="this kernel has no loop devices"),
]
PIECES = 32_000


def scatter(node: Node) -> int:
    """Write every second block of a volume, out of order; returns its extents."""
    fd = os.open(node.file(), os.O_WRONLY)
    try:
        places = [number * 8192 for number in range(PIECES)]
        random.Random(1).shuffle(places)
        for place in places:
            os.pwrite(fd, b"x" * 4096, place)
        os.fsync(fd)
        return reflink.pieces(fd)
    finally:
        os.close(fd)


def timed(node: Node, target: str) -> tuple[float, str]:
    """Make a snapshot: processor seconds, which are the same on a busy machine, and what it says."""
    began = os.times()
    done = node.call("snapshot", VOL_SNAPSHOT_NAME=target)
    ended = os.times()
    assert done.returncode == 0, done
    took = ended.children_user + ended.children_system - began.children_user - began.children_system
    return took, done.stderr


def test_a_volume_is_a_subvolume_written_in_place(btrfs: Node) -> None:
    btrfs.ok("create", VOL_SIZE="4")
    assert ioctls.is_subvolume(str(btrfs.share / "volumes/v.vol"))
    assert "C" in sh("lsattr", btrfs.file()).split()[0]
    btrfs.ok("snapshot", VOL_SNAPSHOT_NAME="s")
    assert "C" in sh("lsattr", btrfs.file("s")).split()[0]
    assert ioctls.is_subvolume(str(btrfs.share / "volumes/s.vol"))


def test_a_plain_image_with_checksums_is_shared_by_its_clones(btrfs: Node) -> None:
    content = image(btrfs)
    done = btrfs.call("create", VOL_SIZE="8", EXTP_ORIGIN="debian")
    assert (done.returncode, done.stderr) == (0, "")
    assert btrfs.file().read_bytes() == content + bytes(4 * MIB)
    assert "shared" in sh("filefrag", "-v", btrfs.file())


def reflinked(node: Node) -> float:
    """Processor seconds to share the volume's pieces one by one, as without subvolumes."""
    source = os.open(node.file(), os.O_RDONLY)
    target = os.open(node.share / "images/scratch", os.O_RDWR | os.O_CREAT)
    try:
        ioctls.set_nocow(target)
        began = time.process_time()
        assert reflink.clone(source, target) == ""
        return time.process_time() - began
    finally:
        os.close(source)
        os.close(target)


@pytest.fixture
def scratch(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    """A file system that goes with its disk: to free the pieces one by one would take longer than to make them."""
    with mounted(request.param, tmp_path) as point:
        yield add_node(point, tmp_path / "n")


@pytest.mark.parametrize("scratch", ["btrfs"], indirect=True)
def test_the_snapshot_of_a_scattered_disk_costs_nothing_beside_a_reflink_of_it(scratch: Node) -> None:
    btrfs = scratch
    btrfs.ok("create", VOL_SIZE="400")
    assert scatter(btrfs) > PIECES * 0.9
    timed(btrfs, "first")  # writes back what the scattering left
    took, told = min(timed(btrfs, f"many{number}") for number in range(3))
    assert told == ""
    assert took < reflinked(btrfs) / 2  # its interpreter's start included


@pytest.mark.parametrize("scratch", ["xfs"], indirect=True)
def test_on_xfs_it_takes_longer_and_a_warning_says_so(scratch: Node) -> None:
    xfs = scratch
    xfs.ok("create", VOL_SIZE="400")
    _, told = timed(xfs, "few")
    assert told == ""
    count = scatter(xfs)
    assert count > 30_000
    _, told = timed(xfs, "many")
    assert f"v.raw is in {count} pieces: its reflink takes about" in told


def test_an_origin_that_is_removed_after_it_was_opened_is_named(btrfs: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    btrfs.ok("create", VOL_SIZE="1")
    snapshot = ioctls.snapshot

    def after_a_removal(source: int, folder: int, name: str) -> None:
        btrfs.ok("remove")
        snapshot(source, folder, name)

    monkeypatch.setattr(ioctls, "snapshot", after_a_removal)
    target = str(btrfs.share / "volumes/w.raw")
    with pytest.raises(ExtError, match=r"origin \S+/v\.vol/disk has just been removed"):
        draft.make(target, None, str(btrfs.file()), {})
    assert os.listdir(btrfs.share / "volumes") == []


def test_a_name_that_is_taken_is_not_replaced(btrfs: Node) -> None:
    btrfs.ok("create", VOL_SIZE="1")
    folder = os.open(btrfs.share / "volumes", os.O_RDONLY)
    try:
        ioctls.create(folder, "x.vol")
        with pytest.raises(FileExistsError):
            ioctls.create(folder, "v.vol")
        with open(btrfs.share / "volumes/x.vol/disk", "wb"):
            pass
        with pytest.raises(OSError, match="not empty") as caught:
            os.rename(btrfs.share / "volumes/v.vol", btrfs.share / "volumes/x.vol")
        assert caught.value.errno == errno.ENOTEMPTY
        assert ioctls.destroy(folder, "x.vol")
        assert not ioctls.destroy(folder, "x.vol")
    finally:
        os.close(folder)
    assert btrfs.volumes() == ["v"]


def test_a_snapshot_of_a_busy_disk_leaves_no_draft_and_can_be_removed_while_attached_elsewhere(btrfs: Node) -> None:
    btrfs.ok("create", VOL_SIZE="4")
    device = btrfs.ok("attach")
    with open(device, "r+b", buffering=0) as disk:
        disk.write(b"then" * 1024)
        btrfs.ok("snapshot", VOL_SNAPSHOT_NAME="s")
        disk.seek(0)
        disk.write(b"now!" * 1024)
    assert btrfs.file("s").read_bytes()[:4] == b"then"
    btrfs.ok("detach")
    btrfs.ok("remove")
    assert btrfs.volumes() == ["s"]
