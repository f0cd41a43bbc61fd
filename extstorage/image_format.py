"""What a file is that is said to be a disk: its format, and how large its disk is, by its first octets.

Only what names no other file is let through. Nothing here trusts a length or an offset that the file tells. Formats:
docs/interop/qcow2.rst, block/vdi.c, block/vmdk.c and block/vhdx.h of QEMU, and VMware's Virtual Disk Format 5.0.
"""

from __future__ import annotations

import re
from array import array
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from extstorage.image_error import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Read = Callable[[int, int], bytes]
    """Octets from an offset on, as many as are asked for, or fewer where the file ends."""

RAW = "raw"
FORMATS = (RAW, "qcow2", "vmdk", "vdi", "vhdx")
HEAD = 1 << 20  # octets by which a file is known; all that is looked at before the whole is there lies within

_QCOW2 = Struct(">4sIQIIQIIQQIIQ")
_QCOW2_MORE = Struct(">QQQII")  # version 3: incompatible, compatible and autoclear features, order, header length
_EXTENSION = Struct(">II")
_DATA_FILE, _LUKS = 0x44415441, 0x0537BE77
_DAMAGED, _EXTERNAL, _KNOWN_FEATURES = 2, 4, 0b11011
_VMDK = Struct("<4sIIQQQQIQQQ")  # SparseExtentHeader
_GD_AT_END = (1 << 64) - 1
_SECTOR = 512
_EXTENT = re.compile(rb"^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\w+)", re.MULTILINE)
_VDI_MAGIC, _VDI_AT = b"\x7f\x10\xda\xbe", 0x40
_VDI = Struct("<4sIIII256sIIIIIIIQIIII16s16s16s16s")
_VHDX_REGIONS = 192 << 10
_VHDX_BLOCKS = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08").bytes_le
_VHDX_METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
_VHDX_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
_VHDX_LONGEST = 64 << 20  # octets of a table: enough for 64 TiB in blocks of 8 MiB
_VHDX_PRESENT = (6, 7)
# What would be taken for a raw disk, and is none that boots.
_OTHERS = {
    b"COWD": "a VMDK of ESX",
    b"conectix": "a VHD",
    b"QED\0": "QED",
    b"WithoutFreeSpace": "Parallels",
    b"WithouFreSpacExt": "Parallels",
    b"\x1f\x8b": "compressed by gzip",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ\0": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
}


class Header(NamedTuple):
    """What the first octets say; `size`, in octets, is None where they do not tell it."""

    format: str
    size: int | None


def inspect(read: Read, length: int | None) -> Header:
    """What a file is. `length` is None while only its head is there. Refused for what is not to be opened at all."""
    head = read(0, 4096)
    if not head:
        raise Refused("empty", "the image is empty")
    for name, (offset, magic) in _MAGIC.items():
        if head[offset : offset + len(magic)] == magic:
            return Header(name, _READERS[name](read, length))
    for magic, words in _OTHERS.items():
        if head.startswith(magic):
            raise Refused("unknown-format", f"the image is {words}: bring one of {', '.join(FORMATS)}")
    if head[257:262] == b"ustar":
        raise Refused("unknown-format", f"the image is an archive (tar, OVA): bring one of {', '.join(FORMATS)}")
    if head.lstrip().startswith(b"# Disk DescriptorFile"):
        raise Refused("extents", "the image is a VMDK descriptor, which names other files: bring a monolithic one")
    return Header(RAW, length)


def agree(told: str, found: str) -> None:
    """Refused when a file is not what it is said to be."""
    if told not in ("auto", found):
        raise Refused("format", f"the image is said to be {told}, and is {found}")


def _qcow2(read: Read, length: int | None) -> int:
    head = _full(read, 0, _QCOW2.size)
    _, version, backing, backing_length, bits, size, crypt, entries, table, counts, clusters, _, _ = _QCOW2.unpack(head)
    if version not in (2, 3):
        raise Refused("format", f"the image is qcow version {version}: bring version 2 or 3")
    if backing or backing_length:
        raise Refused("backing-file", "the image has a backing file: flatten it (qemu-img convert)")
    if crypt:
        raise Refused("encrypted", "the image is encrypted")
    if not 9 <= bits <= 21:
        raise Refused("corrupt", f"the image's clusters have 2^{bits} octets, which no qcow2 has")
    header = _QCOW2.size
    if version == 3:
        features, _, _, _, header = _QCOW2_MORE.unpack(_full(read, _QCOW2.size, _QCOW2_MORE.size))
        _check_features(features)
    _check_extensions(read, header, 1 << bits)
    if length is not None and max(table + 8 * entries, counts + (clusters << bits)) > length:
        raise Refused("truncated", "the image is cut off: its tables lie behind its end")
    return int(size)


def _check_features(features: int) -> None:
    if features & _EXTERNAL:
        raise Refused("data-file", "the image keeps its data in another file")
    if features & _DAMAGED:
        raise Refused("corrupt", "the image is marked as damaged")
    if features & ~(_KNOWN_FEATURES | _EXTERNAL | _DAMAGED):
        raise Refused("format", f"the image has unknown features: {features:#x}")


def _check_extensions(read: Read, offset: int, end: int) -> None:
    while offset + _EXTENSION.size <= end:
        kind, length = _EXTENSION.unpack(_full(read, offset, _EXTENSION.size))
        if kind == 0:
            return
        if kind == _DATA_FILE:
            raise Refused("data-file", "the image keeps its data in another file")
        if kind == _LUKS:
            raise Refused("encrypted", "the image is encrypted")
        offset += _EXTENSION.size + -(-length // 8) * 8


def _vmdk(read: Read, length: int | None) -> int:
    capacity, place, count, directory = _vmdk_header(read, 0)
    if directory == _GD_AT_END and length is not None:
        # Of a streamed one the last words count, and they must be the first ones: marker, header, end of stream.
        footer = length - 2 * _SECTOR
        if footer < 0 or read(footer, 4) != b"KDMV":
            raise Refused("truncated", "the image is cut off: the end of its stream is missing")
        if _vmdk_header(read, footer)[:3] != (capacity, place, count):
            raise Refused("corrupt", "the image's last header is not its first")
    if not place or not count:
        raise Refused("extents", "the image is a part of a VMDK: bring a monolithic one")
    _check_descriptor(read(place * _SECTOR, min(count, 128) * _SECTOR).partition(b"\0")[0])
    return capacity * _SECTOR


def _vmdk_header(read: Read, offset: int) -> tuple[int, int, int, int]:
    """Sectors of the disk, where the descriptor is and how long, where the grain directory."""
    head = _VMDK.unpack(_full(read, offset, _VMDK.size))
    if not head[3]:  # then QEMU would go by the extents that the descriptor names
        raise Refused("extents", "the image is a VMDK that keeps its data in other files")
    return head[3], head[5], head[6], head[9]


def _check_descriptor(text: bytes) -> None:
    kind = re.search(rb'createType\s*=\s*"(\w*)"', text)
    if not kind or kind[1] not in (b"monolithicSparse", b"streamOptimized"):
        told = kind[1].decode(errors="replace") if kind else "of no type"
        raise Refused("extents", f"the image is a VMDK {told}: bring monolithicSparse or streamOptimized")
    parent = re.search(rb"parentCID\s*=\s*(\w+)", text)
    if b"parentFileNameHint" in text or (parent and parent[1].lower() != b"ffffffff"):
        raise Refused("backing-file", "the image has a parent")
    if [one.upper() for one in _EXTENT.findall(text)] != [b"SPARSE"]:
        raise Refused("extents", "the image is a VMDK that keeps its data in other files")


def _vdi(read: Read, length: int | None) -> int:
    found = _VDI.unpack(_full(read, _VDI_AT, _VDI.size))
    kind, place, data = found[3], found[6], found[7]
    size, block, extra, _, allocated = found[13:18]
    if kind not in (1, 2) or any(any(one) for one in found[20:22]):
        raise Refused("backing-file", "the image is a difference to another one")
    if length is not None and (data + allocated * (block + extra) > length or place > length):
        raise Refused("truncated", "the image is cut off: its blocks lie behind its end")
    return int(size)


def _vhdx(read: Read, length: int | None) -> None:
    """Its size is for QEMU to tell, which opens no VHDX with a parent; but it takes what is cut off for zeros."""
    if length is None:
        return
    regions = dict(_vhdx_table(read, _VHDX_REGIONS, b"regi", 8))
    places = [Struct("<QI").unpack_from(regions.get(name, bytes(12))) for name in (_VHDX_BLOCKS, _VHDX_METADATA)]
    (table, size), (metadata, _) = places
    items = dict(_vhdx_table(read, metadata, b"metadata", 10))
    offset, _ = Struct("<II").unpack_from(items.get(_VHDX_PARAMETERS, bytes(8)))
    (block,) = Struct("<I").unpack(_full(read, metadata + offset, 4))
    if not table or not metadata or not block or size > _VHDX_LONGEST:
        raise Refused("corrupt", "the image's tables are not those of a VHDX")
    entries = array("Q", _full(read, table, size // 8 * 8))
    ends = [(entry >> 20 << 20) + block for entry in entries if entry & 7 in _VHDX_PRESENT]
    if max(ends, default=0) > length:
        raise Refused("truncated", "the image is cut off: its blocks lie behind its end")


def _vhdx_table(read: Read, offset: int, magic: bytes, count_at: int) -> Iterator[tuple[bytes, bytes]]:
    """Identities and content of the entries of a table."""
    head = _full(read, offset, 32)
    if not head.startswith(magic):
        raise Refused("corrupt", "the image's tables are not those of a VHDX")
    start = 16 if magic == b"regi" else 32
    count = min(int.from_bytes(head[count_at : count_at + 2], "little"), 2047)
    for number in range(count):
        entry = _full(read, offset + start + 32 * number, 32)
        yield entry[:16], entry[16:]


_MAGIC: Mapping[str, tuple[int, bytes]] = {
    "qcow2": (0, b"QFI\xfb"),
    "vmdk": (0, b"KDMV"),
    "vdi": (_VDI_AT, _VDI_MAGIC),
    "vhdx": (0, b"vhdxfile"),
}
_READERS: Mapping[str, Callable[[Read, int | None], int | None]] = {
    "qcow2": _qcow2,
    "vmdk": _vmdk,
    "vdi": _vdi,
    "vhdx": _vhdx,
}


def _full(read: Read, offset: int, count: int) -> bytes:
    found = read(offset, count)
    if len(found) != count:
        raise Refused("truncated", "the image is cut off within its header")
    return found
