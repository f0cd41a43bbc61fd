"""What the administrator's command does with `rbd`: list, undo, clear away."""

from __future__ import annotations

from extstorage import (
    rbd_holding,
    rbd_lineage,
    rbd_making,
    rbd_memory,
    rbd_origin,
    rbd_record,
    rbd_removal,
    rbd_repair,
    rbd_rollback,
    rbd_room,
    rbd_settings,
    rbd_volume,
)
from extstorage.found import IMAGE, SNAPSHOT, VOLUME, Found
from extstorage.rbd_image import Image
from extstorage.rbd_library import CephError
from extstorage.rbd_pool import Pool
from extstorage.rbd_record import Record
from extstorage.rbd_settings import volume_name
from extstorage.warning import warn
from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from extstorage.lock import Holder
    from extstorage.origin import Origin
    from extstorage.rbd_settings import Settings

capacity = rbd_room.capacity
leaks = rbd_repair.leaks
mend = rbd_repair.mend


def stores(path: str) -> list[tuple[str, Settings]]:
    """The pools of the configuration with the settings of each; the first, without a name, is the default."""
    return [("", rbd_settings.load(path, {}))]


def listing(settings: Settings) -> Iterator[Found]:
    """Images, then volumes and snapshots, by name."""
    with Pool(settings) as pool:
        records = {name: rbd_record.from_text(text, name) for name, text in pool.texts().items()}
        names = [name for name in rbd_lineage.images(pool) if not name.endswith(rbd_origin.DRAFT)]
        for name in sorted(names, key=lambda name: (not name.startswith(rbd_settings.IMAGE), name)):
            record = records.get(name, Record())
            try:
                with Image(pool, name, write=False) as image:
                    yield _found(image, name, record, _origin(rbd_lineage.ancestor(pool, image), records))
            except CephError as err:
                if err.number in rbd_volume.SILENT:
                    raise
                if not record.doing and pool.has(name):
                    warn("rbd", str(err))  # the others are worth to be told of


def locks(settings: Settings) -> Iterator[tuple[str, tuple[Holder, ...]]]:
    """Names of volumes that somebody holds, and who."""
    with Pool(settings) as pool:
        for name, text in sorted(pool.texts().items()):
            holders = rbd_record.from_text(text, name).holders
            if holders:
                yield name, holders


def unlock(settings: Settings, name: str, who: str | None = None) -> tuple[Holder, ...]:
    """Take a volume away from a node, or from all; returns what they had. rbd_holding.take_away: who can write it."""
    with Pool(settings) as pool:
        return rbd_holding.take_away(pool, volume_name(name), who)


def clone(settings: Settings, name: str, origin: Origin, size: int | None = None) -> None:
    """Make a volume with an origin's content, as long as that if no size in bytes is given."""
    name = volume_name(name)
    with Pool(settings) as pool:
        source, image = rbd_origin.resolve(pool, origin)
        if size is None:
            with Image(pool, source, write=False) as found:
                size = found.size()
        length = size

        def fill() -> Record:
            if image:
                return rbd_origin.from_image(pool, source, name, length)
            return rbd_origin.from_volume(pool, source, name, VOLUME, length)

        _made(pool, name, "create", fill)


def snapshot(settings: Settings, name: str, target: str) -> None:
    """Make a snapshot: a volume of its own."""
    name, target = volume_name(name), volume_name(target)
    with Pool(settings) as pool:
        _made(pool, target, "snapshot", lambda: rbd_origin.from_volume(pool, name, target, SNAPSHOT))


def remove(settings: Settings, name: str) -> None:
    """Delete a volume or a snapshot; ExtError when a node has it open, this one too, or when there is none."""
    name = volume_name(name)
    rbd_memory.forget(settings, name)
    with Pool(settings) as pool:
        if not pool.has(name) and rbd_volume.record(pool, name) == Record():
            raise ExtError(f"volume {name!r} does not exist: there is no RBD image {pool.name}/{name}")
        rbd_volume.discard(pool, name, lambda: rbd_removal.remove(pool, name), anyone=True)


def rollback(settings: Settings, name: str, source: str) -> None:
    """Give a volume the content that a snapshot has; its length, if that is more, stays. No node may have it open."""
    name, source = volume_name(name), volume_name(source)
    with Pool(settings) as pool:
        with Image(pool, name, write=False) as image:
            size = image.size()
        rbd_rollback.rollback(pool, name, source, size)


def flatten(settings: Settings, name: str) -> None:
    """Give a volume data of its own. Its guest may run: who has it open does the work, or waits for us."""
    name = volume_name(name)
    with Pool(settings) as pool:
        rbd_volume.required(pool, name)
        with Image(pool, name) as image:
            image.flatten()
        rbd_volume.change(pool, name, lambda found: found._replace(depth=0))


def _made(pool: Pool, name: str, verb: str, fill: Callable[[], Record]) -> None:
    if not rbd_making.make(pool, name, verb, fill):
        raise ExtError(f"volume {name!r} exists already in pool {pool.name}")


def _found(image: Image, name: str, record: Record, origin: str | None) -> Found:
    size = image.size()
    kind = IMAGE if name.startswith(rbd_settings.IMAGE) else record.kind
    physical, exclusive = rbd_lineage.usage(image, size)
    shown = name.removeprefix(rbd_settings.IMAGE) if kind == IMAGE else name
    return Found(shown, kind, origin, size, physical, exclusive, rbd_lineage.created(image), record.holders)


def _origin(name: str | None, records: dict[str, Record]) -> str | None:
    if name is None:
        return None
    if name.startswith(rbd_settings.IMAGE):
        return f"{IMAGE}:{name.removeprefix(rbd_settings.IMAGE)}"
    return f"{records.get(name, Record()).kind}:{name}"
