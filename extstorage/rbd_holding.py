"""Who holds a volume: taken, given up, taken away, and what keeps those who lost it from writing it.

A record that says `open` is one whose fence is still to be made: who is killed between the two leaves that to the next.
"""

from __future__ import annotations

from extstorage import lock, rbd_fence, rbd_process, rbd_volume
from extstorage.rbd_volume import OPEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from extstorage.lock import Holder
    from extstorage.rbd_pool import Pool
    from extstorage.rbd_record import Record


def take(pool: Pool, name: str, *, exclusive: bool) -> None:
    """Let this node in; dead clients lose the volume, so that QEMU need not wait for them, and nodes that are down."""
    node = pool.settings.this()
    mine = rbd_process.doing(OPEN, node)
    fencing = False

    def decide(found: Record) -> Record:
        nonlocal fencing
        rbd_volume.whole(pool, name, found)
        new = lock.opened(name, found.holders, node.holder(exclusive), node.down, rbd_volume.unlock(name))
        fencing = bool(new.dropped or found.doing)
        return found._replace(holders=new.holders, doing=mine if fencing else None)

    rbd_volume.required(pool, name)
    taken = rbd_volume.change(pool, name, decide)
    if not pool.has(name):  # removed between the two, by who saw no part of ours
        give_up(pool, name)
        rbd_volume.required(pool, name)
    if fencing or exclusive:
        rbd_fence.fence(pool, name, others=fencing and not _elsewhere(taken, node.name))
    if taken.doing:
        rbd_volume.release(pool, name, mine, taken._replace(doing=None))


def give_up(pool: Pool, name: str) -> None:
    """This node's part."""
    node = pool.settings.this().name
    rbd_volume.change(pool, name, lambda found: found._replace(holders=lock.closed(found.holders, node)))


def take_away(pool: Pool, name: str, who: str | None) -> tuple[Holder, ...]:
    """The part of a node, or of all; returns what they had.

    Clients on this node's host can no longer write when this node's part is among these; those on other hosts, when
    no other node has a part any more (which of them is whose is not known).
    """
    node = pool.settings.this().name
    mine = rbd_process.doing(OPEN, pool.settings.this())
    taken: tuple[Holder, ...] = ()
    others = own = False

    def decide(found: Record) -> Record:
        nonlocal taken, others, own
        taken = tuple(holder for holder in found.holders if who in (None, holder.node))
        left = found._replace(holders=tuple(holder for holder in found.holders if holder not in taken))
        free = found.doing is None or found.doing.verb == OPEN
        own = any(holder.node == node for holder in taken)
        others = (len(taken) > own or bool(found.doing and free)) and not _elsewhere(left, node)
        return left._replace(doing=mine) if free and (own or others) else left

    after = rbd_volume.change(pool, name, decide)
    if (own or others) and pool.has(name):
        rbd_fence.fence(pool, name, others=others, own=own)
    if after.doing == mine:
        rbd_volume.release(pool, name, mine, after._replace(doing=None))
    return taken


def settle(pool: Pool, name: str, forget: Callable[[Record], Record], *, others: bool) -> None:
    """Make the fence that a dead call or a dead node calls for, then forget in the record why."""
    node = pool.settings.this()
    alive = lock.others(rbd_volume.record(pool, name).holders, node.name, node.down)
    if pool.has(name):
        rbd_fence.fence(pool, name, others=others and not alive)
    rbd_volume.change(pool, name, forget)


def _elsewhere(record: Record, node: str) -> bool:
    """Whether another node has a part."""
    return any(holder.node != node for holder in record.holders)
