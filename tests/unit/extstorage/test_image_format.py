"""What a file is by its first octets, and what is not let through."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extstorage import image_format
from extstorage.image_error import Refused
from extstorage.image_format import Header

if TYPE_CHECKING:
    from extstorage.image_format import Read

GIB = 1 << 30
DESCRIPTOR = b'CID=1\nparentCID=ffffffff\ncreateType="%s"\nRW 2048 %s "disk.vmdk"%s\n'


def over(content: bytes) -> Read:
    return lambda offset, count: content[offset : offset + count]


def inspect(content: bytes, *, whole: bool = True) -> Header:
    return image_format.inspect(over(content), len(content) if whole else None)


def reason(content: bytes, *, whole: bool = True) -> str:
    with pytest.raises(Refused) as caught:
        inspect(content, whole=whole)
    return caught.value.reason


def qcow2(
    *,
    backing: int = 0,
    size: int = GIB,
    crypt: int = 0,
    features: int = 0,
    extension: tuple[int, bytes] | None = None,
    version: int = 3,
    bits: int = 16,
) -> bytes:
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", version, backing, 0, bits, size, crypt, 1, 65536, 131072, 1, 0, 0)
    head += struct.pack(">QQQII", features, 0, 0, 4, 104)
    if extension:
        kind, content = extension
        head += struct.pack(">II", kind, len(content)) + content.ljust(-(-len(content) // 8) * 8, b"\0")
    return head.ljust(4 * 65536, b"\0")


def vmdk(
    kind: bytes = b"monolithicSparse",
    extent: bytes = b"SPARSE",
    more: bytes = b"",
    capacity: int = 2048,
    directory: int = 5,
    footer: bytes = b"",
) -> bytes:
    head = struct.pack("<4sIIQQQQIQQQ", b"KDMV", 1, 3, capacity, 128, 1, 20, 512, 21, directory, 128)
    content = head.ljust(512, b"\0") + (DESCRIPTOR % (kind, extent, more)).ljust(20 * 512, b"\0")
    return content + footer


def vdi(kind: int = 1, size: int = GIB, blocks: int = 2, parent: bytes = bytes(16)) -> bytes:
    numbers = (0xBEDA107F, 0x10001, 0x190, kind, 0, b"", 0x200, 0x400, 0, 0, 0, 512, 0, size, 1 << 20, 0, 1024, blocks)
    head = bytes(64) + struct.pack("<IIIII256sIIIIIIIQIIII", *numbers) + bytes(32) + parent + bytes(16)
    return head.ljust(0x400 + 2 * (1 << 20), b"\0")


@pytest.mark.parametrize(
    ("content", "header"),
    [
        (qcow2(), Header("qcow2", GIB)),
        (qcow2(version=2), Header("qcow2", GIB)),
        (qcow2(extension=(0x6803F857, b"names of features")), Header("qcow2", GIB)),
        (qcow2(features=0b11001), Header("qcow2", GIB)),
        (vmdk(), Header("vmdk", 1 << 20)),
        (vmdk(b"streamOptimized"), Header("vmdk", 1 << 20)),
        (vdi(), Header("vdi", GIB)),
        (b"\xeb\x63\x90" + bytes(509), Header("raw", 512)),
        (b"json:{}".ljust(512), Header("raw", 512)),
    ],
)
def test_what_it_is(content: bytes, header: Header) -> None:
    assert inspect(content) == header


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (qcow2(backing=512), "backing-file"),
        (qcow2(crypt=1), "encrypted"),
        (qcow2(features=4), "data-file"),
        (qcow2(extension=(0x44415441, b"/etc/passwd")), "data-file"),
        (qcow2(extension=(0x0537BE77, bytes(16))), "encrypted"),
        (qcow2(features=2), "corrupt"),
        (qcow2(features=1 << 40), "format"),
        (qcow2(version=1), "format"),
        (qcow2(bits=63), "corrupt"),
        (qcow2()[:150000], "truncated"),
        (qcow2()[:90], "truncated"),
        (vmdk(b"monolithicFlat"), "extents"),
        (vmdk(extent=b"FLAT"), "extents"),
        (vmdk(more=b'\nRW 8 FLAT "/etc/passwd" 0'), "extents"),
        (vmdk(more=b'\nparentFileNameHint="x"'), "backing-file"),
        (vmdk(capacity=0), "extents"),
        (vmdk(directory=(1 << 64) - 1), "truncated"),
        (vmdk(directory=(1 << 64) - 1, footer=bytes(512) + vmdk(capacity=4096)[:512] + bytes(512)), "corrupt"),
        (b'# Disk DescriptorFile\nRW 1 FLAT "/etc/passwd" 0', "extents"),
        (vdi(kind=4), "backing-file"),
        (vdi(parent=b"1" * 16), "backing-file"),
        (vdi(blocks=3), "truncated"),
        (b"vhdxfile".ljust(4096, b"\0"), "truncated"),
        (b"vhdxfile".ljust(1 << 20, b"\0"), "corrupt"),
        (b"\x1f\x8b\x08", "unknown-format"),
        (b"conectix", "unknown-format"),
        (bytes(257) + b"ustar" + bytes(300), "unknown-format"),
    ],
)
def test_what_is_refused(content: bytes, why: str) -> None:
    assert reason(content) == why


def test_a_stream_whose_last_header_is_its_first_is_whole() -> None:
    plain = vmdk(b"streamOptimized", directory=(1 << 64) - 1)
    assert inspect(plain + bytes(512) + plain[:512] + bytes(512)).format == "vmdk"


def test_by_its_head_alone_nothing_is_cut_off() -> None:
    assert inspect(qcow2()[:150000], whole=False) == Header("qcow2", GIB)
    assert reason(qcow2(backing=512)[:150000], whole=False) == "backing-file"
    assert inspect(vdi()[:4096], whole=False) == Header("vdi", GIB)


def test_what_is_said_must_be_what_is_found() -> None:
    for told in ("auto", "qcow2"):
        image_format.agree(told, "qcow2")
    with pytest.raises(Refused, match="is said to be raw, and is qcow2"):
        image_format.agree("raw", "qcow2")


@pytest.mark.parametrize("make", [qcow2, vmdk, vdi])
@given(data=st.data())
def test_whatever_is_written_into_a_header_it_is_known_or_refused(
    make: Callable[[], bytes], data: st.DataObject
) -> None:
    content = bytearray(make())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, 1100))
        change = data.draw(st.binary(min_size=1, max_size=16))
        content[place : place + len(change)] = change
    length = data.draw(st.sampled_from([*range(0, 1200, 7), len(content)]))
    try:
        found = inspect(bytes(content[:length]))
    except Refused as err:
        assert err.reason and str(err)
    else:
        assert found.format in image_format.FORMATS
