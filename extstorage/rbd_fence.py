"""Clients of Ceph that have an image open and must not write it any more.

RBD's own lock is no protection: a client that wants it gets it from one that lives, and waits half a minute for one
that died. Ceph's blocklist is: its OSDs hear no more of that client, and its lock is free at once.
"""

from __future__ import annotations

import errno
from ctypes import Structure, byref, c_char_p, c_int, c_int64, c_size_t, c_uint64, create_string_buffer

from extstorage import rbd_notify
from extstorage.rbd_image import Image
from extstorage.rbd_library import checked, rbd
from extstorage.warning import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.rbd_pool import Pool

# librbd's NotifyMessage "the header was updated" (librbd/WatchNotifyTypes.h): version 7, compatible with 1, 4 octets,
# operation 3. Clients read the header again, and answer.
HEADER_UPDATE = b"\x07\x01\x04\x00\x00\x00\x03\x00\x00\x00"


class Watcher(Structure):
    """rbd_image_watcher_t: one that has the image open for writing."""

    _fields_ = (("addr", c_char_p), ("id", c_int64), ("cookie", c_uint64))


def fence(pool: Pool, name: str, *, others: bool = False, own: bool = False) -> list[str]:
    """Block the clients that have an image open and must not; returns their addresses.

    Those are the ones that do not answer; with `others`, all of other hosts too, dead or not, with `own` those of this
    one. A client without a watch may still hold RBD's lock, and what it wrote last be on its way: it is blocked, too.
    """
    blocked = _theirs(pool, name, others=others, own=own) if others or own else []
    # Then those who are left. To block a client that was only slow costs its guest the disk: hence settings.patience.
    silent = rbd_notify.silent(pool, f"rbd_header.{pool.identity(name)}", HEADER_UPDATE, pool.settings.patience)
    if silent:
        with Image(pool, name, write=False) as image:
            dead = [address for address, client, cookie in watchers(image) if (client, cookie) in silent]
        blocked += _block(pool, name, [address for address in dead if address not in blocked])
    return blocked


def _theirs(pool: Pool, name: str, *, others: bool, own: bool) -> list[str]:
    with Image(pool, name, write=False) as image:
        clients = [address for address, _, _ in watchers(image)]
        clients += [address for address in owners(image) if address not in clients]
    here = {_host(address) for address in pool.addresses().split(",")}
    return _block(pool, name, [address for address in clients if (own if _host(address) in here else others)])


def _block(pool: Pool, name: str, addresses: list[str]) -> list[str]:
    for address in addresses:
        pool.block(address)
        warn("rbd", f"volume {name!r}: the client {address}, which had it open, can write no more")
    return addresses


def watchers(image: Image) -> list[tuple[str, int, int]]:
    """Address, client and cookie of each that has an image open for writing."""
    count = c_size_t(8)
    while True:
        found = (Watcher * count.value)()
        code = rbd().rbd_watchers_list(image.handle, found, byref(count))
        if checked(code, f"clients of volume {image.name!r}", {errno.ERANGE}) >= 0:
            break
    result = [(one.addr.decode(), one.id, one.cookie) for one in found[: count.value]]
    rbd().rbd_watchers_list_cleanup(found, count)
    return result


def owners(image: Image) -> list[str]:
    """Addresses of those who hold RBD's lock of an image: of one at most, as librbd uses it."""
    sizes = [c_size_t(256) for _ in range(4)]
    while True:
        rooms = [create_string_buffer(size.value) for size in sizes]
        places = [place for room, size in zip(rooms, sizes, strict=True) for place in (room, byref(size))]
        count = rbd().rbd_list_lockers(image.handle, byref(c_int()), *places)  # tag, clients, cookies, addresses
        if checked(count, f"lock of volume {image.name!r}", {errno.ERANGE, errno.ENOENT}) != -errno.ERANGE:
            break
    return [text.decode() for text in rooms[3].raw.split(b"\0")[: max(0, count)]]


def _host(address: str) -> str:
    """Of `v2:10.0.0.1:0/12345` or `10.0.0.1:0/12345`."""
    return address.rpartition("/")[0].rpartition(":")[0].removeprefix("v1:").removeprefix("v2:").strip("[]()")
