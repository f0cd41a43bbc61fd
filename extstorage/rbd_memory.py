"""This node's memory of which volumes exist: files in /run, believed while they are young.

Ganeti calls `attach` several times in each operation. Nothing comes to harm when a memory is wrong for these seconds:
`open`, `grow` and `remove` ask Ceph.
"""

from __future__ import annotations

import os
import time

from ganeti_ext import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.rbd_settings import Settings


def exists(settings: Settings, name: str) -> bool:
    """Whether it was seen lately."""
    try:
        age = time.time() - os.stat(_path(settings, name)).st_mtime
    except FileNotFoundError:
        return False
    return 0 <= age < settings.remember


def note(settings: Settings, name: str) -> None:
    path = _path(settings, name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, flags, 0o644)
    os.utime(fd)
    os.close(fd)


def forget(settings: Settings, name: str) -> None:
    files.remove(_path(settings, name))


def _path(settings: Settings, name: str) -> str:
    return f"{settings.run_directory}/{settings.pool}/{name}"
