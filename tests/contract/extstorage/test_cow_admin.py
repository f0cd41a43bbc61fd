"""What an administrator's command does with volumes of `cow`, with reflinks, subvolumes and neither."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from extstorage import cow, cow_admin, volumefile
from extstorage.layout import Settings
from extstorage.origin import parse
from ganeti_ext.errors import ExtError
from tests.contract.extstorage.choice import STRIDE
from tests.contract.extstorage.harness import MIB, Node, eventually, image, sh
from tests.contract.extstorage.test_nodes import killed_at

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and mounts need root"),
    pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="this kernel has no loop devices"),
]


def settings(node: Node) -> Settings:
    return cow.load(str(node.etc / "cow.conf"), {})


def write(node: Node, name: str, offset: int, content: bytes) -> None:
    with open(node.ok("attach", name), "r+b") as disk:
        disk.seek(offset)
        disk.write(content)
        disk.flush()
        os.fsync(disk.fileno())
    node.ok("detach", name)


def test_the_listing_says_who_descends_from_whom(node: Node) -> None:
    image(node)
    node.ok("create", VOL_SIZE="8", EXTP_ORIGIN="debian")
    node.ok("snapshot", VOL_SNAPSHOT_NAME="s")
    cow_admin.clone(settings(node), "w", parse("snapshot:s"))
    node.ok("attach")
    node.ok("open", VOL_OPEN_EXCLUSIVE="True")
    found = {entry.name: entry for entry in cow_admin.listing(settings(node))}
    kinds = {name: (entry.kind, entry.logical) for name, entry in found.items()}
    assert kinds == {
        "debian": ("image", 4 * MIB),
        "v": ("volume", 8 * MIB),
        "s": ("snapshot", 8 * MIB),
        "w": ("volume", 8 * MIB),
    }
    assert [holder.node for holder in found["v"].holders] == ["a"]
    assert (found["debian"].origin, found["debian"].holders) == (None, ())
    if sh("stat", "--file-system", "--format=%T", node.share).strip() != "tmpfs":
        assert [found[name].origin for name in ("v", "s", "w")] == ["image:debian", "volume:v", "volume:s"]
    assert found["v"].physical is not None
    assert 0 < found["v"].physical <= 5 * MIB
    assert found["v"].created is not None


def test_what_a_removal_would_give_back_is_told(xfs: Node, btrfs: Node) -> None:
    for node in (xfs, btrfs):
        (node.share / "images/i.raw").write_bytes(os.urandom(4 * MIB))
        node.ok("create", VOL_SIZE="8", EXTP_ORIGIN="i")
        os.sync()
        (one,) = (entry for entry in cow_admin.listing(settings(node)) if entry.name == "v")
        assert (one.physical, one.exclusive) == (4 * MIB, 0)
        write(node, "v", 6 * MIB, os.urandom(MIB))
        os.sync()
        (one,) = (entry for entry in cow_admin.listing(settings(node)) if entry.name == "v")
        assert (one.physical, one.exclusive) == (5 * MIB, MIB)
        node.ok("remove")


def test_a_rollback_brings_the_content_and_keeps_the_length_and_the_texts(node: Node) -> None:
    node.ok("create", VOL_SIZE="2")
    node.ok("setinfo", VOL_METADATA="text")
    write(node, "v", 0, b"then")
    node.ok("snapshot", VOL_SNAPSHOT_NAME="s")
    write(node, "v", 0, b"now!")
    node.ok("grow", VOL_SIZE="2", VOL_NEW_SIZE="3")
    cow_admin.rollback(settings(node), "v", "s")
    assert node.file().read_bytes() == b"then" + bytes(3 * MIB - 4)
    assert node.file("s").read_bytes() == b"then" + bytes(2 * MIB - 4)
    assert node.volumes() == ["s", "v"]
    assert [name for name in os.listdir(node.file().parent) if name.startswith(".")] == []
    if sh("stat", "--file-system", "--format=%T", node.share).strip() != "tmpfs":
        assert os.getxattr(node.file(), "user.ganeti.info") == b"text"
    device = node.ok("attach")
    assert Path(device).read_bytes()[:4] == b"then"


def test_what_is_open_is_not_changed_under_its_guest(node: Node) -> None:
    node.ok("create", VOL_SIZE="2")
    node.ok("snapshot", VOL_SNAPSHOT_NAME="s")
    with open(node.ok("attach"), "rb"):
        node.ok("open", VOL_OPEN_EXCLUSIVE="True")
        with pytest.raises(ExtError, match="volume 'v' is open on a"):
            cow_admin.rollback(settings(node), "v", "s")
        for refused in (cow_admin.flatten, cow_admin.remove):
            with pytest.raises(ExtError, match="volume 'v' is open on a"):
                refused(settings(node), "v")
        node.ok("close")
        with pytest.raises(ExtError, match="volume 'v' is in use: /dev/loop"):
            cow_admin.flatten(settings(node), "v")
    assert eventually(lambda: node.loops() == [])
    cow_admin.remove(settings(node), "v")
    with pytest.raises(ExtError, match="volume 'v' does not exist"):
        cow_admin.remove(settings(node), "v")
    assert node.volumes() == ["s"]


def test_flattened_a_volume_shares_nothing_and_has_no_origin(xfs: Node, btrfs: Node) -> None:
    for node in (xfs, btrfs):
        content = os.urandom(4 * MIB)
        (node.share / "images/i.raw").write_bytes(content)
        node.ok("create", VOL_SIZE="6", EXTP_ORIGIN="i")
        cow_admin.flatten(settings(node), "v")
        os.sync()
        assert node.file().read_bytes() == content + bytes(2 * MIB)
        (one,) = (entry for entry in cow_admin.listing(settings(node)) if entry.name == "v")
        assert (one.origin, one.physical, one.exclusive) == (None, 4 * MIB, 4 * MIB)


@pytest.mark.parametrize("what", ["rollback", "flatten"])
def test_killed_before_each_of_its_lines_a_volume_has_its_old_content_or_the_new(
    xfs: Node, btrfs: Node, what: str
) -> None:
    for node in (xfs, btrfs):
        node.ok("create", VOL_SIZE="1")
        node.ok("snapshot", VOL_SNAPSHOT_NAME="s")
        here = settings(node)
        action = (
            partial(cow_admin.rollback, here, "v", "s") if what == "rollback" else partial(cow_admin.flatten, here, "v")
        )
        line, killed, seen = 0, True, set()
        while killed:
            line += STRIDE
            node.file().write_bytes(b"new!" + bytes(MIB - 4))
            killed = killed_at(line, action)
            content = node.file().read_bytes()
            seen.add(content[:4])
            assert content[4:] == bytes(MIB - 4)
            cow_admin.mend(here, age=-1.0)
            assert node.volumes() == ["s", "v"]
            assert os.listdir(node.file().parent) in (["disk"], os.listdir(node.share / "volumes"))
        assert seen == ({b"new!", bytes(4)} if what == "rollback" else {b"new!"})
        assert line > 20


def test_an_image_is_made_once(node: Node, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"boot" + bytes(MIB - 4))
    cow_admin.image(settings(node), "i", str(tmp_path / "file"))
    with pytest.raises(ExtError, match="image 'i' exists already"):
        cow_admin.image(settings(node), "i", str(tmp_path / "file"))
    node.ok("create", VOL_SIZE="1", EXTP_ORIGIN="image:i")
    assert node.file().read_bytes() == b"boot" + bytes(MIB - 4)


def test_drafts_inside_and_beside_volumes_are_leaks(node: Node) -> None:
    node.ok("create", VOL_SIZE="1")
    inner = node.file().with_name(f".{node.file().name}.new")
    inner.touch()
    assert cow_admin.leaks(settings(node)) == []  # somebody may be working on it
    os.utime(inner, (0, 0))
    assert [leak.what for leak in cow_admin.mend(settings(node))] == [str(inner)]
    assert not inner.exists()
    assert volumefile.names(settings(node)) == ["v"]


def test_pools_are_stores_of_their_own(xfs: Node, btrfs: Node, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (xfs.etc / "cow.conf").write_text(
        f"[cow]\ndirectory = {xfs.share}\nrun_directory = {tmp_path}/p\nnode = x\npools = fast:{btrfs.share}\n"
    )
    xfs.ok("create", VOL_SIZE="1")
    xfs.ok("create", VOL_SIZE="2", EXTP_POOL="fast")
    devices = {xfs.ok("attach"), xfs.ok("attach", EXTP_POOL="fast")}
    assert len(devices) == 2
    assert (xfs.file().stat().st_size, btrfs.file().stat().st_size) == (MIB, 2 * MIB)
    assert "pool 'slow' is not in cow.conf; known: fast" in xfs.fails("attach", EXTP_POOL="slow")
    stores = cow_admin.stores(str(xfs.etc / "cow.conf"))
    assert [(name, [entry.logical for entry in cow_admin.listing(one)]) for name, one in stores] == [
        ("", [MIB]),
        ("fast", [2 * MIB]),
    ]
    xfs.ok("open", VOL_OPEN_EXCLUSIVE="True", EXTP_POOL="fast")
    assert (xfs.holders(), btrfs.holders()) == ([], ["x exclusive"])
    for pool in ("", "fast"):
        xfs.ok("detach", EXTP_POOL=pool)
        xfs.ok("remove", EXTP_POOL=pool)
    assert (xfs.volumes(), btrfs.volumes()) == ([], [])


def test_a_file_uri_is_told_only_where_the_configuration_says_so(xfs: Node) -> None:
    xfs.ok("create", VOL_SIZE="1")
    assert xfs.ok("attach", EXTP_ACCESS="userspace").startswith("/dev/loop")
    xfs.ok("detach")
    with (xfs.etc / "cow.conf").open("a") as file:
        file.write("userspace = yes\n")
    assert xfs.ok("attach", EXTP_ACCESS="userspace") == f"\nkvm:{xfs.file()}"
    assert xfs.loops() == []
    assert xfs.ok("attach", EXTP_ACCESS="kernelspace").startswith("/dev/loop")
    assert xfs.ok("attach", "w", EXTP_ACCESS="userspace") == ""
