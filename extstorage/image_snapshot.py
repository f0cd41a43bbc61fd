"""Makes and removes the snapshots that are a tenant's image, or a snapshot of a volume."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from extstorage import inventory, node
from extstorage.consistency import Guest, Keeper
from extstorage.inventory import PROVIDERS, Choice, Store
from extstorage.inventory_ganeti import Ganeti
from extstorage.tell_progress import Progress
from extstorage.warning import warn
from ganeti_ext.errors import ContractError, ExtError
from ganeti_ext.qemusocket import listens


class Source(NamedTuple):
    """A disk and the snapshot that it is to have. An empty `pool` means the provider's default one."""

    provider: str
    pool: str
    volume: str
    name: str


class Place(NamedTuple):
    """This node: its name, where its configuration files are, and Ganeti's."""

    node: str
    folder: str
    ganeti: Ganeti

    @classmethod
    def of(cls, folder: str, data_directory: str) -> Place:
        """As the providers see it, where there is one."""
        ganeti, configured = Ganeti(data_directory), ""
        with contextlib.suppress(ExtError):  # as on a master that no instance runs on
            configured = Choice(folder).stores()[0].settings.node
        return cls(node.this(ganeti.data, configured).name, folder, ganeti)

    def save(self, sources: Iterable[Source], instance: str) -> None:
        """Make the snapshots that are not there, of one moment; nothing stays of them when that fails."""
        found = [(self._store(source), source) for source in sources]
        # One that is there: a call before this one was killed when it was done, or its tag was left over.
        wanted = [(store, source) for store, source in found if not store.kind.has(store.settings, source.name)]
        if not wanted:
            return
        try:
            self._save(wanted, instance)
        except BaseException:
            for store, source in wanted:
                _remove(store, source.name)
            raise

    def _save(self, wanted: Sequence[tuple[Store, Source]], instance: str) -> None:
        qmp = self.ganeti.socket(instance, "qmp")
        if not listens(qmp):
            _snapshots(wanted)
            return
        with Keeper(Guest(qmp, self.ganeti.socket(instance, "qga"))) as keeper:
            _snapshots(wanted)
            lost = keeper.end()
        if lost:
            names = ", ".join(repr(source.volume) for _, source in wanted)
            raise ExtError(f"the snapshot of {names} was not of one moment: {lost}")

    def forget(self, provider: str, pool: str, name: str) -> None:
        """Remove a snapshot; that there is none is no error."""
        store = self.store(provider, pool)
        if store.kind.has(store.settings, name):
            store.kind.admin.remove(store.settings, name)

    def store(self, provider: str, pool: str) -> Store:
        """A store of this node; without a pool, the provider's default one."""
        if provider not in PROVIDERS:
            raise ContractError(f"there is no provider {provider!r}")
        wanted = Choice(self.folder, provider, pool or None).stores()
        return next(store for store in wanted if store.pool == pool)

    def where(self, provider: str, volume: str) -> Store:
        """The store that a disk is in."""
        return inventory.where(volume, Choice(self.folder, provider))

    def _store(self, source: Source) -> Store:
        """The store of a disk, in which its snapshot will be."""
        store = self.store(source.provider, source.pool)
        if not store.kind.has(store.settings, source.volume):
            place = self.where(source.provider, source.volume)
            wanted = f"pool {source.pool}" if source.pool else "the default pool"
            raise ExtError(
                f"volume {source.volume!r} is in {place}: its image is to be in {wanted} of {source.provider}, and a"
                " snapshot is where its volume is"
            )
        return store


def _snapshots(wanted: Iterable[tuple[Store, Source]]) -> None:
    with Progress("snapshots"):
        for store, source in wanted:
            store.kind.admin.snapshot(store.settings, source.volume, source.name)


def _remove(store: Store, name: str) -> None:
    """Undo; the error that makes us do so is what matters."""
    try:
        if store.kind.has(store.settings, name):
            store.kind.admin.remove(store.settings, name)
    except (ExtError, OSError) as err:
        warn(str(store), f"snapshot {name!r} stays: {err}")
