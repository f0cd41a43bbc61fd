"""Who descends from whom: snapshots, parents and children of RBD images."""

from __future__ import annotations

import errno
from ctypes import CFUNCTYPE, Structure, byref, c_bool, c_char_p, c_int, c_int64, c_size_t, c_uint8, c_uint64, c_void_p

from extstorage.rbd_image import Image
from extstorage.rbd_library import CephError, checked, rbd
from ganeti_ext.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.rbd_pool import Pool

_USER = 0  # RBD_SNAP_NAMESPACE_TYPE_USER; those that were removed and still have clones are in another


class Snapshot(NamedTuple):
    """A snapshot of RBD; one that is not visible was removed, and waits for the last of its clones."""

    name: str
    visible: bool


class Parent(NamedTuple):
    """The image that another was cloned from; `trash`: it was removed since, and waits for the last of its clones."""

    id: str
    name: str
    trash: bool


class _Snapshot(Structure):
    """rbd_snap_info_t."""

    _fields_ = (("id", c_uint64), ("size", c_uint64), ("name", c_char_p))


class _Linked(Structure):
    """rbd_linked_image_spec_t."""

    _fields_ = (
        ("pool_id", c_int64),
        ("pool_name", c_char_p),
        ("pool_namespace", c_char_p),
        ("image_id", c_char_p),
        ("image_name", c_char_p),
        ("trash", c_bool),
    )


class _Spec(Structure):
    """rbd_snap_spec_t."""

    _fields_ = (("id", c_uint64), ("namespace_type", c_int), ("name", c_char_p))


class _Named(Structure):
    """rbd_image_spec_t."""

    _fields_ = (("id", c_char_p), ("name", c_char_p))


class _Time(Structure):
    """struct timespec."""

    _fields_ = (("seconds", c_int64), ("nanoseconds", c_int64))


_Extent = CFUNCTYPE(c_int, c_uint64, c_size_t, c_int, c_void_p)


def images(pool: Pool) -> list[str]:
    """Names of all RBD images of a pool."""
    count = c_size_t(64)
    while True:
        found = (_Named * count.value)()
        code = rbd().rbd_list2(pool.io, found, byref(count))
        if checked(code, f"images of pool {pool.name!r}", {errno.ERANGE}) >= 0:
            break
    result = [one.name.decode() for one in found[: count.value]]
    rbd().rbd_image_spec_list_cleanup(found, count)
    return sorted(result)


def usage(image: Image, size: int) -> tuple[int, int]:
    """Bytes, in whole objects: what its data would take alone, and what it does not share with a parent."""
    return _extents(image, size, parents=True), _extents(image, size, parents=False)


def created(image: Image) -> float:
    """Seconds since the epoch."""
    found = _Time()
    checked(rbd().rbd_get_create_timestamp(image.handle, byref(found)), f"age of {image.name!r}")
    return float(found.seconds) + float(found.nanoseconds) / 1e9


def snapshots(image: Image) -> list[Snapshot]:
    count = c_int(16)
    while True:
        found = (_Snapshot * count.value)()
        code = rbd().rbd_snap_list(image.handle, found, byref(count))
        if checked(code, f"snapshots of {image.name!r}", {errno.ERANGE}) >= 0:
            break
    result = [Snapshot(one.name.decode(), _namespace(image, one.id) == _USER) for one in found[:code]]
    rbd().rbd_snap_list_end(found)
    return result


def parent(image: Image) -> Parent | None:
    """None for an image whose data is all its own."""
    linked, spec = _Linked(), _Spec()
    code = rbd().rbd_get_parent(image.handle, byref(linked), byref(spec))
    if checked(code, f"parent of {image.name!r}", {errno.ENOENT}) < 0:
        return None
    result = _parent(linked)
    rbd().rbd_linked_image_spec_cleanup(byref(linked))
    rbd().rbd_snap_spec_cleanup(byref(spec))
    return result


def ancestor(pool: Pool, image: Image) -> str | None:
    """The nearest image that it descends from and that has not been removed."""
    found = parent(image)
    if found is None or not found.trash:
        return found and found.name
    try:
        with Image(pool, found.id, write=False, by_id=True) as removed:
            return ancestor(pool, removed)
    except CephError as err:
        if err.number != errno.ENOENT:
            raise
        return None  # it has just gone with the last of its clones, or is another pool's


def depth(pool: Pool, image: Image) -> int:
    """How many clones it is away from data of its own."""
    found = parent(image)
    if found is None:
        return 0
    with Image(pool, found.id, write=False, by_id=True) as above:
        return 1 + depth(pool, above)


def children(image: Image) -> list[str]:
    """Names of the images that were cloned from any of its snapshots and still need it."""
    count = c_size_t(16)
    while True:
        found = (_Linked * count.value)()
        code = rbd().rbd_list_children3(image.handle, found, byref(count))
        if checked(code, f"clones of {image.name!r}", {errno.ERANGE}) >= 0:
            break
    result = [_parent(one).name for one in found[: count.value]]
    rbd().rbd_linked_image_spec_list_cleanup(found, count)
    return result


def _parent(linked: _Linked) -> Parent:
    return Parent(linked.image_id.decode(), linked.image_name.decode(), bool(linked.trash))


def _extents(image: Image, size: int, *, parents: bool) -> int:
    total = 0

    def add(_: int, length: int, exists: int, __: object) -> int:
        nonlocal total
        total += length if exists else 0
        return 0

    arguments = (None, c_uint64(0), c_uint64(size), c_uint8(parents), c_uint8(1), _Extent(add), None)
    checked(rbd().rbd_diff_iterate2(image.handle, *arguments), f"usage of {image.name!r}")
    return total


def _namespace(image: Image, identity: int) -> int:
    found = c_int()
    code = rbd().rbd_snap_get_namespace_type(image.handle, c_uint64(identity), byref(found))
    checked(code, f"a snapshot of {image.name!r}")
    return found.value
