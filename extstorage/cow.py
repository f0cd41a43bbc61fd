"""The provider `cow`: volumes are raw files on a directory that all nodes share, clones are reflinks or subvolumes.

Each volume has a loop device. With EXTP_ACCESS=userspace QEMU may open the file itself, if cow.conf says so: Ganeti 3.0
takes such a URI, 3.1 refuses it.
"""

# Imports inside functions: `attach` is called ten times in one operation and must not pay for what others need.
# ruff: noqa: PLC0415

from __future__ import annotations

import os

from extstorage import attachment
from extstorage.layout import Settings, opened, required, volumes
from ganeti_ext import config
from ganeti_ext.errors import ContractError, ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ganeti_ext.volenv import Volume

NAME = "cow"


def load(path: str, params: Mapping[str, str]) -> Settings:
    """The parameter `pool` says in which of several directories the volume is."""
    settings = config.load(path, NAME, Settings).checked()
    return settings.of(params["pool"]) if params.get("pool") else settings


def create(settings: Settings, volume: Volume) -> None:
    from extstorage import copying, origin, volumefile
    from extstorage.size import octets

    size = octets(volume.size_mib, "VOL_SIZE")
    if truth(volume, "reuse_data"):
        from extstorage import holding

        with settings.hint(volume.name):
            volumefile.adopt(settings, volume.name, size)
            holding.refuse_all(settings, volume.name)
        return
    name = volume.params.get("origin")
    source = volumefile.origin(settings, origin.parse(name)) if name else None
    told = copying.Copying(copying.instance_of(volume.cname), volume.cname) if name else None
    volumefile.create(settings, volume.name, size, source, told=told)


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
            if settings.userspace and volume.params.get("access") == "userspace":
                return f"\nkvm:{required(settings, volume.name)}"
            return attachment.attach(held, backing)
        finally:
            os.close(backing)


def detach(settings: Settings, volume: Volume) -> None:
    """Free the loop and this node's part of the lock; a device that somebody keeps open keeps the lock too."""
    from extstorage import holding
    from extstorage.warning import warn

    _settle(settings)
    with settings.hint(volume.name) as held:
        if not attachment.detach_patiently(held):
            from extstorage import late

            late.note(settings, volume.name)
            warn(NAME, f"volume {volume.name!r} is still in use on this node, which therefore keeps its lock")
            return
        try:
            volumes(settings)
        except ExtError as err:
            warn(NAME, f"volume {volume.name!r} is detached, but a lock that this node may have on it remains: {err}")
            return
        holding.release(settings, volume.name)


def remove(settings: Settings, volume: Volume) -> None:
    from extstorage import holding, volumefile

    with settings.hint(volume.name) as held:
        volumes(settings)
        holding.refuse_others(settings, volume.name)
        attachment.detach_fully(held)
        volumefile.discard(settings, volume.name)
        holding.forget(settings, volume.name)


def grow(settings: Settings, volume: Volume) -> None:
    from extstorage import volumefile
    from extstorage.size import octets

    size = octets(volume.new_size_mib, "VOL_NEW_SIZE")
    with settings.hint(volume.name) as held:
        volumefile.grow(settings, volume.name, size)
        attachment.refresh(held)


def setinfo(settings: Settings, volume: Volume) -> None:
    from extstorage import volumefile

    volumefile.describe(settings, volume.name, volume.metadata or "")


def snapshot(settings: Settings, volume: Volume) -> None:
    from extstorage import volumefile

    if volume.snapshot is None:
        raise ContractError("VOL_SNAPSHOT_NAME is not set")
    volumefile.snapshot(settings, volume.name, volume.snapshot)


def open_(settings: Settings, volume: Volume) -> None:
    """Take the lock; only a migration does so on two nodes at once, and not exclusively."""
    from extstorage import holding

    any_late = _settle(settings)
    with settings.hint(volume.name):
        required(settings, volume.name)
        if any_late:
            from extstorage import late

            late.forget(settings, volume.name)
        holding.take(settings, volume.name, volume.exclusive)


def close(settings: Settings, volume: Volume) -> None:
    from extstorage import holding

    _settle(settings)
    with settings.hint(volume.name):
        volumes(settings)
        holding.release(settings, volume.name)


def verify(settings: Settings) -> None:
    """Ganeti does not call it yet; an administrator may, on any node: it clears away what crashes left, too."""
    from extstorage import cow_admin, volumefile

    volumefile.verify(settings)
    cow_admin.mend(settings)


def _settle(settings: Settings) -> bool:
    """Look after volumes that outlived their detach on this node; tell whether there were any."""
    if not os.path.isdir(settings.late()):
        return False
    from extstorage import late

    late.settle(settings)
    return True


def truth(volume: Volume, name: str) -> bool:
    """A parameter that is yes or no; not set means no."""
    text = volume.params.get(name) or "no"
    try:
        return config.boolean(text)
    except ValueError as err:
        raise ContractError(f"parameter {name} of volume {volume.name!r} has a bad value {text!r}: {err}") from err
