"""The interface that a routing table's default route goes out by, asked of the kernel (rtnetlink(7)).

Not by reading what `ip` prints, in which neither the order of the words nor their number is fixed. Tables have the
names that `ip` knows them by.
"""

from __future__ import annotations

import errno
import os
import struct

from ganeti_ext.errors import ContractError
from kvm_ifup import routes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# iproute2's folders; a file in the latter replaces that of the same name in the former.
NAMES = ("/usr/share/iproute2", "/etc/iproute2")
_BUILT_IN = {"default": 253, "main": 254, "local": 255}

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_CODE = struct.Struct("=i")
_ERROR, _DONE, _GET_ROUTE = 2, 3, 26
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_SOL_NETLINK, _STRICT_CHECK = 270, 12  # the kernel heeds the table's number in a dump (Linux 4.20)
_RTA_TABLE = 15
_ROOM = 1 << 16  # twice the most that the kernel puts into one part of a dump


def find(table: str, version: int) -> str:
    """The best interface of the default route of IP version 4 or 6, in a table given by name or number.

    ContractError when there is no such table or no such route, OSError when the kernel refuses to answer.
    """
    number = _number(table)
    found = [route for route in map(routes.parse, _dump(number, version)) if route.table == number]
    way_out = routes.way_out(found)
    if not way_out:
        seen = ", ".join(route.text for route in found[:5]) or "no route at all"
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise ContractError(f"routing table {table!r} has no usable default route of IPv{version}, but {seen}{more}")
    import socket  # noqa: PLC0415 (costs 2 ms, and few taps need it)

    return socket.if_indextoname(way_out[0])


def _number(table: str) -> int:
    known = dict(_BUILT_IN)
    for text in _files().values():
        known.update(routes.names(text))
    try:
        # A name comes before a number, as for `ip`.
        number = known[table] if table in known else int(table, 0)
    except ValueError:
        raise ContractError(f"no routing table is called {table!r} in {' or '.join(NAMES)}") from None
    if not 0 < number < 1 << 32:  # 0 would be all of them
        raise ContractError(f"{table!r} is no routing table: its number is {number}")
    return number


def _files() -> dict[str, str]:
    """Texts of the files with names of tables, by their own names."""
    found = {}
    for folder in NAMES:
        for name in ("rt_tables", *_extra(folder)):
            try:
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                    found[name] = file.read()
            except FileNotFoundError:
                continue
    return found


def _extra(folder: str) -> list[str]:
    try:
        files = os.listdir(os.path.join(folder, "rt_tables.d"))
    except FileNotFoundError:
        return []
    return [os.path.join("rt_tables.d", name) for name in sorted(files) if name.endswith(".conf")]


def _dump(table: int, version: int) -> Iterator[bytes]:
    """Bodies of the messages, one for each route of a table; none where there is no such table."""
    import socket  # noqa: PLC0415 (as above)

    family = socket.AF_INET if version == 4 else socket.AF_INET6
    body = routes.ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0) + struct.pack("=HHI", 8, _RTA_TABLE, table)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        kernel.setsockopt(_SOL_NETLINK, _STRICT_CHECK, 1)
        kernel.send(_HEADER.pack(_HEADER.size + len(body), _GET_ROUTE, _DUMP, 1, 0) + body)
        while True:
            data, at = kernel.recv(_ROOM), 0
            while at < len(data):
                length, kind, *_ = _HEADER.unpack_from(data, at)
                if kind in (_ERROR, _DONE):
                    _end(_CODE.unpack_from(data, at + _HEADER.size)[0])
                    return
                yield data[at + _HEADER.size : at + length]
                at += (length + 3) & ~3


def _end(code: int) -> None:
    """Judge how a dump ended; a table that does not exist has no routes."""
    if code not in (0, -errno.ENOENT):
        raise OSError(-code, f"dump of routes: {os.strerror(-code)}")
