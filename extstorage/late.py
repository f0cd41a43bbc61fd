"""Volumes that were still in use here when they were detached: their part of the lock is given up once they are not.

A guest may let go of a disk later than Ganeti waits for it (one that boots does not hear of it at all), and Ganeti
does not call the volume's verbs again. So `detach` leaves a note, and later verbs on this node, whatever their volume
(those of the other disks when the guest stops at the latest), look whether the loop has gone meanwhile.
"""

from __future__ import annotations

import contextlib
import os

from extstorage import attachment, holding
from extstorage.hint import names
from extstorage.layout import POOL, volumes
from extstorage.warning import warn
from ganeti_ext.errors import ExtError
from ganeti_ext.files import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.layout import Settings

BETWEEN = "="  # stands in no volume's name


def note(settings: Settings, name: str) -> None:
    """The volume is in use. Its hint is held."""
    while True:
        os.makedirs(settings.late(), 0o755, exist_ok=True)
        try:
            return replace(_path(settings, name), settings.directory)
        except FileNotFoundError:  # another verb took the empty folder away
            continue


def forget(settings: Settings, name: str) -> None:
    """This node has opened the volume anew. Its hint is held."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_path(settings, name))


def settle(settings: Settings) -> None:
    """Give up the locks of those that are in use no more. No volume's hint is held; a warning, where one cannot be."""
    for entry in names(settings.late()):
        pool, _, name = entry.rpartition(BETWEEN)
        try:
            _settle(_of(settings, pool, f"{settings.late()}/{entry}"), name)
        except FileNotFoundError:  # settled by another verb
            continue
        except (ExtError, OSError) as err:
            warn("cow", f"volume {name!r} is in use no more, but a lock that this node may have on it remains: {err}")
    with contextlib.suppress(OSError):
        os.rmdir(settings.late())


def _settle(settings: Settings, name: str) -> None:
    with settings.hint(name) as held:
        if not os.path.exists(_path(settings, name)) or attachment.bound(held):
            return
        volumes(settings)
        holding.release(settings, name)
        held.forget()
        forget(settings, name)


def _of(settings: Settings, pool: str, path: str) -> Settings:
    base = settings.run_directory.partition(POOL)[0]
    with open(path) as file:
        directory = file.read()
    return settings._replace(directory=directory, run_directory=f"{base}{POOL}{pool}" if pool else base)


def _path(settings: Settings, name: str) -> str:
    return f"{settings.late()}/{settings.run_directory.partition(POOL)[2]}{BETWEEN}{name}"
