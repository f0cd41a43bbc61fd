"""The URI by which QEMU opens an RBD image, for disks with access=userspace.

Ganeti 3.1 takes no options in it, and gives QEMU pool and image alone (hypervisor/hv_kvm/kvm_utils.py,
ParseStorageUriToBlockdevParam); QEMU then connects as client.admin, as /etc/ceph/ceph.conf says.
"""

from __future__ import annotations

import os

from ganeti_ext.errors import ConfigError, ContractError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.rbd_settings import Settings

RELEASE = "ssconf_release_version"
PLAIN = (3, 1)  # the first release that takes no options
USER, CONF = "admin", "/etc/ceph/ceph.conf"
IMAGE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")


def uri(settings: Settings, name: str) -> str:
    """What follows `kvm:`; ConfigError or ContractError when this release of Ganeti does not let QEMU open it."""
    if _release(settings.data_directory) >= PLAIN:
        told = obstacle(settings)
        if told:
            raise ConfigError(told)
        if not set(name) <= IMAGE:
            raise ContractError(f"volume {name!r}: Ganeti 3.1 opens no RBD image by a name with capitals, _ or +")
    elif not _plain(settings):
        return f"rbd:{settings.pool}/{name}:id={settings.user}:conf={settings.conf}"
    return f"rbd:{settings.pool}/{name}"


def obstacle(settings: Settings) -> str:
    """Why this release of Ganeti gives a pool's images to no QEMU, or an empty text."""
    if _release(settings.data_directory) < PLAIN:
        return ""
    if not _plain(settings):
        return (
            f"rbd: Ganeti 3.1 lets QEMU connect as client.{USER} by {CONF} alone, not as client.{settings.user} by"
            f" {settings.conf}: leave out the parameters user and conf, or set access=kernelspace for these disks"
        )
    if not settings.pool.replace("_", "").isalnum():
        return f"rbd: Ganeti 3.1 takes no pool's name with . - or +, found {settings.pool!r}; or set access=kernelspace"
    return ""


def _plain(settings: Settings) -> bool:
    return (settings.user, settings.conf) == (USER, CONF)


def _release(folder: str) -> tuple[int, ...]:
    """Ganeti's, as (3, 1); (0,) where nobody says."""
    try:
        with open(os.path.join(folder, RELEASE), encoding="ascii") as file:
            words = file.read().strip().replace("~", ".").split(".")[:2]
    except FileNotFoundError:
        return (0,)
    return tuple(int(word) for word in words) if all(word.isdecimal() for word in words) else (0,)
