"""The OS script `create`: writes a server's seed to the disk that is there for it (man ganeti-os-interface).

The file system is followed by the seed itself, which a later change of it starts from. The disk is the guest's to write
(Ganeti has no read-only ones for KVM), so whoever reads it here takes nothing for granted.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib

from extstorage import fat, seedtext, stream
from ganeti_ext import seed
from ganeti_ext.errors import ContractError, ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, Protocol

    class Disk(Protocol):
        """A device or an RBD image (move_copy.py)."""

        size: int

        def read(self, offset: int, length: int) -> bytes: ...

        def write(self, offset: int, data: bytes) -> None: ...

        def flush(self) -> None: ...


_MAGIC = b"ganeti-ext seed\n"
_HEAD = struct.Struct(f"<{len(_MAGIC)}sII")  # its length and CRC-32 follow
_RECORD = fat.SIZE  # where it stands
_LONGEST = 512 << 10


def main(_: str, env: Mapping[str, str]) -> None:
    """Write the seed OSP_SEED, or change what is there by OSP_UPDATE; with neither there is nothing to do."""
    given, update = env.get("OSP_SEED", ""), env.get("OSP_UPDATE", "")
    if not given and not update:
        return
    with _disk(env) as disk:
        try:
            wanted = seed.decode(given) if given else _kept(disk)
            if update:
                wanted = {**wanted, **seed.unseal(wanted["key"], update)}
            missing = sorted(set(seed.FIELDS) - set(wanted))
            if missing:
                raise ValueError(f"no seed: {', '.join(missing)} missing")
            content = fat.image(seedtext.LABEL, seedtext.files(wanted, nics(env)))
            packed = seed.encode(wanted).encode()
        except ValueError as err:  # its words have nothing of the content
            raise ExtError(f"the seed of {env.get('INSTANCE_NAME', '?')} cannot be written: {err}") from err
        _write(disk, content, packed)


def nics(env: Mapping[str, str]) -> list[seedtext.Nic]:
    """The NICs as the script is told of them."""
    count = int(env.get("NIC_COUNT", "0"))
    return [seedtext.Nic(env[f"NIC_{number}_MAC"], bool(env.get(f"NIC_{number}_IP"))) for number in range(count)]


def _write(disk: Disk, content: bytes, packed: bytes) -> None:
    """All of it, so that nothing of an older seed stays."""
    record = _HEAD.pack(_MAGIC, len(packed), zlib.crc32(packed)) + packed
    if _RECORD + len(record) > disk.size:
        raise ExtError(f"the disk for the seed has {disk.size} bytes, which are too few")
    disk.write(0, content.ljust(fat.SIZE, b"\0") + record.ljust(disk.size - _RECORD, b"\0"))
    disk.flush()


def _kept(disk: Disk) -> dict[str, Any]:
    """The seed that the disk has; ValueError when there is none."""
    if disk.size >= _RECORD + _HEAD.size:
        magic, length, crc = _HEAD.unpack(disk.read(_RECORD, _HEAD.size))
        if magic == _MAGIC and length <= min(_LONGEST, disk.size - _RECORD - _HEAD.size):
            packed = disk.read(_RECORD + _HEAD.size, length)
            if zlib.crc32(packed) == crc:
                return seed.decode(packed.decode("ascii"))
    raise ValueError("the disk has none that could be changed")


class _Device:
    """A block device or a file, for the length of a `with` block."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.size = os.lseek(self._fd, 0, os.SEEK_END)

    def __enter__(self) -> _Device:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def write(self, offset: int, data: bytes) -> None:
        left = memoryview(data)
        while left:
            count = os.pwrite(self._fd, left, offset)
            left, offset = left[count:], offset + count

    def flush(self) -> None:
        os.fsync(self._fd)


@contextlib.contextmanager
def _disk(env: Mapping[str, str]) -> Iterator[Disk]:
    """The disk whose name says that it is the seed's."""
    for number in range(int(env.get("DISK_COUNT", "0"))):
        if env.get(f"DISK_{number}_NAME", "").endswith(seed.DISK):
            path, uri = env.get(f"DISK_{number}_PATH", ""), env.get(f"DISK_{number}_URI", "")
            with _Device(path) if path.startswith("/") else stream.opened(uri, env) as found:
                yield found
            return
    raise ContractError(f"no disk has a name that ends in {seed.DISK}: there is nothing to write the seed to")
