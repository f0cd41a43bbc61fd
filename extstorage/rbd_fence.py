"""Clients of Ceph that have an image open and must not write it any more.

RBD's own lock is no protection: a client that wants it gets it from one that lives, and waits half a minute for one
that died. Ceph's blocklist is: its OSDs hear no more of that client, and its lock is free at once.
"""

from __future__ import annotations

import errno
from ctypes import (
    POINTER,
    Structure,
    byref,
    c_char_p,
    c_int64,
    c_size_t,
    c_uint64,
    c_void_p,
    cast,
)

from extstorage.rbd_image import Image
from extstorage.rbd_library import checked, rados, rbd
from extstorage.warning import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.rbd_pool import Pool

# Milliseconds that a client has to answer. To block one that was only slow costs its guest the disk.
PATIENCE = 5000
# librbd's NotifyMessage "the header was updated" (librbd/WatchNotifyTypes.h): version 7, compatible with 1, 4 octets,
# operation 3. Clients read the header again, and answer.
HEADER_UPDATE = b"\x07\x01\x04\x00\x00\x00\x03\x00\x00\x00"


class Watcher(Structure):
    """rbd_image_watcher_t: one that has the image open for writing."""

    _fields_ = (("addr", c_char_p), ("id", c_int64), ("cookie", c_uint64))


class Deaf(Structure):
    """notify_timeout_t of librados."""

    _fields_ = (("notifier_id", c_uint64), ("cookie", c_uint64))


def fence(pool: Pool, name: str, *, others: bool) -> list[str]:
    """Block the clients that have an image open and are dead; returns their addresses.

    Those are the ones that do not answer; with `others`, when another node's part of the lock was taken away, all of
    other hosts too, dead or not.
    """
    silent = _deaf(pool, name)
    if not silent and not others:
        return []
    with Image(pool, name, write=False) as image:
        found = watchers(image)
    own = {_host(address) for address in pool.addresses().split(",")}
    blocked = [
        address
        for address, client, cookie in found
        if (client, cookie) in silent or (others and _host(address) not in own)
    ]
    for address in blocked:
        pool.block(address)
        warn("rbd", f"volume {name!r}: the client {address}, which had it open and is dead, can no longer write")
    return blocked


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


def _deaf(pool: Pool, name: str) -> set[tuple[int, int]]:
    """Client and cookie of each that has an image open and does not answer. Quick where nobody has it, or all live."""
    header = f"rbd_header.{pool.identity(name)}"
    reply, length = c_void_p(), c_size_t()
    what = (header.encode(), HEADER_UPDATE, len(HEADER_UPDATE), c_uint64(PATIENCE), byref(reply), byref(length))
    code = rados().rados_notify2(pool.io, *what)
    if checked(code, f"clients of volume {name!r}", {errno.ENOENT, errno.ETIMEDOUT}) == -errno.ENOENT:
        return set()
    acks, timeouts, answered, silent = c_void_p(), c_void_p(), c_size_t(), c_size_t()
    places = (byref(acks), byref(answered), byref(timeouts), byref(silent))
    checked(rados().rados_decode_notify_response(reply, length, *places), f"clients of volume {name!r}")
    found = cast(timeouts, POINTER(Deaf))
    result = {(found[number].notifier_id, found[number].cookie) for number in range(silent.value)}
    rados().rados_free_notify_response(acks, answered, timeouts)
    rados().rados_buffer_free(reply)
    return result


def _host(address: str) -> str:
    """Of `v2:10.0.0.1:0/12345` or `10.0.0.1:0/12345`."""
    return address.rpartition("/")[0].rpartition(":")[0].removeprefix("v1:").removeprefix("v2:").strip("[]()")
