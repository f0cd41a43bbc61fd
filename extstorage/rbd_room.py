"""How much room a pool has, as `ceph df` tells."""

from __future__ import annotations

import ctypes
import json
from ctypes import byref, c_char_p, c_size_t, c_void_p

from extstorage.rbd_library import checked, rados
from extstorage.rbd_pool import Pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.rbd_settings import Settings


def capacity(settings: Settings) -> tuple[int, int] | None:
    """Bytes of data that fit into the pool, copies not counted, and how many more do; None while Ceph does not know."""
    with Pool(settings) as pool:
        found = json.loads(_ask(pool, {"prefix": "df", "format": "json"}))
    stats: dict[str, int] = next((one["stats"] for one in found["pools"] if one["name"] == settings.pool), {})
    if "max_avail" not in stats:
        return None
    return stats.get("stored", stats.get("bytes_used", 0)) + stats["max_avail"], stats["max_avail"]


def _ask(pool: Pool, command: dict[str, str]) -> str:
    """A monitor's answer."""
    words = (c_char_p * 1)(json.dumps(command).encode())
    answer, told, size, length = c_void_p(), c_void_p(), c_size_t(), c_size_t()
    places = (byref(answer), byref(size), byref(told), byref(length))
    code = rados().rados_mon_command(pool.cluster, words, c_size_t(1), None, c_size_t(0), *places)
    try:
        checked(code, f"room of pool {pool.name!r}")
        return ctypes.string_at(answer.value or 0, size.value).decode() if size.value else "{}"
    finally:
        for buffer in (answer, told):
            rados().rados_buffer_free(buffer)
