"""What images, snapshots and volumes take of their stores, and whose disks the volumes are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extstorage import ctl_volumes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from extstorage.inventory import Choice
    from extstorage.inventory_ganeti import Ganeti

    Facts = dict[str, Any]


def rows(choice: Choice, ganeti: Ganeti) -> Iterator[Facts]:
    """Octets of each. `instance` and `disk` are Ganeti's names of a volume's disk; null for what is none, and on a node
    that has no copy of Ganeti's configuration."""
    configuration = ganeti.configuration()
    for store in choice.stores():
        mine = ctl_volumes.disks(store, configuration.disks) if configuration else []
        disks = {disk.volume: disk for disk in mine}
        for one in store.kind.admin.listing(store.settings):
            disk = disks.get(one.name)
            yield {
                "name": one.name,
                "kind": one.kind,
                "provider": store.provider,
                "pool": store.pool,
                "store": str(store),
                "origin": one.origin,
                "logical": one.logical,
                "physical": one.physical,
                "exclusive": one.exclusive,
                "instance": (disk.instance or None) if disk else None,
                "disk": (disk.name or None) if disk else None,
            }
