"""The provider `rbd`: volumes are RBD images in a pool of Ceph, clones are RBD's clones.

With access=userspace QEMU speaks to Ceph itself, by the URI that `attach` prints; else the kernel maps the image.
Most calls are of `attach`, and most of these need no Ceph: what asks Ceph is in rbd_verbs, loaded when it is needed.
"""

from __future__ import annotations

from extstorage import rbd_device, rbd_memory, rbd_settings, rbd_uri
from extstorage.rbd_settings import volume_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from extstorage.rbd_settings import Settings
    from ganeti_ext.volenv import Volume

NAME = rbd_settings.NAME
load = rbd_settings.load


def attach(settings: Settings, volume: Volume) -> str:
    """The URI for QEMU, or the kernel's device; empty, and success, if the volume does not exist.

    Ganeti takes an empty answer for "there is no such device": its removal and shutdown then have nothing to do. It
    asks several times in each operation; a memory of some seconds answers all but the first without Ceph.
    """
    name = volume_name(volume.name)
    kernel = volume.params.get("access", "kernelspace") != "userspace"
    if kernel and (found := rbd_device.mapped(settings, name)):
        return found[0]
    if not rbd_memory.exists(settings, name) and not _seen(settings, name):
        return ""
    if kernel:
        return rbd_device.attach(settings, name)
    return f"\nkvm:{rbd_uri.uri(settings, name)}"


def verify(settings: Settings) -> None:
    """ExtError when volumes cannot be made; warnings of what calls and nodes that died left, and of long chains."""
    from extstorage import rbd_repair  # noqa: PLC0415 (see above)

    rbd_repair.verify(settings)


def _seen(settings: Settings, name: str) -> bool:
    from extstorage import rbd_pool  # noqa: PLC0415 (see above)

    with rbd_pool.LastPool(settings) as pool:
        found = pool.has(name)
    if found:
        rbd_memory.note(settings, name)
    return found


def _asking(verb: str) -> Callable[[Settings, Volume], None]:
    def call(settings: Settings, volume: Volume) -> None:
        from extstorage import rbd_verbs  # noqa: PLC0415 (see above)
        from extstorage.rbd_watchdog import FACTOR, Watchdog  # noqa: PLC0415 (see above)

        with Watchdog(f"{verb.rstrip('_')}: volume {volume.name!r}", FACTOR * settings.timeout):
            getattr(rbd_verbs, verb)(settings, volume)

    return call


create = _asking("create")
detach = _asking("detach")
remove = _asking("remove")
grow = _asking("grow")
setinfo = _asking("setinfo")
snapshot = _asking("snapshot")
open_ = _asking("open_")
close = _asking("close")
