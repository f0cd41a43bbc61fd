"""Images that strangers bring to do harm: each is refused with a reason, and holds nothing of this machine."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from extstorage import image_cage
from lab import BASES
from tests.contract.extstorage.harness import MIB, empty, sh
from tests.contract.extstorage.image_site import Site, disk, rooted, shared

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root"),
    pytest.mark.skipif(not BASES.exists(), reason="the nodes' Debian 13 is made by: make lab-up"),
]
DESCRIPTOR = """# Disk DescriptorFile
version=1
CID=7d2b1e5c
parentCID=ffffffff
createType="{kind}"

# Extent description
{extents}

# The Disk Data Base
ddb.virtualHWVersion = "4"
"""
FLAT = DESCRIPTOR.format(kind="monolithicFlat", extents='RW 8 FLAT "/etc/passwd" 0').encode()
# Offsets in the header of a qcow2, and in that of a sparse VMDK.
SIZE, CRYPT, FEATURES = 24, 32, 72
CAPACITY, PLACE = 12, 512


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, xfs_share: Path) -> Iterator[Site]:
    with rooted(tmp_path_factory.mktemp("debian") / "node") as root, shared(root, xfs_share) as found:
        yield found
        empty(xfs_share)
        sh("rm", "-f", *xfs_share.glob("images/.blocks*"))


@pytest.fixture(scope="module")
def raw(site: Site) -> str:
    return site.brought("disk", disk())


def test_a_backing_file_is_not_followed(site: Site) -> None:
    site.qemu("create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", "/srv/brought/b", "1M")
    assert site.refused("/srv/brought/b")[0] == "backing-file"
    for name in ('json:{"driver":"nbd","host":"127.0.0.1","port":"10809"}', "nbd://127.0.0.1/x", "/dev/zero"):
        site.qemu("create", "-q", "-u", "-f", "qcow2", "-b", name, "-F", "raw", "/srv/brought/b", "1M")
        assert site.refused("/srv/brought/b")[0] == "backing-file"
        assert site.refused("-", stdin=(site.files / "b").read_bytes())[0] == "backing-file"


def test_a_data_file_is_not_opened(site: Site) -> None:
    site.qemu("create", "-q", "-f", "qcow2", "-o", "data_file=/srv/brought/victim", "/srv/brought/d", "1M")
    assert site.refused("/srv/brought/d")[0] == "data-file"
    # Without the flag the name alone is there, as of an image whose header was written by hand.
    flags = (site.files / "d").read_bytes()[FEATURES : FEATURES + 8]
    assert flags == (4).to_bytes(8, "big")
    assert site.refused(site.patched("/srv/brought/d", (FEATURES, bytes(8))))[0] == "data-file"


def test_a_vmdk_that_names_other_files_is_not_followed(site: Site, raw: str) -> None:
    assert site.refused(site.brought("flat", FLAT))[0] == "extents"
    vmdk = site.converted(raw, "vmdk")
    hidden = site.patched(vmdk, (CAPACITY, bytes(8)), (PLACE, FLAT + b"\0"))
    assert site.refused(hidden)[0] == "extents"
    assert site.refused(site.patched(vmdk, (PLACE, FLAT + b"\0")))[0] == "extents"
    two = DESCRIPTOR.format(kind="monolithicSparse", extents='RW 8 SPARSE "a"\nRW 8 FLAT "/etc/passwd" 0').encode()
    assert site.refused(site.patched(vmdk, (PLACE, two + b"\0")))[0] == "extents"
    parent = DESCRIPTOR.format(kind="monolithicSparse", extents='RW 8192 SPARSE "a"').encode()
    parent = parent.replace(b"ffffffff", b'12345678\nparentFileNameHint="/etc/passwd"')
    assert site.refused(site.patched(vmdk, (PLACE, parent + b"\0")))[0] == "backing-file"


def test_names_that_qemu_would_take_for_protocols_are_a_disks_content_or_no_file(site: Site) -> None:
    for text in (b'json:{"driver":"file","filename":"/etc/passwd"}', b"nbd://127.0.0.1/x", b"fat:/etc"):
        content = text.ljust(MIB, b"\n")
        site.made("text", "-", stdin=content)
        assert site.content("text") == content
        site.ok("remove", "text")
        done = site.call("import", "text", text.decode())
        assert (done.returncode, b"No such file" in done.stderr) == (1, True)


def test_what_claims_more_than_is_allowed_is_refused(site: Site, raw: str) -> None:
    qcow2, vmdk, vdi = (site.converted(raw, kind) for kind in ("qcow2", "vmdk", "vdi"))
    for size in ((1 << 64) - 512, 1 << 63, (1 << 40) + 512):
        reason, words = site.refused(site.patched(qcow2, (SIZE, size.to_bytes(8, "big"))))
        assert (reason, str(size) in words) == ("too-large", True)
    assert site.refused(site.patched(vmdk, (CAPACITY, (1 << 55).to_bytes(8, "little"))))[0] == "too-large"
    assert site.refused(site.patched(vdi, (0x170, (1 << 60).to_bytes(8, "little"))))[0] == "too-large"
    site.qemu("create", "-q", "-f", "vhdx", "/srv/brought/large", "2T")
    assert site.refused("/srv/brought/large")[0] == "too-large"
    assert site.refused(qcow2, "--max-size=3M")[0] == "too-large"


def test_a_bomb_is_not_unfolded(site: Site) -> None:
    with (site.files / "plain").open("wb") as file:
        for _ in range(128):
            file.write(b"\1" * MIB)
    bomb = site.converted("/srv/brought/plain", "qcow2", "-c", "-o", "compression_type=zstd")
    (site.files / "plain").unlink()
    assert (site.root / bomb[1:]).stat().st_size < 2 * MIB
    assert site.refused(bomb)[0] == "bomb"


def test_tables_that_point_to_one_place_again_and_again_are_refused(site: Site, raw: str) -> None:
    qcow2 = site.converted(raw, "qcow2", "-c")
    content = (site.root / qcow2[1:]).read_bytes()
    table = int.from_bytes(content[40:48], "big")
    second = int.from_bytes(content[table : table + 8], "big") & ((1 << 56) - 512)
    entries = content[second : second + 8] * 64
    assert site.refused(site.patched(qcow2, (second, entries)))[0] == "corrupt"


@pytest.mark.parametrize("kind", ["qcow2", "vmdk", "vdi", "vhdx"])
def test_what_is_cut_off_is_not_taken_for_zeros(site: Site, raw: str, kind: str) -> None:
    path = site.converted(raw, kind)
    length = (site.root / path[1:]).stat().st_size
    for cut in (700, length // 2, length - 65536):
        assert site.refused(site.cut(path, cut), "--format", kind)[0] in ("truncated", "corrupt", "format")


def test_a_stream_that_is_cut_off_is_refused(site: Site, raw: str) -> None:
    path = site.converted(raw, "vmdk", "-o", "subformat=streamOptimized")
    assert site.made("streamed", path)["size"] == len(disk())
    site.ok("remove", "streamed")
    length = (site.root / path[1:]).stat().st_size
    assert site.refused(site.cut(path, length // 2))[0] in ("truncated", "corrupt")


def test_a_format_must_be_the_one_that_is_said(site: Site, raw: str) -> None:
    qcow2 = site.converted(raw, "qcow2")
    assert site.refused(qcow2, "--format=raw")[0] == "format"
    assert site.refused(raw, "--format=qcow2")[0] == "format"
    assert site.refused(site.patched(qcow2, (CRYPT, (2).to_bytes(4, "big"))))[0] == "encrypted"
    assert site.refused(site.patched(qcow2, (FEATURES, (1 << 20).to_bytes(8, "big"))))[0] == "format"
    for head in (b"\x1f\x8b\x08", b"conectix", b"PK\3\4"):
        assert site.refused(site.brought("other", head, MIB))[0] == "unknown-format"


SPY = """
import os, socket, sys
read, write = int(sys.argv[1]), int(sys.argv[2])
def tried(what):
    try:
        return what() or "done"
    except Exception as err:
        return type(err).__name__
print([
    os.getuid(),
    tried(lambda: open("/etc/passwd").read()),
    tried(lambda: open("/proc/self/fd/%d" % write, "r+b").write(b"x")),
    tried(lambda: open("/proc/self/fd/%d" % read, "r+b").write(b"x")),
    tried(lambda: open("/proc/self/fd/%d" % read).read()),
    tried(lambda: os.listdir("/etc")),
    tried(lambda: open("/var/tmp/spy", "w")),
    tried(lambda: socket.socket()),
    tried(lambda: socket.socket(socket.AF_UNIX)),
    tried(lambda: bytes(3 << 30)),
    tried(lambda: os.write(os.open("/proc/self/fd/%d" % write, os.O_WRONLY), bytes(5000))),
    tried(lambda: os.kill(int(sys.argv[3]), 0)),
])
"""


def test_a_program_that_is_confined_reaches_its_two_files_and_nothing_else(tmp_path: Path) -> None:
    for name in ("in", "out"):
        (tmp_path / name).write_text(name)
    read, write = os.open(tmp_path / "in", os.O_RDONLY), os.open(tmp_path / "out", os.O_RDWR)
    limits = image_cage.Limits(1 << 30, 4096, 10)
    words = ["/usr/bin/python3", "-ISc", SPY, str(read), str(write), str(os.getpid())]
    with socket.create_server(("127.0.0.1", 0)), image_cage.start(words, read, write, limits) as process:
        out, err = process.communicate(timeout=30)
    os.close(read)
    os.close(write)
    assert (process.returncode, err) == (0, b"")
    denied = "PermissionError"
    assert (
        out.decode()
        == str([65534, denied, 1, denied, "in", denied, denied, denied, denied, "MemoryError", 4096, denied]) + "\n"
    )
    assert (tmp_path / "out").stat().st_size == 4096


def test_a_program_that_is_confined_ends_with_its_time_and_with_us(tmp_path: Path) -> None:
    (tmp_path / "in").touch()
    read = os.open(tmp_path / "in", os.O_RDONLY)
    limits = image_cage.Limits(1 << 30, 0, 1)
    with image_cage.start(["/usr/bin/python3", "-ISc", "while True: pass"], read, None, limits) as process:
        assert process.wait(timeout=60) == -signal.SIGXCPU
    os.close(read)
    assert resource.getrlimit(resource.RLIMIT_CPU)[0] != 1
