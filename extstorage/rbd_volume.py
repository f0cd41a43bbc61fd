"""Volumes of a pool: RBD images and the records beside them, so that a call that was killed is found and undone."""

from __future__ import annotations

import errno

from extstorage import lock, rbd_process, rbd_record
from extstorage.rbd_library import CephError
from extstorage.rbd_record import Record, ended
from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from extstorage.lock import Holder
    from extstorage.rbd_pool import Pool
    from extstorage.rbd_record import Doing

TRIES = 100
# A volume that one of these left half-done is worth nothing.
WORTHLESS = ("create", "snapshot", "remove")
OPEN = "open"  # killed between the lock and the fence: the next call on it goes on
ROLLBACK = "rollback:"  # and the snapshot whose content it gets, and its size: there is no other than to do it again
REFUSED = (errno.EBUSY, errno.ENOTEMPTY)  # a removal that did nothing
SILENT = (errno.ETIMEDOUT, errno.ESHUTDOWN)


def record(pool: Pool, name: str) -> Record:
    return rbd_record.from_text(pool.text(name), name)


def change(pool: Pool, name: str, decide: Callable[[Record], Record]) -> Record:
    """Put what `decide` makes of a volume's record in its place; it is asked again when another call was quicker."""
    for _ in range(TRIES):
        before = pool.text(name)
        new = decide(rbd_record.from_text(before, name))
        after = "" if new == Record() else rbd_record.to_text(new)
        if after == before or pool.swap(name, before, after):
            return new
    raise ExtError(f"volume {name!r}: its record in pool {pool.name} was changed by others {TRIES} times")


def gone(pool: Pool, doing: Doing) -> str:
    """Why a call is known to work no more, or an empty text."""
    node = pool.settings.this()
    mine = rbd_process.doing("", node)
    return ended(doing, node.name, mine.boot, rbd_process.start, node.down)


def required(pool: Pool, name: str) -> Record:
    """The record of a volume that exists and is whole."""
    if not pool.has(name):
        raise ExtError(f"volume {name!r} does not exist: there is no RBD image {pool.name}/{name}")
    found = record(pool, name)
    whole(pool, name, found)
    return found


def whole(pool: Pool, name: str, found: Record) -> None:
    """ExtError when a call is at work on a volume, or has left it half-done."""
    if found.doing and found.doing.verb != OPEN:
        raise ExtError(unfinished(pool, name, found.doing))


def discard(pool: Pool, name: str, remover: Callable[[], None], *, anyone: bool = False) -> None:
    """Remove a volume by `remover`, unless a node has it open: another, or with `anyone` any; success without one."""
    node = pool.settings.this()
    mine = rbd_process.doing("remove", node)

    def check(found: Record) -> None:
        refuse(name, lock.others(found.holders, "" if anyone else node.name, node.down))

    before = begin(pool, name, mine, check)
    try:
        remover()
    except CephError as err:
        if err.number in REFUSED:
            release(pool, name, mine, before)
        raise  # after another error it may be half gone: the record says so, and the next removal goes on
    release(pool, name, mine, Record())


def refuse(name: str, against: tuple[Holder, ...]) -> None:
    if against:
        nodes = ", ".join(map(str, against))
        raise lock.Held(f"volume {name!r} is open on {nodes}: stop it there, or if that node is down: {unlock(name)}")


def begin(pool: Pool, name: str, mine: Doing, check: Callable[[Record], None] = lambda _: None) -> Record:
    """Note that we work on a volume, if `check` does not raise; returns its record of before.

    An error while another call is at it. What was refused leaves no trace: a record that says `remove` is mended by a
    removal.
    """
    before = Record()

    def decide(found: Record) -> Record:
        nonlocal before
        before = found
        check(found)
        if found.doing and (not gone(pool, found.doing) or found.doing.verb.startswith(ROLLBACK)):
            raise ExtError(unfinished(pool, name, found.doing))
        return found._replace(doing=mine)

    change(pool, name, decide)
    return before


def claim(pool: Pool, name: str, verb: str, again: str) -> tuple[Doing, Record]:
    """Note that we work on a volume that nobody has open; a dead call whose verb begins with `again` is taken over."""
    node = pool.settings.this()
    mine = rbd_process.doing(verb, node)

    def decide(found: Record) -> Record:
        refuse(name, lock.others(found.holders, "", node.down))
        dead = found.doing and gone(pool, found.doing)
        if found.doing and not (dead and found.doing.verb.startswith((again, OPEN))):
            raise ExtError(unfinished(pool, name, found.doing))
        return found._replace(doing=mine, holders=())

    return mine, change(pool, name, decide)


def release(pool: Pool, name: str, mine: Doing, new: Record) -> None:
    """Put the record that a call leaves behind in the place of the one that says that it is at work."""

    def decide(found: Record) -> Record:
        if found.doing != mine:
            raise ExtError(f"volume {name!r}: another call took it for left by a dead one; now {found.doing or 'free'}")
        return new

    change(pool, name, decide)


def unfinished(pool: Pool, name: str, doing: Doing) -> str:
    reason = gone(pool, doing)
    if reason:
        return f"volume {name!r}: {doing} was left half-done ({reason}); run: {repair(name)}"
    return f"volume {name!r}: {doing} is at work on it; wait for its end, or if its node is down: {repair(name)}"


def repair(name: str) -> str:
    """What an administrator types to have what dead calls left cleared away."""
    return f"ganeti-ext-storage repair --provider=rbd {name}"


def unlock(name: str) -> str:
    """What an administrator types to take a volume away from its nodes."""
    return f"ganeti-ext-storage unlock --provider=rbd {name}"
