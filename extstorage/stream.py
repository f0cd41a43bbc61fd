"""A disk that QEMU opens by a URI, to stdout or from stdin: the OS scripts `export` and `import` for gnt-backup.

There is no block device for it: access=userspace. `rbd:POOL/IMAGE`, and options as `:id=USER:conf=PATH`.
"""

from __future__ import annotations

import contextlib
import os
from ctypes import c_int, c_size_t, c_uint64

from extstorage import move_copy, provider, rbd_library, rbd_settings
from extstorage.copying import Copying
from extstorage.rbd_image import Image
from extstorage.rbd_pool import Pool
from ganeti_ext.errors import ContractError, ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STDIN, STDOUT = 0, 1
_OPTIONS = {"id": "user", "conf": "conf"}  # of the URI, and of rbd.conf


def main(_: str, env: Mapping[str, str]) -> None:
    """Read the disk EXPORT_DISK_URI, or write the disk IMPORT_DISK_URI."""
    source = env.get("EXPORT_DISK_URI")
    settings, name = _parse(source or env.get("IMPORT_DISK_URI", ""), provider.config_path(rbd_settings.NAME, env))
    try:
        with Pool(settings) as pool, Image(pool, name, write=not source) as image:
            if source:
                _export(move_copy.Rbd(image))
            else:
                _import(image, Copying(env.get("INSTANCE_NAME", ""), None, env.get("GANETI_EXT_SPOOL")))
    except OSError as err:  # who reads or writes the other end is gone
        raise ExtError(f"volume {name!r}: {err}") from err


@contextlib.contextmanager
def opened(uri: str, env: Mapping[str, str]) -> Iterator[move_copy.Rbd]:
    """The disk of such a URI, to be read and written."""
    settings, name = _parse(uri, provider.config_path(rbd_settings.NAME, env))
    with Pool(settings) as pool, Image(pool, name) as image:
        yield move_copy.Rbd(image)


def _parse(uri: str, path: str) -> tuple[rbd_settings.Settings, str]:
    driver, _, rest = uri.partition(":")
    place, *options = rest.split(":")
    pool, _, name = place.partition("/")
    pairs = [option.partition("=") for option in options]
    if driver != "rbd" or not name or any(key not in _OPTIONS for key, _, _ in pairs):
        raise ContractError(f"{uri!r} is no URI of a disk that this can read: rbd:POOL/IMAGE")
    return rbd_settings.load(path, {"pool": pool, **{_OPTIONS[key]: value for key, _, value in pairs}}), name


def _export(disk: move_copy.Rbd) -> None:
    for offset in range(0, disk.size, move_copy.CHUNK):
        left = memoryview(disk.read(offset, min(move_copy.CHUNK, disk.size - offset)))
        while left:
            left = left[os.write(STDOUT, left) :]


def _import(image: Image, told: Copying) -> None:
    """Fill the disk. What is zero takes no room, whatever was there."""
    disk = move_copy.Rbd(image)
    offset = 0
    for chunk in _chunks():
        if offset + len(chunk) > disk.size:
            raise ExtError(f"volume {image.name!r} has {disk.size} bytes, and there are more to import")
        if chunk.count(0) == len(chunk):
            where = (c_uint64(offset), c_size_t(len(chunk)), c_int(0), c_int(0))
            code = rbd_library.rbd().rbd_write_zeroes(image.handle, *where)
            rbd_library.checked(code, f"volume {image.name!r}, to write zeros to it")
        else:
            disk.write(offset, chunk)
        offset += len(chunk)
        told(offset, disk.size)
    disk.flush()


def _chunks() -> Iterator[bytes]:
    """Pieces of stdin, none shorter than a chunk but the last."""
    while True:
        pieces = []
        length = 0
        while length < move_copy.CHUNK and (piece := os.read(STDIN, move_copy.CHUNK - length)):
            pieces.append(piece)
            length += len(piece)
        if not pieces:
            return
        yield b"".join(pieces)
