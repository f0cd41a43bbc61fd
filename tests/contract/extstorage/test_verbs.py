"""The provider's real executables, called as Ganeti calls them, on file systems with reflinks and without."""

from __future__ import annotations

import mmap
import os
import subprocess
import threading
from pathlib import Path

import pytest

from extstorage import cow, provider
from ganeti_ext.errors import ExtError
from tests.contract.extstorage.harness import MIB, ROOT, Node, add_node, eventually, flags, image, mounted, sh

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and mounts need root"),
    pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="this kernel has no loop devices"),
]


def test_the_life_of_a_volume_each_verb_twice(node: Node) -> None:
    content = image(node)
    node.ok("create", VOL_SIZE="8", EXTP_ORIGIN="debian", VOL_CNAME="c", VOL_UUID="u")
    assert "volume 'v' exists already" in node.fails("create", VOL_SIZE="8", EXTP_ORIGIN="debian")
    for _ in range(2):
        device = node.ok("attach", EXTP_ACCESS="kernelspace", EXTP_ORIGIN="debian")
        assert node.loops() == [device]
    assert (flags(device, "loop/dio"), flags(device, "loop/autoclear"), flags(device, "size")) == ("1", "0", "16384")
    assert Path(device).is_block_device()
    assert Path(device).read_bytes() == content + bytes(4 * MIB)
    assert node.ok("attach", EXTP_ACCESS="userspace") == device
    for exclusive in ("False", "True"):
        assert node.ok("open", VOL_OPEN_EXCLUSIVE=exclusive) == ""
    for _ in range(2):
        assert node.ok("setinfo", VOL_METADATA="originstname_gx-1") == ""
        assert node.ok("grow", VOL_SIZE="8", VOL_NEW_SIZE="12") == ""
        assert flags(device, "size") == "24576"
        assert node.ok("close") == ""
    assert os.getxattr(node.file(), "user.ganeti.info") == b"originstname_gx-1"
    for verb in ("detach", "detach", "remove", "remove"):
        assert node.ok(verb) == ""
        assert eventually(lambda: node.loops() == [])
    assert node.volumes() == []
    assert (node.share / "images/debian.raw").read_bytes() == content


def test_a_snapshot_has_what_was_written_through_the_page_cache(node: Node) -> None:
    node.ok("create", VOL_SIZE="4")
    device = node.ok("attach")
    with open(device, "r+b", buffering=0) as disk:
        disk.write(b"then" * 1024)
        node.ok("snapshot", VOL_SNAPSHOT_NAME="v.snap", VOL_SNAPSHOT_SIZE="4")
        disk.seek(0)
        disk.write(b"now!" * 1024)
    assert "volume 'v.snap' exists already" in node.fails("snapshot", VOL_SNAPSHOT_NAME="v.snap")
    taken = node.ok("attach", "v.snap")
    assert taken != device
    assert Path(taken).read_bytes() == b"then" * 1024 + bytes(4 * MIB - 4096)
    node.ok("create", "w", VOL_SIZE="4", EXTP_ORIGIN="v")
    assert node.file("w").read_bytes()[:4] == b"now!"


def test_without_reflinks_a_clone_is_a_sparse_copy_with_one_warning(node: Node) -> None:
    image(node, 4 * MIB)
    os.truncate(node.share / "images/debian.raw", 64 * MIB)
    done = node.call("create", VOL_SIZE="100", EXTP_ORIGIN="debian")
    assert (done.returncode, done.stdout) == (0, "")
    verified = node.call("verify")
    assert verified.returncode == 0
    if sh("stat", "--file-system", "--format=%T", node.share).strip() in {"xfs", "btrfs"}:
        assert done.stderr == verified.stderr == ""
    else:
        assert done.stderr.count("warning: no reflink of") == 1
        assert verified.stderr.count("warning: no reflinks in") == 1
    found = node.file().stat()
    assert found.st_size == 100 * MIB
    assert found.st_blocks * 512 <= 5 * MIB


def test_faults_name_what_was_wrong(node: Node) -> None:
    image(node)
    assert "origin 'debain' does not exist" in node.fails("create", VOL_SIZE="8", EXTP_ORIGIN="debain")
    assert "4194304 bytes: more than the 3145728 (3 MiB)" in node.fails("create", VOL_SIZE="3", EXTP_ORIGIN="debian")
    assert "VOL_SIZE has a bad value '-1'" in node.fails("create", VOL_SIZE="-1")
    assert "origin '../volumes/v': only letters" in node.fails("create", VOL_SIZE="8", EXTP_ORIGIN="../volumes/v")
    assert "volume 'v' does not exist" in node.fails("snapshot", VOL_SNAPSHOT_NAME="s")
    assert node.volumes() == []


@pytest.mark.parametrize(
    "name", ["", "..", "../images/x", "/etc/passwd", ".node", "a b", "a\nb", "caf\u00e9", "x" * 55]
)
def test_garbage_names_do_nothing(xfs: Node, name: str) -> None:
    more = {"VOL_SIZE": "1", "VOL_NEW_SIZE": "2", "VOL_SNAPSHOT_NAME": "s", "VOL_METADATA": "m"}
    for verb in ("create", "attach", "detach", "remove", "grow", "setinfo", "snapshot", "open", "close"):
        with pytest.raises(ExtError, match="volume " if name else "VOL_NAME is not set") as caught:
            provider.main(cow)(verb, xfs.env(VOL_NAME=name, **more))
        assert caught.value.exit_code == 2
    done = xfs.call("create", name, **more)
    assert (done.returncode, done.stdout) == (2, "")
    assert "VOL_NAME is not set" in done.stderr if not name else "volume " in done.stderr
    assert xfs.volumes() == []


def test_a_clone_shares_its_blocks_and_is_independent(xfs: Node) -> None:
    content = os.urandom(64 * MIB)
    (xfs.share / "images/big.raw").write_bytes(content)
    os.sync()
    before = os.statvfs(xfs.share).f_bfree
    xfs.ok("create", VOL_SIZE="80", EXTP_ORIGIN="big")
    xfs.ok("create", "w", VOL_SIZE="64", EXTP_ORIGIN="big")
    assert (before - os.statvfs(xfs.share).f_bfree) * 4096 < 4 * MIB
    assert "shared" in sh("filefrag", "-v", xfs.file())
    with open(xfs.ok("attach"), "r+b") as disk:
        disk.write(bytes(MIB))
        disk.flush()
        os.fsync(disk.fileno())
    xfs.ok("detach")
    assert xfs.file().read_bytes() == bytes(MIB) + content[MIB:] + bytes(16 * MIB)
    assert (xfs.share / "images/big.raw").read_bytes() == content == xfs.file("w").read_bytes()


def test_a_snapshot_of_a_busy_disk_is_of_one_moment(xfs: Node) -> None:
    xfs.ok("create", VOL_SIZE="16")
    device = xfs.ok("attach")
    stop = threading.Event()

    def write() -> None:
        block = mmap.mmap(-1, 4096)
        disk = os.open(device, os.O_RDWR | os.O_DIRECT)
        for number in range(1, 4097):
            if stop.is_set():
                break
            block[:] = b"%-4096d" % number
            os.pwrite(disk, block, (number - 1) * 4096)
        os.close(disk)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(12):
            xfs.ok("snapshot", VOL_SNAPSHOT_NAME=f"s{number}")
    finally:
        stop.set()
        writer.join()
    lengths = []
    for number in range(12):
        content = xfs.file(f"s{number}").read_bytes()
        length = len(content.rstrip(b"\0")) // 4096
        assert content == b"".join(b"%-4096d" % block for block in range(1, length + 1)).ljust(16 * MIB, b"\0")
        lengths.append(length)
    assert lengths == sorted(lengths)
    assert lengths[-1] > lengths[0]


def test_a_share_that_is_not_mounted_is_an_error(xfs: Node, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    lost = add_node(tmp_path / "nothing", tmp_path / "lost")
    for verb in ("create", "attach", "open", "remove", "verify"):
        assert "is the shared directory mounted on this node?" in lost.fails(verb, VOL_SIZE="1")
    assert os.listdir(tmp_path / "nothing") == []
    assert lost.ok("detach") == ""


def test_without_direct_io_nothing_is_attached(tmp_path: Path) -> None:
    with mounted("ramfs", tmp_path) as point:
        node = add_node(point, tmp_path / "r")
        node.ok("create", VOL_SIZE="4")
        assert "volume 'v': its file system does no direct I/O" in node.fails("attach")
        assert eventually(lambda: node.loops() == [])


def test_disks_of_4096_byte_sectors_are_served(tmp_path: Path) -> None:
    with mounted("xfs", tmp_path, sector=4096) as point:
        node = add_node(point, tmp_path / "n")
        node.ok("create", VOL_SIZE="4")
        for _ in range(2):
            device = node.ok("attach")
            assert (flags(device, "loop/dio"), flags(device, "queue/logical_block_size")) == ("1", "4096")
        assert node.loops() == [device]


def test_the_os_definition_moves_a_disk_as_it_is(xfs: Node) -> None:
    scripts = ROOT / "extstorage/os"
    for script in ("create", "rename", "verify"):
        assert subprocess.run([scripts / script], env={}, capture_output=True, check=True).stdout == b""
    content = os.urandom(3 * MIB)
    xfs.ok("create", VOL_SIZE="3")
    xfs.file().write_bytes(content)
    exported = subprocess.run(
        [scripts / "export"], env={**os.environ, "EXPORT_DEVICE": xfs.ok("attach")}, capture_output=True, check=True
    )
    assert (exported.stdout, exported.stderr) == (content, b"")
    xfs.ok("create", "w", VOL_SIZE="4", EXTP_ORIGIN="v")
    subprocess.run(
        [scripts / "import"],
        env={**os.environ, "IMPORT_DEVICE": xfs.ok("attach", "w")},
        input=bytes(2 * MIB),
        check=True,
    )
    assert xfs.file("w").read_bytes() == bytes(2 * MIB) + content[2 * MIB :] + bytes(MIB)
    for script, variable in (("import", "IMPORT_DEVICE"), ("export", "EXPORT_DEVICE")):
        done = subprocess.run([scripts / script], env={}, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"neither {variable} nor" in done.stderr
