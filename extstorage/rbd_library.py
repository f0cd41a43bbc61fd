"""librados and librbd by their C interfaces (rados/librados.h, rbd/librbd.h).

Not the command rbd: it connects anew for each step, and most verbs have several; not python3-rbd: to import it takes
longer than to run the command. docs/rbd.md has the figures.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time

from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container

PACKAGES = {"librados.so.2": "librados2", "librbd.so.1": "librbd1"}
_loaded: dict[str, ctypes.CDLL] = {}
last = [0.0]  # when there was an answer of Ceph
questions: list[Callable[[], bool]] = []  # by which a connection finds out whether there still are


class CephError(ExtError):
    """Ceph refused; `number` is its errno."""

    def __init__(self, text: str, number: int) -> None:
        super().__init__(text)
        self.number = number


def rados() -> ctypes.CDLL:
    library = _library("librados.so.2")
    # Else ctypes takes their pointers for numbers of 32 bits.
    library.rados_create_read_op.restype = library.rados_create_write_op.restype = ctypes.c_void_p
    return library


# librbd's word for an exclusive lock that it lost, or did not get, while it was at work.
_WORDS = {errno.EROFS: "its exclusive lock is lost: Ceph does not answer, or another client took it"}


def rbd() -> ctypes.CDLL:
    return _library("librbd.so.1")


def heard() -> None:
    """Note that there was an answer of Ceph."""
    last[0] = time.monotonic()


def checked(code: int, what: str, expected: Container[int] = ()) -> int:
    """The result of a call; CephError saying what was tried when it is an error that is not `expected` (errnos)."""
    heard()
    if code >= 0 or -code in expected:
        return code
    raise CephError(f"{what}: {_WORDS.get(-code) or os.strerror(-code)}", -code)


def _library(name: str) -> ctypes.CDLL:
    if name not in _loaded:
        try:
            _loaded[name] = ctypes.CDLL(name)
        except OSError as err:
            raise ExtError(f"{name}: {err}; is the package {PACKAGES[name]} installed?") from err
    return _loaded[name]
