"""A connection to a pool, and the small texts that it keeps for us: keys of one object, changed by compare-and-swap.

RBD's own image-meta has no compare-and-swap; RADOS has, on a key of an object's omap. All texts in one object makes
their list one question. (cls_lock, behind `rados lock`, could not turn an exclusive lock into a shared one in one
step: its owner is a client, and each verb is another.)
"""

from __future__ import annotations

import ctypes
import errno
from ctypes import byref, c_char_p, c_long, c_size_t, c_ubyte, c_uint32, c_uint64, c_void_p, create_string_buffer

from extstorage.rbd_library import CephError, checked, questions, rados

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from ctypes import Array
    from types import TracebackType

    from extstorage.rbd_settings import Settings

TEXTS = b"ganeti-ext.volumes"
EQUAL = 1  # LIBRADOS_CMPXATTR_OP_EQ
PAGE = 1000
NO_SNAPSHOT = (0xFFFFFFFFFFFFFFFE).to_bytes(8, "little")  # CEPH_NOSNAP
BLOCKED = 3600  # seconds, Ceph's own default
_OPTIONS = {
    # A parent that is removed goes to the trash while it has children, and leaves it with the last of them.
    "rbd_move_parent_to_trash_on_remove": "true",
    # Ganeti reads stderr; no files of ours beside those of the cluster's daemons.
    "log_to_stderr": "false",
    "err_to_stderr": "false",
    "log_file": "",
    "admin_socket": "",
}


class Pool:
    """One connection: `cluster` of librados, `io` for librbd. Each answer is awaited for settings.timeout seconds."""

    def __init__(self, settings: Settings) -> None:
        self.name = settings.pool
        self.settings = settings
        self.cluster = c_void_p()
        self.io = c_void_p()
        self._connect()
        what = f"pool {settings.pool!r}"
        try:
            checked(rados().rados_ioctx_create(self.cluster, settings.pool.encode(), byref(self.io)), what)
        except CephError as err:
            if err.number == errno.ENOENT:
                raise CephError(f"{what} does not exist in the cluster of {settings.conf}", err.number) from err
            raise
        # In a full pool: an error at once, not when there is room again; what makes room goes on.
        rados().rados_set_pool_full_try(self.io)

    def _connect(self) -> None:
        settings = self.settings
        where = f"Ceph of {settings.conf}, as client.{settings.user}"
        checked(rados().rados_create(byref(self.cluster), settings.user.encode()), where)
        code = rados().rados_conf_read_file(self.cluster, settings.conf.encode())
        checked(code, f"configuration {settings.conf} of Ceph")
        bound = str(settings.timeout)
        bounds = dict.fromkeys(("client_mount_timeout", "rados_mon_op_timeout", "rados_osd_op_timeout"), bound)
        for key, value in {**_OPTIONS, **bounds}.items():
            checked(rados().rados_conf_set(self.cluster, key.encode(), value.encode()), f"option {key} of Ceph")
        code = rados().rados_connect(self.cluster)
        if code in (-errno.ENOENT, -errno.EACCES):
            where += ": its key is not in the keyring, or not the one that the monitors know"
        checked(code, where)

    def __enter__(self) -> Pool:
        questions.append(self._answers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        questions.remove(self._answers)
        self._disconnect()

    def _disconnect(self) -> None:
        rados().rados_ioctx_destroy(self.io)
        rados().rados_shutdown(self.cluster)

    def _answers(self) -> bool:
        """Whether Ceph answers, in time. For another thread than the one that works with the pool."""
        return int(rados().rados_stat(self.io, TEXTS, byref(c_uint64()), byref(c_long()))) in (0, -errno.ENOENT)

    def has(self, image: str) -> bool:
        """Whether there is an RBD image of that name: rbd makes this object first and removes it last."""
        size, changed = c_uint64(), c_long()
        code = rados().rados_stat(self.io, b"rbd_id." + image.encode(), byref(size), byref(changed))
        return checked(code, f"volume {image!r}", {errno.ENOENT}) == 0

    def _read(self, thing: str) -> bytes:
        """A small object, whole; empty without it."""
        found = create_string_buffer(256)
        code = rados().rados_read(self.io, thing.encode(), found, c_size_t(len(found)), c_uint64(0))
        return found.raw[: max(0, checked(code, f"object {thing} of pool {self.name!r}", {errno.ENOENT}))]

    def size(self, image: str) -> int:
        """Bytes of an RBD image, by two questions (cls_rbd: get_size of no snapshot), where to open it takes many."""
        what, answer = f"size of volume {image!r}", create_string_buffer(9)  # order, size
        header = f"rbd_header.{self.identity(image)}".encode()
        call = (self.io, header, b"rbd", b"get_size", NO_SNAPSHOT, c_size_t(8), answer, c_size_t(9))
        checked(rados().rados_exec(*call), what)
        return int.from_bytes(answer.raw[1:], "little")

    def identity(self, image: str) -> str:
        """What the names of an RBD image's objects have in them; empty without it."""
        return self._read("rbd_id." + image)[4:].decode()  # after its length

    def text(self, key: str) -> str:
        """The text under a key; empty without one."""
        found = c_void_p()
        with _read() as read:
            arguments = (_texts(key), c_size_t(1), _lengths(key), byref(found), None)
            rados().rados_read_op_omap_get_vals_by_keys2(read, *arguments)
            self._look(read)
            return next((value for _, value in _entries(found)), "")

    def texts(self) -> dict[str, str]:
        """All keys and their texts."""
        texts: dict[str, str] = {}
        more = c_ubyte(1)
        while more.value:
            found, after = c_void_p(), max(texts, default="")
            with _read() as read:
                page = (after.encode(), b"", c_uint64(PAGE), byref(found), byref(more), None)
                rados().rados_read_op_omap_get_vals2(read, *page)
                if not self._look(read):
                    break
                texts.update(_entries(found))
        return texts

    def swap(self, key: str, before: str, after: str) -> bool:
        """Put a text in another's place, in one step; False when another than `before` was there. Empty is none."""
        write = c_void_p(rados().rados_create_write_op())
        try:
            rados().rados_write_op_create(write, 0, None)
            old, new = before.encode(), after.encode()
            comparison = (c_ubyte(EQUAL), old, c_size_t(len(key)), c_size_t(len(old)), None)
            rados().rados_write_op_omap_cmp2(write, key.encode(), *comparison)
            if after:
                arguments = (_texts(key), (c_char_p * 1)(new), _lengths(key), (c_size_t * 1)(len(new)), c_size_t(1))
                rados().rados_write_op_omap_set2(write, *arguments)
            else:
                rados().rados_write_op_omap_rm_keys2(write, _texts(key), _lengths(key), c_size_t(1))
            code = rados().rados_write_op_operate(write, self.io, TEXTS, None, 0)
            return checked(code, f"volume {key!r}", {errno.ECANCELED}) >= 0
        finally:
            rados().rados_release_write_op(write)

    def addresses(self) -> str:
        """Our own, as Ceph has them: `127.0.0.1:0/1234`, several after commas."""
        found = c_char_p()
        checked(rados().rados_getaddrs(self.cluster, byref(found)), "our address")
        return (found.value or b"").decode()

    def block(self, address: str) -> None:
        """Have no OSD hear that client any more, for an hour; returns when they know it."""
        what = f"client {address}, to block it, which needs the monitors' profile rbd"
        checked(rados().rados_blocklist_add(self.cluster, address.encode(), c_uint32(BLOCKED)), what)
        checked(rados().rados_wait_for_latest_osdmap(self.cluster), what)

    def _look(self, read: c_void_p) -> bool:
        """False when nothing was ever put."""
        code = rados().rados_read_op_operate(read, self.io, TEXTS, 0)
        return checked(code, f"pool {self.name!r}", {errno.ENOENT}) >= 0


class LastPool(Pool):
    """For who ends with os._exit soon: the kernel closes the connection in no time, librados takes 10 ms for it."""

    def _disconnect(self) -> None:
        """Nothing is under way: each answer was awaited."""


class _read:  # noqa: N801 (a function that makes a context, without contextlib: 5 ms)
    """A read operation of librados, freed at the end."""

    def __enter__(self) -> c_void_p:
        self._read = c_void_p(rados().rados_create_read_op())
        return self._read

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        rados().rados_release_read_op(self._read)


def _texts(key: str) -> Array[c_char_p]:
    return (c_char_p * 1)(key.encode())


def _lengths(key: str) -> Array[c_size_t]:
    return (c_size_t * 1)(len(key))


def _entries(found: c_void_p) -> Iterator[tuple[str, str]]:
    key, value, key_length, length = c_void_p(), c_void_p(), c_size_t(), c_size_t()
    places = (byref(key), byref(value), byref(key_length), byref(length))
    while rados().rados_omap_get_next2(found, *places) >= 0 and key.value:
        yield ctypes.string_at(key.value, key_length.value).decode(errors="replace"), _text(value, length)
    rados().rados_omap_get_end(found)


def _text(value: c_void_p, length: c_size_t) -> str:
    return ctypes.string_at(value.value, length.value).decode(errors="replace") if value.value else ""
