"""Queries to Ganeti's luxid over its UNIX socket (ganeti-doc, design-2.0.rst "Local interface"; UDSServer.hs).

Spoken here rather than through Ganeti's own client: that costs 150 ms and 20 MB of imports, and its place and
version change with each release, while the messages have stayed the same from 2.5 on: JSON ended by ETX.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from eventd import fastjson
from ganeti_ext.errors import ExtError

_END = b"\x03"
_NORMAL = 0  # RS_NORMAL: the field has a value


class LuxiError(ExtError):
    """luxid could not be asked, or refused."""


def query(
    path: str, what: str, fields: list[str], names: list[str] | None, timeout: float, keys: tuple[str, ...] = ("name",)
) -> list[dict[str, Any]]:
    """The fields of those of the named objects that exist, None for all; a field that has no value now is None.

    `what` is instance or network, `keys` the fields that hold the names, `timeout` in seconds for the whole
    exchange. An instance is found by a short name, too, and all that have it are. Raises LuxiError.
    """
    # A plain choice of names would be refused as a whole for one that is unknown (Query.hs getRequestedNames);
    # as a part of another filter it only finds less.
    chosen = None if names is None else ["&", ["|", *(["=", key, name] for key in keys for name in names)]]
    answer = _call(path, {"method": "Query", "args": [what, fields, chosen]}, timeout)
    try:
        rows = answer["data"]
        return [dict(zip(fields, map(_value, row), strict=True)) for row in rows]
    except (KeyError, TypeError, ValueError) as err:
        raise LuxiError(f"{path}: answer of an unknown shape to a query of {what}: {err}") from err


def _value(cell: Any) -> Any:
    status, value = cell
    return value if status == _NORMAL else None


def _call(path: str, request: dict[str, Any], timeout: float) -> Any:
    deadline = time.monotonic() + timeout
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(timeout)
            sock.connect(path)
            sock.sendall(json.dumps(request).encode() + _END)
            reply = _receive(sock, deadline)
        answer = fastjson.loads(reply)
        success, result = answer["success"], answer["result"]
    except TimeoutError as err:
        raise LuxiError(f"{path}: no answer within {timeout:g} s") from err
    except OSError as err:
        raise LuxiError(f"{path}: {err}") from err
    except (KeyError, TypeError, ValueError) as err:
        raise LuxiError(f"{path}: answer that is not luxi: {err!r}") from err
    if success is not True:
        raise LuxiError(f"{path}: refused: {str(result)[:200]}")
    return result


def _receive(sock: socket.socket, deadline: float) -> bytes:
    received = bytearray()
    while not received.endswith(_END):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        piece = sock.recv(65536)
        if not piece:
            raise ConnectionResetError("closed before the answer's end")
        received += piece
    return bytes(received[: -len(_END)])
