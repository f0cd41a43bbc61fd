"""The stores of this node, and which of them a volume is in: what the administrator's command starts from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from extstorage import cow, cow_admin, layout, provider, rbd, rbd_admin, rbd_library, rbd_pool, rbd_settings
from ganeti_ext.errors import ContractError, ExtError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any


class Kind(NamedTuple):
    """A provider as this command knows it.

    `verbs` is its module (provider.Provider), `admin` the one with what only administrators do. `lacks` tells why a
    node cannot use it at all, or nothing; `has` whether there is a volume, `room` the bytes of a store in all and free.
    """

    verbs: Any
    admin: Any
    lacks: Callable[[Any], str]
    has: Callable[[Any, str], bool]
    room: Callable[[Any], tuple[int, int] | None]


class Store(NamedTuple):
    """One of a provider's pools; `pool` is empty for the one that disks without that parameter are in."""

    provider: str
    pool: str
    settings: Any

    @property
    def kind(self) -> Kind:
        return PROVIDERS[self.provider]

    def __str__(self) -> str:
        return f"{self.provider}:{self.pool}" if self.pool else self.provider

    @property
    def options(self) -> str:
        """What an administrator types to mean this one."""
        return f"--provider={self.provider}" + (f" --pool={self.pool}" if self.pool else "")


def _cow_lacks(settings: layout.Settings) -> str:
    path = f"{settings.directory}/volumes"
    return "" if os.path.isdir(path) else f"{path} does not exist: is the shared directory mounted on this node?"


def _cow_has(settings: layout.Settings, name: str) -> bool:
    return layout.existing(settings, name) is not None


def _cow_room(settings: layout.Settings) -> tuple[int, int] | None:
    found = os.statvfs(settings.directory)
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize


def _rbd_lacks(settings: rbd_settings.Settings) -> str:
    if not os.path.exists(settings.conf):
        return f"{settings.conf} does not exist: is Ceph configured on this node?"
    try:
        rbd_library.rbd()
    except ExtError as err:
        return str(err)
    return ""


def _rbd_has(settings: rbd_settings.Settings, name: str) -> bool:
    checked = rbd_settings.volume_name(name)
    with rbd_pool.Pool(settings) as pool:
        return pool.has(checked)


PROVIDERS: Mapping[str, Kind] = {
    cow.NAME: Kind(cow, cow_admin, _cow_lacks, _cow_has, _cow_room),
    rbd.NAME: Kind(rbd, rbd_admin, _rbd_lacks, _rbd_has, rbd_admin.capacity),
}


class Choice(NamedTuple):
    """What the options say of providers: all that this node has, or one; all its pools, or one."""

    folder: str  # of the configuration files
    provider: str | None = None
    pool: str | None = None

    def stores(self, used: Iterable[tuple[str, str]] = ()) -> list[Store]:
        """The stores that are meant. `used`: providers and pools that Ganeti's disks are in, configured or not.

        ExtError when this node can use none, or not the one that was named or that disks are in.
        """
        used = set(used)
        wanted = {name for name, _ in used}
        found: list[Store] = []
        why: dict[str, str] = {}
        for name in [self.provider] if self.provider else PROVIDERS:
            try:
                mine = self._of(name, {pool for owner, pool in used if owner == name})
            except ContractError as err:  # it has no such pool
                if self.provider or name in wanted:
                    raise
                why[name] = str(err)
                continue
            lacks = PROVIDERS[name].lacks(mine[0].settings)
            if not lacks:
                found += mine
                if self.pool:  # the next one may call any name a pool
                    break
            elif self.provider or name in wanted:
                raise ExtError(f"{name}: {lacks}")
            else:
                why[name] = lacks
        if not found:
            raise ExtError("; ".join(f"{name}: {lacks}" for name, lacks in why.items()))
        return found

    def one(self) -> Store:
        """The store that something new is made in: the options name it, unless there is but one provider."""
        found: dict[str, Store] = {store.provider: store for store in reversed(self.stores())}
        if len(found) > 1:
            raise ContractError(f"say where: --provider={' or --provider='.join(sorted(found))}")
        (only,) = found.values()
        return only

    def _of(self, name: str, used: set[str]) -> list[Store]:
        path = provider.config_path(name, {"GANETI_EXT_CONFIG_DIR": self.folder})
        kind = PROVIDERS[name]
        if self.pool is not None:
            return [Store(name, self.pool, kind.verbs.load(path, {"pool": self.pool}))]
        known = {pool: Store(name, pool, settings) for pool, settings in kind.admin.stores(path)}
        named = {getattr(store.settings, "pool", store.pool) for store in known.values()}
        for pool in sorted(used - set(known) - named):
            known[pool] = Store(name, pool, kind.verbs.load(path, {"pool": pool}))
        return list(known.values())


def where(name: str, choice: Choice) -> Store:
    """The store that a volume is in; ExtError when it is in none, or in more than one."""
    found, refused = [], []
    for store in choice.stores():
        try:
            if store.kind.has(store.settings, name):
                found.append(store)
        except ContractError as err:  # no name for this provider
            refused.append(err)
    if len(found) > 1:
        raise ExtError(f"volume {name!r} is in more than one store; say {' or '.join(one.options for one in found)}")
    if not found:
        raise refused[0] if refused else ExtError(f"volume {name!r} does not exist in any store of this node")
    return found[0]
