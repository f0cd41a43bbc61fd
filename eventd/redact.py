"""What of an opcode may leave the master: allow-lists, and texts with its secrets blotted out.

OS parameters carry passwords, keys and user data, in plain ones too. So nothing of an opcode's input is told
but what stands here, and its result only where it is known to be harmless.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from eventd.jobs import Op
from ganeti_ext.event import FINAL

_NIC = frozenset(("name", "network", "ip", "mac", "mode", "link", "vlan"))
_DISK = frozenset(("name", "size", "provider", "origin", "mode", "uuid"))
_HVPARAMS = frozenset(("boot_order", "cdrom_image_path"))
_BEPARAMS = frozenset(("vcpus", "minmem", "maxmem", "memory", "auto_balance", "always_failover"))
# Results: node names, new names, job ids; that of SET_PARAMS lists parameters, that of others is null.
_RESULTS = frozenset(("OP_INSTANCE_CREATE", "OP_INSTANCE_RENAME", "OP_NETWORK_RENAME"))

BLOT = "<redacted>"
# Shorter ones are yes, no, 1, ext4: blotting them out would only spoil the text.
_SHORTEST_SECRET = 4
_LONGEST_TEXT = 2000


def job_fields(op: Op) -> dict[str, Any]:
    """The part of an opcode's input that a consumer needs; keys that were not set are left out."""
    fields = {}
    for name, (key, clean) in _FIELDS.get(op.name.split("_")[1], _INSTANCE).items():
        value = op.input.get(name)
        if value is not None:
            fields[key] = clean(value)
    return fields


def result(op: Op) -> object:
    """An opcode's result: a readable line for a failure, else None or harmless data."""
    if op.status not in FINAL:
        return None
    if op.status == "success":
        return op.result if op.name in _RESULTS else None
    return text(op, " ".join(_words(_arguments(op.result)))) or None


def error_code(op: Op) -> str | None:
    """Ganeti's ECODE of a refused opcode, e.g. temp_insufficient_resources."""
    match op.result:
        case ["OpPrereqError", [_, str(code)]] if op.status == "error":
            return code
    return None


def text(op: Op, words: str | None) -> str | None:
    """Words about an opcode in one line, without any value of its OS parameters."""
    if words is None:
        return None
    for secret in sorted(_secrets(op.input), key=len, reverse=True):
        words = words.replace(secret, BLOT)
    line = " ".join(words.split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}..."


def _arguments(failure: object) -> object:
    """What an encoded exception says (ganeti/errors.py EncodeException: [class, arguments])."""
    match failure:
        case ["OpPrereqError", [message, str(code)]]:
            return [message, f"({code})"]
        case [str(kind), [*arguments]]:
            return arguments or kind
    return failure


def _words(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _words(item)
    elif isinstance(value, dict):
        yield from _words(list(value.values()))
    elif value is not None:
        yield str(value)


def _secrets(value: object, *, inside: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _secrets(item, inside=inside or key.startswith("osparams"))
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item, inside=inside)
    elif inside and isinstance(value, str) and len(value) >= _SHORTEST_SECRET:
        yield value
        # An error may quote it as Python or JSON would.
        yield repr(value)[1:-1]
        yield json.dumps(value)[1:-1]


def _same(value: object) -> object:
    return value if isinstance(value, str | int | float | bool) else None


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _some(names: frozenset[str]) -> Callable[[object], dict[str, Any]]:
    def clean(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            return {}
        return {key: _without_login(_same(item)) for key, item in value.items() if key in names}

    return clean


def _devices(names: frozenset[str]) -> Callable[[object], list[Any]]:
    """NICs or disks: of a creation {...}, of a modification [action, index or name, {...}] (older: two of them)."""
    clean = _some(names)

    def device(value: object) -> object:
        if isinstance(value, list):
            return [clean(item) if isinstance(item, dict) else _same(item) for item in value]
        return clean(value)

    return lambda value: [device(item) for item in value] if isinstance(value, list) else []


def _without_login(value: object) -> object:
    """A CD-ROM image may be a URL with a password."""
    return re.sub(r"//[^/@]*@", "//", value) if isinstance(value, str) else value


_Table = dict[str, tuple[str, Callable[[Any], object]]]


def _plain(*names: str) -> _Table:
    return {name: (name, _same) for name in names}


# By the second word of the OP_ID: name in the opcode -> name in job_fields, and what cleans the value.
_INSTANCE: _Table = {
    "nics": ("nics", _devices(_NIC)),
    "disks": ("disks", _devices(_DISK)),
    "hvparams": ("hvparams", _some(_HVPARAMS)),
    "beparams": ("beparams", _some(_BEPARAMS)),
    "tags": ("tags", _texts),
    **_plain("instance_name", "new_name", "os_type", "disk_template", "disk", "amount", "absolute", "start", "dry_run"),
}
_NETWORK: _Table = {
    "network": ("subnet", _same),
    "network6": ("subnet6", _same),
    "tags": ("tags", _texts),
    "add_reserved_ips": ("add_reserved_ips", _texts),
    "remove_reserved_ips": ("remove_reserved_ips", _texts),
    **_plain("gateway", "gateway6", "mac_prefix", "group_name", "network_mode", "network_link", "network_vlan"),
    **_plain("new_name", "dry_run"),
}
_TAGS: _Table = {"tags": ("tags", _texts), **_plain("kind", "dry_run")}
_FIELDS: dict[str, _Table] = {
    "INSTANCE": _INSTANCE,
    "NETWORK": _NETWORK,
    "TAGS": _TAGS,
    "CLUSTER": _plain("dry_run"),
}
