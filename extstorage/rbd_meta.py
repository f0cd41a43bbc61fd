"""Texts that an RBD image carries: `rbd image-meta`."""

from __future__ import annotations

import errno
from ctypes import byref, c_size_t, create_string_buffer

from extstorage.rbd_library import checked, rbd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.rbd_image import Image

_ROOM = 4096


def get(image: Image, key: str) -> str:
    """An empty text without one."""
    room = c_size_t(_ROOM)
    while True:
        found = create_string_buffer(room.value)
        code = rbd().rbd_metadata_get(image.handle, key.encode(), found, byref(room))
        if code != -errno.ERANGE:
            break
        room = c_size_t(2 * max(room.value, len(found)))
    checked(code, f"image {image.name!r}, to read its {key}", {errno.ENOENT})
    return found.value.decode(errors="replace") if code >= 0 else ""


def put(image: Image, key: str, text: str) -> None:
    what = f"image {image.name!r}, to write its {key}"
    if text:
        checked(rbd().rbd_metadata_set(image.handle, key.encode(), text.encode()), what)
    else:
        checked(rbd().rbd_metadata_remove(image.handle, key.encode()), what, {errno.ENOENT})
