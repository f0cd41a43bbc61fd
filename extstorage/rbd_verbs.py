"""The verbs of the provider `rbd` that always ask Ceph."""

from __future__ import annotations

from extstorage import (
    origin,
    rbd_device,
    rbd_holding,
    rbd_image,
    rbd_making,
    rbd_memory,
    rbd_origin,
    rbd_removal,
    rbd_settings,
    rbd_uri,
    rbd_volume,
)
from extstorage.found import SNAPSHOT
from extstorage.rbd_image import Image
from extstorage.rbd_pool import LastPool
from extstorage.rbd_record import Record
from extstorage.rbd_settings import volume_name
from extstorage.size import MIB, octets
from extstorage.warning import warn
from ganeti_ext.config import boolean
from ganeti_ext.errors import ContractError, ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.rbd_pool import Pool
    from extstorage.rbd_settings import Settings
    from ganeti_ext.volenv import Volume


def create(settings: Settings, volume: Volume) -> None:
    """Make a volume. An existing one is an error, for Ganeti never repeats a name, unless reuse_data wants just it."""
    name = volume_name(volume.name)
    size = rbd_image.fitting(name, octets(volume.size_mib, "VOL_SIZE"))
    source = volume.params.get("origin")
    if volume.params.get("access") == "userspace":
        rbd_uri.uri(settings, name)  # better an error here than a volume that nobody can attach
    with LastPool(settings) as pool:
        if _reused(pool, name, size, volume):
            return

        def fill() -> Record:
            if source:
                return rbd_origin.fill(pool, origin.parse(source), name, size)
            rbd_image.create(pool, name, size)
            return Record()

        if not rbd_making.make(pool, name, "create", fill):
            raise ExtError(f"volume {name!r} exists already in pool {pool.name}; to take it as it is: reuse_data=True")
    rbd_memory.note(settings, name)


def detach(settings: Settings, volume: Volume) -> None:
    rbd_device.detach(settings, volume_name(volume.name))
    close(settings, volume)


def remove(settings: Settings, volume: Volume) -> None:
    """Refuses while a client that lives has it open. With clones its data stays until the last of them goes."""
    name = volume_name(volume.name)
    rbd_device.detach(settings, name)
    rbd_memory.forget(settings, name)
    with LastPool(settings) as pool:
        rbd_volume.discard(pool, name, lambda: rbd_removal.remove(pool, name))


def grow(settings: Settings, volume: Volume) -> None:
    """A running QEMU hears of it from librbd; its guest by block_resize, which Ganeti sends from 3.1 on."""
    name = volume_name(volume.name)
    size = rbd_image.fitting(name, octets(volume.new_size_mib, "VOL_NEW_SIZE"))
    with LastPool(settings) as pool:
        rbd_volume.required(pool, name)
        with Image(pool, name) as image:
            found = image.grow(size)
    if found > size:
        warn(rbd_settings.NAME, f"volume {name!r} has {found // MIB} MiB already, it is not cut to {size // MIB}")


def setinfo(settings: Settings, volume: Volume) -> None:
    name = volume_name(volume.name)
    with LastPool(settings) as pool:
        rbd_volume.required(pool, name)
        with Image(pool, name) as image:
            image.describe(volume.metadata or "")


def snapshot(settings: Settings, volume: Volume) -> None:
    """Make a volume of its own with another's content of this moment."""
    if volume.snapshot is None:
        raise ContractError("VOL_SNAPSHOT_NAME is not set")
    name, target = volume_name(volume.name), volume_name(volume.snapshot)
    with LastPool(settings) as pool:

        def fill() -> Record:
            return rbd_origin.from_volume(pool, name, target, SNAPSHOT)

        if not rbd_making.make(pool, target, "snapshot", fill):
            raise ExtError(f"volume {target!r} exists already in pool {pool.name}")
    rbd_memory.note(settings, target)


def open_(settings: Settings, volume: Volume) -> None:
    """Take the lock for this node, alone or shared; dead clients, and those of nodes that are down, write no more."""
    name = volume_name(volume.name)
    with LastPool(settings) as pool:
        rbd_holding.take(pool, name, exclusive=volume.exclusive)
    rbd_memory.note(settings, name)


def close(settings: Settings, volume: Volume) -> None:
    with LastPool(settings) as pool:
        rbd_holding.give_up(pool, volume_name(volume.name))


def _reused(pool: Pool, name: str, size: int, volume: Volume) -> bool:
    """Whether the disk asks for an existing volume; an error when that is not what it asks for."""
    try:
        if not boolean(volume.params.get("reuse_data") or "no"):
            return False
    except ValueError as err:
        raise ContractError(f"parameter reuse_data has a bad value {volume.params['reuse_data']!r}: {err}") from err
    rbd_volume.refuse(name, rbd_volume.required(pool, name).holders)
    length = pool.size(name)
    if length != size:
        raise ExtError(f"volume {name!r} cannot be reused: it has {length} bytes, not {size} ({size // MIB} MiB)")
    return True
