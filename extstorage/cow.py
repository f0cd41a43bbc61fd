"""The provider `cow`: volumes are raw files on a directory that all nodes share, clones are reflinks.

EXTP_ACCESS does not matter: Ganeti 3.1 knows no userspace URI of a plain file, so each volume has a loop device.
"""

from __future__ import annotations

import os

from extstorage import attachment, hint, volumefile
from extstorage.layout import Settings, existing, opened, required
from extstorage.size import octets
from ganeti_ext import config
from ganeti_ext.errors import ContractError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ganeti_ext.volenv import Volume

NAME = "cow"


def load(path: str, _params: Mapping[str, str]) -> Settings:
    return config.load(path, NAME, Settings).checked()


def create(settings: Settings, volume: Volume) -> None:
    size = octets(volume.size_mib, "VOL_SIZE")
    name = volume.params.get("origin")
    volumefile.create(settings, volume.name, size, volumefile.origin(settings, name) if name else None)


def attach(settings: Settings, volume: Volume) -> str:
    """The path of the loop device; empty, and success, if the volume does not exist.

    Ganeti 3.1 takes an empty answer for "there is no such device": BlockdevRemove and BlockdevShutdown then have
    nothing to do, so that an instance which lost its volume can be stopped and removed. (An error would do for the
    former, which ignores it, not for the latter.) A start does not stop at this answer but at `open`, which follows at
    once in _RecursiveAssembleBD and names the missing file. A share that is not mounted is an error here too.
    """
    with settings.hint(volume.name) as held:
        backing = opened(settings, volume.name)
        if backing is None:
            attachment.detach(held)  # the loop would keep the blocks of the removed file
            return ""
        try:
            return attachment.attach(held, backing)
        finally:
            os.close(backing)


def detach(settings: Settings, volume: Volume) -> None:
    with settings.hint(volume.name) as held:
        attachment.detach(held)


def remove(settings: Settings, volume: Volume) -> None:
    with settings.hint(volume.name) as held:
        attachment.detach_fully(held)
        volumefile.discard(settings, volume.name)


def grow(settings: Settings, volume: Volume) -> None:
    size = octets(volume.new_size_mib, "VOL_NEW_SIZE")
    with settings.hint(volume.name) as held:
        volumefile.grow(settings, volume.name, size)
        attachment.refresh(held)


def setinfo(settings: Settings, volume: Volume) -> None:
    volumefile.describe(settings, volume.name, volume.metadata or "")


def snapshot(settings: Settings, volume: Volume) -> None:
    if volume.snapshot is None:
        raise ContractError("VOL_SNAPSHOT_NAME is not set")
    volumefile.snapshot(settings, volume.name, volume.snapshot)


def open_(settings: Settings, volume: Volume) -> None:
    """Nothing to do, whether exclusive or not: a migrating instance has its volume open on both nodes."""
    required(settings, volume.name)


def close(settings: Settings, volume: Volume) -> None:
    """Nothing to do."""
    settings.volume(volume.name)


def verify(settings: Settings) -> None:
    """Ganeti does not call it yet; an administrator may, on any node: it clears away what crashes left, too."""
    volumefile.verify(settings)
    volumefile.sweep(settings)
    for name in hint.names(settings.run_directory):
        with settings.hint(name) as held:
            if existing(settings, name) is None:
                attachment.detach(held)
