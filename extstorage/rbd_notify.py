"""A message to all clients that watch an object of RADOS, and which of them do not answer it."""

from __future__ import annotations

import _thread
import errno
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_size_t, c_uint64, c_void_p, cast

from extstorage.rbd_library import CephError, checked, rados

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from extstorage.rbd_pool import Pool

_Done = CFUNCTYPE(None, c_void_p, c_void_p)
_lost: list[Any] = []  # what librados may still write to


class Deaf(Structure):
    """notify_timeout_t of librados."""

    _fields_ = (("notifier_id", c_uint64), ("cookie", c_uint64))


def silent(pool: Pool, thing: str, message: bytes, patience: float) -> set[tuple[int, int]]:
    """Client and cookie of each watcher that does not answer within `patience` seconds; none without the object.

    librados bounds no notification itself (rados_osd_op_timeout is not for them): CephError when Ceph does not tell.
    """
    reply, length, what = c_void_p(), c_size_t(), f"object {thing} of pool {pool.name!r}, to notify its watchers"
    done = _thread.allocate_lock()
    done.acquire()
    call = _Done(lambda *_: done.release())
    completion = c_void_p()
    checked(rados().rados_aio_create_completion2(None, call, byref(completion)), what)
    where = (pool.io, thing.encode(), completion, message, len(message), c_uint64(int(patience * 1000)))
    checked(rados().rados_aio_notify(*where, byref(reply), byref(length)), what)
    if not done.acquire(timeout=patience + pool.settings.timeout):
        _lost.append((call, reply, length, completion))
        raise CephError(f"{what}: Ceph does not answer", errno.ETIMEDOUT)
    code = rados().rados_aio_get_return_value(completion)
    rados().rados_aio_release(completion)
    if checked(code, what, {errno.ENOENT, errno.ETIMEDOUT}) == -errno.ENOENT:
        return set()
    try:
        return _silent(reply, length, what)
    finally:
        rados().rados_buffer_free(reply)


def _silent(reply: c_void_p, length: c_size_t, what: str) -> set[tuple[int, int]]:
    if not reply.value:  # it was Ceph itself that did not answer
        raise CephError(f"{what}: Ceph does not answer", errno.ETIMEDOUT)
    acks, timeouts, answered, count = c_void_p(), c_void_p(), c_size_t(), c_size_t()
    places = (byref(acks), byref(answered), byref(timeouts), byref(count))
    checked(rados().rados_decode_notify_response(reply, length, *places), what)
    found = cast(timeouts, POINTER(Deaf))
    result = {(found[number].notifier_id, found[number].cookie) for number in range(count.value)}
    rados().rados_free_notify_response(acks, answered, timeouts)
    return result
