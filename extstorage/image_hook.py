"""Snapshots that are images and volume snapshots of tenants: made and removed before an instance is modified.

    ganeti-ext:saving:STORE:ID          make a snapshot of the instance's first disk
    ganeti-ext:saving:STORE:ID:DISK     or of the disk of that name or UUID
    ganeti-ext:copying:STORE:ID:DISK    copy a disk of another store into this one
    ganeti-ext:forget:STORE:ID          remove the snapshot that nobody wants, whatever instance it is of

STORE is PROVIDER, for what is in its default pool, or PROVIDER/POOL. Of an instance's tags all snapshots that are not
there yet are of one moment.

The front sets such tags, then modifies the instance, of which nothing need change, and takes the tags away
(frontend/effect/translate_image.py). So one job of Ganeti's carries the snapshots, with the instance's lock:
nobody starts, stops, moves or removes it meanwhile, and if this fails, so does the job. Each may be repeated.
"""

from __future__ import annotations

import os
from collections import namedtuple

from extstorage.found import SAVED
from ganeti_ext.errors import ContractError, ExtError
from ganeti_ext.hookenv import Hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SAVING, COPYING, FORGET = "ganeti-ext:saving:", "ganeti-ext:copying:", "ganeti-ext:forget:"
_DISK = "GANETI_INSTANCE_DISK"
_ID = frozenset("0123456789abcdef-")
# How long the name of a disk behind each may be, and how that is written.
_DISKS = {SAVING: (0, 128, "[:DISK]"), COPYING: (1, 128, ":DISK"), FORGET: (0, 0, "")}


class Asked(namedtuple("Asked", "tag provider pool ident disk")):
    """What a tag says; `pool` and `disk` are empty for the default pool and for the first disk."""

    __slots__ = ()
    tag: str
    provider: str
    pool: str
    ident: str
    disk: str

    @property
    def store(self) -> str:
        return f"{self.provider}/{self.pool}" if self.pool else self.provider


class Disk(namedtuple("Disk", "number provider volume")):
    """A disk of the instance: its provider, and that one's name of it."""

    __slots__ = ()
    number: int
    provider: str
    volume: str


def main(_verb: str, env: Mapping[str, str]) -> None:
    """Do what the tags say, on the instance's primary node; ExtError, or ContractError for a tag that says nothing."""
    hook = Hook.from_env(env)
    if hook.phase != "pre" or hook.object_type != "INSTANCE":
        return
    unwanted, wanted, copied = (list(asked(hook.tags, prefix)) for prefix in (FORGET, SAVING, COPYING))
    if not unwanted and not wanted and not copied:
        return
    # With all of the storage behind them, for those few operations that are for this.
    from extstorage import image_snapshot, retype  # noqa: PLC0415
    from extstorage.provider import CONFIG_DIRECTORY  # noqa: PLC0415

    os.umask(0o022)
    place = image_snapshot.Place.of(env.get("GANETI_EXT_CONFIG_DIR", CONFIG_DIRECTORY), hook.data_directory)
    if place.node != hook.primary:
        return
    for one in unwanted:
        place.forget(one.provider, one.pool, SAVED + one.ident)
    instance = hook.instance or ""
    # But what a chain has asked for that broke off before it took its tag away.
    gone = {(one.store, one.ident) for one in unwanted}
    kept = [(one, _saved(env, one, instance)) for one in wanted if (one.store, one.ident) not in gone]
    if kept:
        sources = (image_snapshot.Source(one.provider, one.pool, disk.volume, SAVED + one.ident) for one, disk in kept)
        place.save(list(sources), instance)
    for one in copied:
        disk = _disk(env, one, instance)
        if env.get("GANETI_INSTANCE_STATUS") == "up":  # this node may open a disk twice, and its guest writes
            raise ExtError(f"{instance} is up: disk {disk.number} is copied into {one.store} while it is stopped alone")
        retype.copy(place, (disk.provider, disk.volume), (one.provider, one.pool), one.ident, instance)


def asked(tags: Iterable[str], prefix: str) -> Iterator[Asked]:
    """What each tag of a kind says; ContractError for one that says nothing."""
    for tag in tags:
        if tag.startswith(prefix):
            store, _, rest = tag[len(prefix) :].partition(":")
            provider, slash, pool = store.partition("/")
            ident, colon, disk = rest.partition(":")
            is_known = provider and ident and set(ident) <= _ID and bool(slash) == bool(pool)
            if not is_known or bool(colon) != bool(disk) or not _DISKS[prefix][0] <= len(disk) <= _DISKS[prefix][1]:
                raise ContractError(f"tag {tag!r}: expected {prefix}PROVIDER[/POOL]:ID{_DISKS[prefix][2]}")
            yield Asked(tag, provider, pool, ident, disk)


def _saved(env: Mapping[str, str], one: Asked, instance: str) -> Disk:
    """The disk that is to be an image of the same provider."""
    disk = _disk(env, one, instance)
    if disk.provider != one.provider:
        raise ExtError(
            f"disk {disk.number} of {instance} is in {disk.provider}, and images are to be in {one.provider}"
        )
    return disk


def _disk(env: Mapping[str, str], one: Asked, instance: str) -> Disk:
    """The disk that a tag names, as Ganeti tells the hook of it."""
    for number in range(int(env.get(f"{_DISK}_COUNT", "1"))):
        prefix = f"{_DISK}{number}_"
        if not one.disk or one.disk in (env.get(prefix + "NAME"), env.get(prefix + "UUID")):
            return Disk(number, env.get(prefix + "PROVIDER", ""), env.get(prefix + "ID", ""))
    raise ExtError(
        f"{instance} has no disk {one.disk or 0}, and its tag {one.tag} asks for a snapshot of it; if nobody does any"
        f" more: gnt-instance remove-tags {instance} {one.tag}"
    )
