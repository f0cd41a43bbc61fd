"""The provider `cow`: what each verb of man ganeti-extstorage-interface does.

EXTP_ACCESS does not matter: Ganeti 3.1 knows no userspace URI of a plain file, so each volume has a loop device.
"""

from __future__ import annotations

import os

from extstorage import attachment, cow, hint
from extstorage.layout import Settings, existing, opened, required
from ganeti_ext import config
from ganeti_ext.errors import ContractError, ExtError
from ganeti_ext.volenv import Volume

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Verb = Callable[[Settings, Volume], str | None]

CONFIG_DIRECTORY = "/etc/ganeti-ext"


def create(settings: Settings, volume: Volume) -> None:
    if volume.size_mib is None:
        raise ContractError("VOL_SIZE is not set")
    name = volume.params.get("origin")
    source = cow.origin(settings, name) if name else None
    cow.create(settings, volume.name, volume.size_mib * cow.MIB, source)


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
        cow.discard(settings, volume.name)


def grow(settings: Settings, volume: Volume) -> None:
    if volume.new_size_mib is None:
        raise ContractError("VOL_NEW_SIZE is not set")
    with settings.hint(volume.name) as held:
        cow.grow(settings, volume.name, volume.new_size_mib * cow.MIB)
        attachment.refresh(held)


def setinfo(settings: Settings, volume: Volume) -> None:
    cow.describe(settings, volume.name, volume.metadata or "")


def verify(settings: Settings) -> None:
    """Ganeti does not call it yet; an administrator may, on any node: it clears away what crashes left, too."""
    cow.verify(settings)
    cow.sweep(settings)
    for name in hint.names(settings.run_directory):
        with settings.hint(name) as held:
            if existing(settings, name) is None:
                attachment.detach(held)


def snapshot(settings: Settings, volume: Volume) -> None:
    if volume.snapshot is None:
        raise ContractError("VOL_SNAPSHOT_NAME is not set")
    cow.snapshot(settings, volume.name, volume.snapshot)


def open_(settings: Settings, volume: Volume) -> None:
    """Nothing to do, whether exclusive or not: a migrating instance has its volume open on both nodes."""
    required(settings, volume.name)


def close(settings: Settings, volume: Volume) -> None:
    """Nothing to do."""
    settings.volume(volume.name)


VERBS: Mapping[str, Verb] = {
    "create": create,
    "attach": attach,
    "detach": detach,
    "remove": remove,
    "grow": grow,
    "setinfo": setinfo,
    "snapshot": snapshot,
    "open": open_,
    "close": close,
}


def main(verb: str, env: Mapping[str, str]) -> str | None:
    """Carry out one verb; what it returns is for stdout."""
    os.umask(0o022)  # noded's would hide /run/ganeti-ext from the daemons that are not root
    path = os.path.join(env.get("GANETI_EXT_CONFIG_DIR", CONFIG_DIRECTORY), "cow.conf")
    settings = config.load(path, "cow", Settings).checked()
    try:
        if verb == "verify":
            verify(settings)
            return None
        if verb not in VERBS:
            raise ContractError(f"unknown verb; known: {', '.join(VERBS)}, verify")
        return VERBS[verb](settings, Volume.from_env(env))
    except OSError as err:  # a full disk, a dead server: not a bug
        raise ExtError(f"volume {env.get('VOL_NAME')!r}: {err}") from err
