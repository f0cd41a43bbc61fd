"""What killed calls and lost nodes left in a pool: found, and cleared away."""

from __future__ import annotations

import errno
import os

from extstorage import (
    lock,
    rbd_holding,
    rbd_image,
    rbd_lineage,
    rbd_making,
    rbd_origin,
    rbd_record,
    rbd_removal,
    rbd_rollback,
    rbd_trash,
    rbd_uri,
    rbd_volume,
)
from extstorage import node as nodes
from extstorage.found import Leak
from extstorage.rbd_image import Image
from extstorage.rbd_library import CephError
from extstorage.rbd_pool import Pool
from extstorage.rbd_record import Record
from extstorage.warning import warn
from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from extstorage.lock import Holder
    from extstorage.rbd_settings import Settings

CALL, LOCK, SNAPSHOT, TRASH = "call", "lock", "snapshot", "trash"


def verify(settings: Settings) -> None:
    """ExtError when volumes cannot be made in the pool; warnings of leaks, long chains, and what QEMU cannot open."""
    if told := rbd_uri.obstacle(settings):
        warn("rbd", told)
    with Pool(settings) as pool:
        name = f"verify.{nodes.boot()[:8]}.{os.getpid()}"

        def fill() -> Record:
            rbd_image.create(pool, name, 1 << 20)
            return Record()

        rbd_making.make(pool, name, "create", fill)
        rbd_volume.discard(pool, name, lambda: rbd_image.remove(pool, name))
        for leak in _leaks(pool):
            warn("rbd", f"{leak.kind} {leak.what}: {leak.why}")
        for name, text in sorted(pool.texts().items()):
            if rbd_record.from_text(text, name).depth > settings.depth and pool.has(name):
                _measure(pool, name)


def leaks(settings: Settings) -> list[Leak]:
    """What killed calls and lost nodes left, as far as this node can tell."""
    with Pool(settings) as pool:
        return list(_leaks(pool))


def mend(settings: Settings, wanted: Callable[[Leak], bool] = lambda _: True) -> list[Leak]:
    """Clear away the leaks that are wanted; returns them. What keeps one from it is a warning."""
    mended = []
    with Pool(settings) as pool:
        for leak in [leak for leak in _leaks(pool) if wanted(leak)]:
            first, _, second = leak.what.partition(" ")
            try:
                _MENDERS[leak.kind](pool, first, second)
                mended.append(leak)
            except CephError as err:
                if err.number in rbd_volume.SILENT:
                    raise  # the next would take as long
                warn("rbd", f"{leak.kind} {leak.what}: {err}")
            except ExtError as err:
                warn("rbd", f"{leak.kind} {leak.what}: {err}")
    return mended


def _measure(pool: Pool, name: str) -> None:
    """Warn of a long chain; a record has it for too long when an origin was flattened."""
    try:
        with Image(pool, name, write=False) as image:
            depth = rbd_lineage.depth(pool, image)
    except CephError as err:
        if err.number != errno.ENOENT:
            raise
        return  # it was removed meanwhile, or one above it, with the last of its clones
    rbd_volume.change(pool, name, lambda found: found if found.doing else found._replace(depth=depth))
    if depth > pool.settings.depth:
        warn("rbd", rbd_origin.deep(name, depth))


def _leaks(pool: Pool) -> Iterator[Leak]:
    records = {name: rbd_record.from_text(text, name) for name, text in sorted(pool.texts().items())}
    images = rbd_lineage.images(pool)
    for name, record in records.items():
        yield from _of_record(pool, name, record, name in images)
    for name in images:
        yield from _of_image(pool, name, records)
    for image in rbd_trash.waiting(pool):
        if not image.children:
            yield Leak(TRASH, f"{image.id} {image.name}", "it was removed, and nothing is a clone of it any more")


def _of_record(pool: Pool, name: str, record: Record, exists: bool) -> Iterator[Leak]:
    if record.doing:
        reason = rbd_volume.gone(pool, record.doing)
        if reason:
            yield Leak(CALL, name, f"{record.doing} was left half-done: {reason}")
        return
    if not exists:
        if not pool.has(name) and rbd_volume.record(pool, name) == record:  # it was not just made, or removed
            yield Leak(LOCK, name, "its volume is gone")
        return
    for holder in record.holders:
        reason = _stale(pool, holder)
        if reason:
            yield Leak(LOCK, f"{name} {holder.node}", reason)


def _of_image(pool: Pool, name: str, records: dict[str, Record]) -> Iterator[Leak]:
    try:
        with Image(pool, name, write=False) as image:
            found = [one.name for one in rbd_lineage.snapshots(image) if one.visible]
    except CephError as err:  # it was removed meanwhile, or it is one that a record tells of
        found = []
        if name not in records and pool.has(name):
            warn("rbd", str(err))
    for text in found:
        target = rbd_origin.target(text)
        if target and not _working(pool, records.get(target)) and not _working(pool, rbd_volume.record(pool, target)):
            yield Leak(SNAPSHOT, f"{name} {text}", f"the call that made {target!r} is dead")


def _working(pool: Pool, record: Record | None) -> bool:
    return record is not None and record.doing is not None and not rbd_volume.gone(pool, record.doing)


def _stale(pool: Pool, holder: Holder) -> str:
    if holder.mode == lock.MOVED:  # true until its move is ended, whatever becomes of the node
        return ""
    node = pool.settings.this()
    if holder.node == node.name:
        return "" if holder.boot == nodes.boot() else f"{node.name} was started again since {holder.since}"
    return node.down(holder.node)


def _mend_call(pool: Pool, name: str, _: str) -> None:
    doing = rbd_volume.record(pool, name).doing
    if doing is None or not rbd_volume.gone(pool, doing):
        return
    if doing.verb.startswith(rbd_volume.ROLLBACK):
        _, source, size = doing.verb.split(":")
        rbd_rollback.rollback(pool, name, source, int(size))
    elif doing.verb == rbd_volume.OPEN:
        rbd_holding.settle(
            pool, name, lambda found: found._replace(doing=None) if found.doing == doing else found, others=True
        )
    else:
        rbd_volume.discard(pool, name, lambda: rbd_removal.remove(pool, name))


def _mend_lock(pool: Pool, name: str, who: str) -> None:
    if not who:
        if not pool.has(name):
            rbd_volume.change(pool, name, lambda found: found if found.doing else Record())
        return

    def forget(found: Record) -> Record:
        return found._replace(holders=tuple(one for one in found.holders if one.node != who or not _stale(pool, one)))

    rbd_holding.settle(pool, name, forget, others=who != pool.settings.this().name)


def _mend_snapshot(pool: Pool, name: str, text: str) -> None:
    if not rbd_volume.record(pool, rbd_origin.target(text)).doing:
        with Image(pool, name) as image:
            image.drop(text)


def _mend_trash(pool: Pool, identity: str, _: str) -> None:
    rbd_trash.purge(pool, identity)


_MENDERS = {CALL: _mend_call, LOCK: _mend_lock, SNAPSHOT: _mend_snapshot, TRASH: _mend_trash}
