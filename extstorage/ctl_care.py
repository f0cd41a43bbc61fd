"""Commands on whole stores: what is in them, what is wrong with them, what can go."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from extstorage import account, ctl_volumes
from extstorage.account import Finding
from extstorage.inventory import Choice, Store
from extstorage.tell_progress import Progress
from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Any

    from extstorage.found import Found
    from extstorage.inventory_ganeti import Configuration, Ganeti

    Facts = dict[str, Any]

# Leaks that take room; the others are locks and devices, which are `repair`'s alone.
ROOM = ("draft", "call", "snapshot", "trash")
AGE = 3600.0  # seconds: a job that makes an instance has made its volumes before Ganeti's configuration has them


class State(NamedTuple):
    """What was found in all stores, and whether this node knows Ganeti's disks."""

    findings: list[tuple[Store, Finding]]
    volumes: int
    owners: bool


def room(choice: Choice) -> Iterator[Facts]:
    """The rows of `df`."""
    for store in choice.stores():
        found = list(store.kind.admin.listing(store.settings))
        sums = account.room(str(store), found, store.kind.room(store.settings))
        yield {**sums._asdict(), "shared": sums.shared}


def tree(choice: Choice) -> Iterator[Facts]:
    """The rows of `tree`, each with its depth."""
    for store in choice.stores():
        for branch in account.tree(list(store.kind.admin.listing(store.settings))):
            yield {"depth": branch.depth, **ctl_volumes.facts(store, branch.found)}


def verify(choice: Choice, ganeti: Ganeti, age: float = AGE) -> State:
    """Look at all stores, beside Ganeti's configuration where this node has it."""
    # Before the stores: what is made meanwhile is too young to be an orphan, what is removed has no disk any more.
    # The jobs before the configuration: the disks of one that ends between the two are in it.
    busy = ganeti.busy_since()
    before = ganeti.configuration()
    young = min(time.time() - age, time.time() if busy is None else busy)
    used = {(disk.provider, disk.pool) for disk in before.disks} if before else set()
    findings: list[tuple[Store, Finding]] = []
    volumes = 0
    for store in choice.stores(used):
        found = list(store.kind.admin.listing(store.settings))
        volumes += len(found)
        findings += [(store, one) for one in _beside(store, found, before, ganeti, young)]
        leaks = store.kind.admin.leaks(store.settings)
        findings += [(store, one) for one in account.leaked(leaks, str(store), store.options)]
    return State(findings, volumes, before is not None)


def repair(choice: Choice, ganeti: Ganeti, names: Collection[str], *, orphans: bool, dry: bool) -> list[Facts]:
    """Mend what `verify` finds, or what it finds of some volumes; a row for each, `done` tells whether it was."""
    rows = []
    found = [(store, one) for store, one in verify(choice, ganeti).findings if not names or _name(one) in names]
    left: dict[Store, set[tuple[str, str]]] = {}
    for store, one in found:
        mends = one.mends or (orphans and one.kind == account.ORPHAN)
        row = {**one._asdict(), "done": False, "did": _words(one, "would be mended" if mends else f"stays; {one.todo}")}
        rows.append(row)
        if mends and not dry:
            done = _mend(store, one, [each for where, each in found if where == store], left)
            row |= {"done": done, "did": _words(one, "mended" if done else "could not be mended")}
    return rows


def collect(choice: Choice, names: Collection[str], *, yes: bool) -> list[Facts]:
    """What can go: drafts and the like, and of the snapshots that nobody descends from those that were named."""
    rows = []
    named = set(names)
    for store in choice.stores():
        leaks = [leak for leak in store.kind.admin.leaks(store.settings) if leak.kind in ROOM]
        rows += [_gone(store, leak.kind, leak.what, leak.why, yes) for leak in leaks]
        if yes and leaks:
            store.kind.admin.mend(store.settings, wanted=lambda leak: leak.kind in ROOM)
        found = list(store.kind.admin.listing(store.settings))
        for name in account.unneeded(found):
            wanted = name in named
            named.discard(name)
            if wanted and yes:
                with Progress(f"remove {name}"):
                    store.kind.admin.remove(store.settings, name)
            why = "nobody descends from it" + ("" if wanted else "; name it and it goes too")
            rows.append(_gone(store, "unneeded", name, why, yes and wanted))
    if named:
        raise ExtError(
            f"{', '.join(sorted(named))}: no snapshot that nobody descends from and nobody has open;"
            " ganeti-ext-storage tree shows who does"
        )
    return rows


def _beside(
    store: Store, found: list[Found], configuration: Configuration | None, ganeti: Ganeti, young: float
) -> Iterator[Finding]:
    if configuration is None:
        return
    mine = ctl_volumes.disks(store, configuration.disks)
    lacking = list(account.owned(mine, str(store), store.options, found))
    if lacking:  # a disk may have been grown, or removed, between the two looks
        now = ganeti.configuration()
        still = {disk.uuid: disk for disk in now.disks} if now else {}
        again = [disk for disk in mine if still.get(disk.uuid) == disk]
        lacking = list(account.owned(again, str(store), store.options, found))
    yield from lacking
    yield from account.orphans(mine, str(store), store.options, found, before=young)


def _mend(store: Store, one: Finding, chosen: list[Finding], left: dict[Store, set[tuple[str, str]]]) -> bool:
    """Mend a finding; of those that a provider mends, all that were chosen of its store, whose rest is in `left`."""
    if one.kind == account.ORPHAN:
        with Progress(f"remove {one.volume}"):
            store.kind.admin.remove(store.settings, one.volume)
    elif one.kind == account.SIZE:
        ctl_volumes.call(store, "grow", one.volume, None, one.size)
    elif store not in left:
        wanted = {(each.kind, each.volume) for each in chosen}
        store.kind.admin.mend(store.settings, wanted=lambda leak: (leak.kind, leak.what) in wanted)
        left[store] = {(leak.kind, leak.what) for leak in store.kind.admin.leaks(store.settings)}
    return (one.kind, one.volume) not in left.get(store, ())


def _name(one: Finding) -> str:
    return one.volume.split(" ")[0]


def _words(one: Finding, end: str) -> str:
    return f"{one.store}: {one.kind} {one.volume}: {one.found}: {end}"


def _gone(store: Store, kind: str, what: str, why: str, done: bool) -> Facts:
    words = f"{store}: {'removed' if done else 'found'} {kind} {what}: {why}"
    return {"store": str(store), "kind": kind, "what": what, "why": why, "done": done, "did": words}
