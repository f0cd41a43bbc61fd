"""Makes and removes the snapshot that is a tenant's image."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from extstorage import inventory, node
from extstorage.consistency import Guest, Keeper
from extstorage.consistency_qemu import listens
from extstorage.inventory import PROVIDERS, Choice, Store
from extstorage.inventory_ganeti import Ganeti
from extstorage.tell_progress import Progress
from ganeti_ext.errors import ContractError, ExtError


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

    def save(self, provider: str, volume: str, name: str, instance: str) -> None:
        """Make the snapshot `name` of a volume, of one moment; nothing stays when that fails."""
        store = inventory.where(volume, self._choice(provider))
        if store.pool:
            raise ExtError(f"volume {volume!r} is in {store}: images are made in the default pool of {provider} alone")
        if store.kind.has(store.settings, name):  # a call before this one was killed when it was done
            return
        try:
            self._save(store, volume, name, instance)
        except BaseException:
            if store.kind.has(store.settings, name):
                store.kind.admin.remove(store.settings, name)
            raise

    def _save(self, store: Store, volume: str, name: str, instance: str) -> None:
        qmp = self.ganeti.socket(instance, "qmp")
        if not listens(qmp):
            _snapshot(store, volume, name)
            return
        with Keeper(Guest(qmp, self.ganeti.socket(instance, "qga"))) as keeper:
            _snapshot(store, volume, name)
            lost = keeper.end()
        if lost:
            raise ExtError(f"the snapshot of {volume!r} was not of one moment: {lost}")

    def forget(self, provider: str, name: str) -> None:
        """Remove a snapshot; that there is none is no error."""
        for store in self._choice(provider).stores():
            if not store.pool and store.kind.has(store.settings, name):
                store.kind.admin.remove(store.settings, name)

    def _choice(self, provider: str) -> Choice:
        if provider not in PROVIDERS:
            raise ContractError(f"there is no provider {provider!r}")
        return Choice(self.folder, provider)


def _snapshot(store: Store, volume: str, name: str) -> None:
    with Progress("snapshots"):
        store.kind.admin.snapshot(store.settings, volume, name)
