"""What the administrator's command does with `cow`: list, undo, clear away."""

from __future__ import annotations

import os

from extstorage import attachment, draft, hint, holding, lock, lockfile, node, replacement, usage, volumefile
from extstorage.cow import NAME
from extstorage.found import IMAGE, SNAPSHOT, VOLUME, Found, Leak
from extstorage.layout import FILE, SUBVOLUME, Settings, existing, in_subvolume, required, volumes
from extstorage.origin import Origin
from ganeti_ext import config
from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from extstorage.image_cow import Cow
    from extstorage.lock import Holder

LOOP, DRAFT, LOCK = "loop", "draft", "lock"


def stores(path: str) -> list[tuple[str, Settings]]:
    """The pools of the configuration with the settings of each; the first, without a name, is the default."""
    settings = config.load(path, NAME, Settings).checked()
    return [(name, settings.of(name)) for name, _ in settings.directories()]


def listing(settings: Settings) -> Iterator[Found]:
    """Images, then volumes and snapshots, by name."""
    folder = f"{settings.directory}/images"
    entries = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for name in entries:
        if name.endswith((FILE, SUBVOLUME)) and not name.startswith("."):
            file = settings.image(name[:-4])
            yield from _found(name[:-4], file if name.endswith(FILE) else in_subvolume(file), IMAGE, ())
    for name in volumefile.names(settings):
        path = existing(settings, name)
        if path:
            yield from _found(name, path, VOLUME, lockfile.holders(settings.locks(name)))


def locks(settings: Settings) -> Iterator[tuple[str, tuple[Holder, ...]]]:
    """Names of volumes that somebody holds, and who."""
    for name in _locked(settings):
        found = lockfile.holders(settings.locks(name))
        if found:
            yield name, found


def unlock(settings: Settings, name: str, who: str | None = None) -> tuple[Holder, ...]:
    """Take a volume away from a node, or from all, whatever they do with it; returns what they had."""
    with settings.hint(name):
        volumes(settings)
        return holding.unlock(settings, name, who)


def clone(settings: Settings, name: str, origin: Origin, size: int | None = None) -> None:
    """Make a volume with an origin's content, as long as that if no size in bytes is given."""
    volumefile.create(settings, name, size, volumefile.origin(settings, origin))


def image(settings: Settings, name: str, file: str) -> None:
    """Make an image of a file with the content of a disk; ExtError when there is one of that name."""
    path = settings.image(name)
    for found in (path, in_subvolume(path)):
        if os.path.lexists(found):
            raise ExtError(f"image {name!r} exists already: {found}")
    try:
        draft.make(path, None, file, {draft.KIND: IMAGE})
    except FileExistsError:
        raise ExtError(f"image {name!r} has just been made by another") from None


def snapshot(settings: Settings, name: str, target: str) -> None:
    """Make a snapshot: a volume of its own."""
    volumefile.snapshot(settings, name, target)


def remove(settings: Settings, name: str) -> None:
    """Delete a volume or a snapshot; ExtError when a node has it open, this one too, or when there is none."""
    with settings.hint(name) as held:
        required(settings, name)
        holding.refuse_all(settings, name)
        attachment.detach_fully(held)
        volumefile.discard(settings, name)
        holding.forget(settings, name)


def rollback(settings: Settings, name: str, snapshot: str) -> None:
    """Give a volume the content that a snapshot has; its length, if that is more, stays. No node may have it open."""
    source = volumefile.settled(settings, snapshot)
    with settings.hint(name) as held:
        holding.refuse_all(settings, name)
        attachment.detach_fully(held)
        replacement.restore(settings, name, source)


def flatten(settings: Settings, name: str) -> None:
    """Give a volume blocks of its own, shared with nobody. No node may have it open."""
    with settings.hint(name) as held:
        holding.refuse_all(settings, name)
        attachment.detach_fully(held)
        replacement.flatten(settings, name)


def leaks(settings: Settings, age: float = volumefile.OLD) -> list[Leak]:
    """What killed calls and lost nodes left, as far as this node can tell.

    A draft may be another node's work: it counts when nobody has written to it for `age` seconds. Of an image's, the
    kernel knows whether somebody is at work on it.
    """
    why = f"nobody has written to it for {age:.0f} s"
    found = [Leak(DRAFT, path, why) for path in volumefile.drafts(settings, age)]
    found += [Leak(DRAFT, path, "its import has died, or its image is gone") for path in _images(settings).left()]
    gone = [name for name in hint.names(settings.run_directory) if existing(settings, name) is None]
    found += [Leak(LOOP, name, "this node has a device for a volume that is gone") for name in gone]
    here, attached = holding.this(settings), hint.names(settings.run_directory)
    for name in _locked(settings):
        if existing(settings, name) is None:
            found.append(Leak(LOCK, name, "its volume is gone"))
        for holder in lockfile.holders(settings.locks(name)):
            why = _stale(settings, holder, here, name in attached)
            if why:
                found.append(Leak(LOCK, f"{name} {holder.node}", why))
    return found


def mend(
    settings: Settings, age: float = volumefile.OLD, wanted: Callable[[Leak], bool] = lambda _: True
) -> list[Leak]:
    """Clear away the leaks that are wanted; returns them."""
    found = [leak for leak in leaks(settings, age) if wanted(leak)]
    for leak in found:
        name, _, who = leak.what.partition(" ")
        if leak.kind == DRAFT and os.path.dirname(leak.what) == _images(settings).folder:
            _images(settings).sweep_one(leak.what)
        elif leak.kind == DRAFT:
            volumefile.sweep(settings, name)
        elif leak.kind == LOOP:
            with settings.hint(name) as held:
                if existing(settings, name) is None:
                    attachment.detach(held)
        else:
            _mend_lock(settings, name, who)
    return found


def _images(settings: Settings) -> Cow:
    from extstorage.image_cow import Cow  # noqa: PLC0415 (with SQLite and all; most calls look at no image)

    return Cow(settings)


def _mend_lock(settings: Settings, name: str, who: str) -> None:
    with settings.hint(name) as held:
        if existing(settings, name) is None:
            holding.forget(settings, name)
            return
        here, attached = holding.this(settings), held.number is not None
        found = lockfile.holders(settings.locks(name))
        if any(holder.node == who and _stale(settings, holder, here, attached) for holder in found):
            holding.unlock(settings, name, who)


def _stale(settings: Settings, holder: Holder, here: node.Node, attached: bool) -> str:
    """Why a part of a lock is one that its node cannot use, or an empty text."""
    if holder.mode == lock.MOVED:  # true until its move is ended, whatever becomes of the node
        return ""
    if holder.node == here.name:
        if holder.boot != node.boot():
            return f"{holder.node} was started again since {holder.since}"
        if not settings.userspace and not attached:
            return f"{holder.node} has no device for it"
        return ""
    return here.down(holder.node)


def _found(name: str, path: str, kind: str, holders: tuple[Holder, ...]) -> Iterator[Found]:
    """What there is to say of a file, if it is still there."""
    try:
        texts = draft.notes(path)
        bytes_ = usage.of(path)
    except FileNotFoundError:
        return
    if texts.get(draft.KIND) == SNAPSHOT:
        kind = SNAPSHOT
    yield Found(name, kind, texts.get(draft.ORIGIN), *bytes_, holders)


def _locked(settings: Settings) -> list[str]:
    try:
        return sorted(os.listdir(f"{settings.directory}/locks"))
    except FileNotFoundError:
        if not os.path.isdir(settings.directory):
            raise ExtError(f"{settings.directory} does not exist: is it mounted on this node?") from None
        return []
