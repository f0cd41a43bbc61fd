"""RBD images: made, cloned, grown, described, removed (rbd/librbd.h)."""

from __future__ import annotations

import errno
from ctypes import CFUNCTYPE, byref, c_bool, c_int, c_uint64, c_void_p

from extstorage.rbd_library import checked, rbd
from extstorage.size import MIB
from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from extstorage.rbd_pool import Pool

# layering, exclusive-lock, object-map, fast-diff, deep-flatten. Without object-map a removal asks for every object.
FEATURES = 1 | 4 | 8 | 16 | 32
OPTION_FEATURES = 1  # RBD_IMAGE_OPTION_FEATURES
OPTION_CLONE_FORMAT = 12
INFO = b"ganeti.info"


_SILENT = CFUNCTYPE(c_int, c_uint64, c_uint64, c_void_p)(lambda *_: 0)  # librbd calls it without asking for NULL


# cls_rbd's MAX_OBJECT_MAP_OBJECT_COUNT, of objects of 4 MiB each. Librbd calls more an invalid argument.
LONGEST = 256_000_000 * (4 << 20)


def fitting(name: str, size: int) -> int:
    """The size; ExtError when no image can have it."""
    if size > LONGEST:
        told = f"{size // MIB} MiB are more than the {LONGEST // MIB} of the longest RBD image"
        raise ExtError(f"volume {name!r}: {told}")
    return size


def create(pool: Pool, name: str, size: int) -> None:
    """An empty image of `size` bytes."""
    with _Options({OPTION_FEATURES: FEATURES}) as options:
        checked(rbd().rbd_create4(pool.io, name.encode(), c_uint64(size), options), f"volume {name!r}, to create it")


def clone(pool: Pool, source: str, snapshot: str, name: str) -> None:
    """An image with the content of another's snapshot. Format 2: the snapshot may be removed, its data stays."""
    with _Options({OPTION_FEATURES: FEATURES, OPTION_CLONE_FORMAT: 2}) as options:
        arguments = (pool.io, source.encode(), snapshot.encode(), pool.io, name.encode(), options)
        checked(rbd().rbd_clone3(*arguments), f"volume {name!r}, to clone it from {source}@{snapshot}")


def try_to_create(pool: Pool, name: str) -> None:
    """Raise what keeps images from being made at all: a clone in a full pool only says that something is not there."""
    create(pool, name, 0)
    remove(pool, name)


def remove(pool: Pool, name: str) -> None:
    """Success when there is none. One with clones goes to the trash, until the last of them goes."""
    checked(rbd().rbd_remove(pool.io, name.encode()), f"volume {name!r}, to remove it", {errno.ENOENT})


def rename(pool: Pool, name: str, new: str) -> None:
    checked(rbd().rbd_rename(pool.io, name.encode(), new.encode()), f"volume {name!r}, to call it {new!r}")


class Image:
    """An image that is open for the length of a `with` block. Read-only, it leaves no watch and takes no lock."""

    def __init__(self, pool: Pool, name: str, *, write: bool = True, by_id: bool = False) -> None:
        self.name = name
        self.handle = c_void_p()
        word = ("rbd_open_by_id" if by_id else "rbd_open") + ("" if write else "_read_only")
        opener = getattr(rbd(), word)
        checked(opener(pool.io, name.encode(), byref(self.handle), None), f"volume {name!r}")

    def __enter__(self) -> Image:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        rbd().rbd_close(self.handle)

    def size(self) -> int:
        """In bytes."""
        found = c_uint64()
        checked(rbd().rbd_get_size(self.handle, byref(found)), f"size of volume {self.name!r}")
        return found.value

    def grow(self, size: int) -> int:
        """Lengthen to `size` bytes; returns the size it had. A longer one is left."""
        found = self.size()
        if found < size:
            code = rbd().rbd_resize2(self.handle, c_uint64(size), c_bool(False), _SILENT, None)
            checked(code, f"volume {self.name!r}, to grow it to {size} bytes")
        return found

    def take(self, snapshot: str, *, again: bool = False) -> None:
        """A snapshot of this moment; who has the image open is asked to write out what it holds back.

        One of that name is left as it is; `again`: it was left by a dead call, and is made anew.
        """
        code = rbd().rbd_snap_create(self.handle, snapshot.encode())
        if code == -errno.EEXIST and again:
            self.drop(snapshot)
            code = rbd().rbd_snap_create(self.handle, snapshot.encode())
        expected = set() if again else {errno.EEXIST}
        checked(code, f"volume {self.name!r}, to make its snapshot {snapshot!r}", expected)

    def show(self, snapshot: str) -> None:
        """Have what is read be that of a snapshot, from now on."""
        code = rbd().rbd_snap_set(self.handle, snapshot.encode())
        checked(code, f"volume {self.name!r}, to read its snapshot {snapshot!r}")

    def drop(self, snapshot: str) -> None:
        """Remove a snapshot; success when there is none. One with clones is kept out of sight until the last goes."""
        code = rbd().rbd_snap_remove(self.handle, snapshot.encode())
        checked(code, f"volume {self.name!r}, to remove its snapshot {snapshot!r}", {errno.ENOENT})

    def describe(self, text: str) -> None:
        """Ganeti's text on a volume: `rbd image-meta get POOL/NAME ganeti.info`."""
        checked(rbd().rbd_metadata_set(self.handle, INFO, text.encode()), f"volume {self.name!r}, to describe it")

    def flatten(self) -> None:
        """Copy what it has of its parent; nothing to do for an image without one."""
        if (code := rbd().rbd_flatten(self.handle)) != -errno.EINVAL:
            checked(code, f"volume {self.name!r}, to flatten it")


class _Options:
    """Options of librbd for a new image."""

    def __init__(self, values: dict[int, int]) -> None:
        self._values = values
        self._options = c_void_p()

    def __enter__(self) -> c_void_p:
        rbd().rbd_image_options_create(byref(self._options))
        for option, value in self._values.items():
            code = rbd().rbd_image_options_set_uint64(self._options, option, c_uint64(value))
            checked(code, f"option {option} of librbd")
        return self._options

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        rbd().rbd_image_options_destroy(self._options)
