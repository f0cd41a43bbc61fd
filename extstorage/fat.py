"""A FAT16 file system with a few files, as bytes (Microsoft, "FAT: General Overview of On-Disk Format", 1.03).

Every guest reads it, and it can be written on a node that has no tools for file systems. Pure.
"""

from __future__ import annotations

import struct
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SECTOR = 512  # bytes; a cluster is as long
SIZE = 3 << 20  # bytes: with fewer than 4085 clusters it would be FAT12

_SECTORS = SIZE // SECTOR
_ROOT_ENTRIES = 512
_ROOT = _ROOT_ENTRIES * 32 // SECTOR  # sectors
_TABLE = -(-(_SECTORS - 1 - _ROOT + 2) * 2 // SECTOR)  # sectors of one of the two tables
_DATA = 1 + 2 * _TABLE + _ROOT  # the sector of cluster 2
_LAST = 0xFFFF
_MEDIA = 0xF8
_LABEL, _LONG_NAME, _FILE = 0x08, 0x0F, 0x21  # attributes; a file is read-only and to be archived
_DAY = (0 << 9) | (1 << 5) | 1  # 1980-01-01: FAT knows no earlier day, and the same files make the same bytes


def image(label: str, files: Mapping[str, bytes]) -> bytes:
    """The file system up to its last used cluster; what follows is free, whatever stands there.

    ValueError when the files have no room, or a label no 11 characters.
    """
    table = [0xFF00 | _MEDIA, _LAST]
    data = bytearray()
    root = bytearray(_entry(_short(label, ""), _LABEL, 0, 0))
    for number, (name, content) in enumerate(files.items()):
        first = len(table) if content else 0
        clusters = -(-len(content) // SECTOR)
        if clusters:
            table += [*range(first + 1, first + clusters), _LAST]
        data += content.ljust(clusters * SECTOR, b"\0")
        short = _short(f"FILE~{number}", "")
        for piece in _long_name(name, short):
            root += piece
        root += _entry(short, _FILE, first, len(content))
    if _DATA * SECTOR + len(data) > SIZE or len(root) > _ROOT * SECTOR:
        raise ValueError(f"{len(data)} bytes in {len(files)} files have no room")
    allocated = struct.pack(f"<{len(table)}H", *table).ljust(_TABLE * SECTOR, b"\0")
    rest = allocated * 2 + bytes(root).ljust(_ROOT * SECTOR, b"\0") + bytes(data)
    return _boot(label, zlib.crc32(rest)) + rest


def _boot(label: str, serial: int) -> bytes:
    """The first sector: BIOS parameter block and its extension."""
    block = struct.pack(
        "<3s8sHBHBHHBHHHIIBBBI11s8s",
        *(b"\xeb\x3c\x90", b"MSDOS5.0", SECTOR, 1, 1, 2, _ROOT_ENTRIES, _SECTORS, _MEDIA, _TABLE),
        *(32, 2, 0, 0),  # sectors a track, heads, hidden sectors, sectors if more than 65535
        *(0x80, 0, 0x29, serial, _short(label, ""), b"FAT16   "),
    )
    return block.ljust(SECTOR - 2, b"\0") + b"\x55\xaa"


def _entry(short: bytes, attribute: int, cluster: int, size: int) -> bytes:
    return struct.pack("<11sBBBHHHHHHHI", short, attribute, 0, 0, 0, _DAY, _DAY, 0, 0, _DAY, cluster, size)


def _short(stem: str, ending: str) -> bytes:
    """A name of 8 and 3 characters; a label is one of 11."""
    found = stem.encode("ascii") if len(stem) > 8 else stem.encode("ascii").ljust(8) + ending.encode("ascii").ljust(3)
    if len(found) > 11:
        raise ValueError(f"{stem!r} is too long for FAT")
    return found.ljust(11)


def _long_name(name: str, short: bytes) -> Iterator[bytes]:
    """The entries before a file's own: its name in pieces of 13 characters, the last piece first."""
    checksum = 0
    for octet in short:
        checksum = ((checksum >> 1) + ((checksum & 1) << 7) + octet) & 0xFF
    raw = name.encode("utf-16-le")
    count = -(-len(raw) // 26)
    if len(raw) % 26:
        raw = (raw + b"\0\0").ljust(count * 26, b"\xff")
    for number in range(count, 0, -1):
        piece = raw[(number - 1) * 26 : number * 26]
        order = number | (0x40 if number == count else 0)
        yield struct.pack("<B10sBBB12sH4s", order, piece[:10], _LONG_NAME, 0, checksum, piece[10:22], 0, piece[22:])
