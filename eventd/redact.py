"""What of an opcode may leave the master: allow-lists, and texts with its secrets blotted out.

OS parameters carry passwords, keys and user data, in plain ones too; hypervisor and allocator parameters may. So
nothing of an opcode's input is told but what stands here, its result only where it is known to be harmless, and
texts (a failure, a line of the log, a reason) without the values of all such parameters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from eventd.jobs import Op
from ganeti_ext.event import FINAL

_NIC = frozenset(("name", "network", "ip", "mac", "mode", "link", "vlan"))
_DISK = frozenset(("name", "size", "provider", "origin", "mode", "uuid"))
_HVPARAMS = frozenset(("boot_order", "cdrom_image_path"))
_BEPARAMS = frozenset(("vcpus", "minmem", "maxmem", "memory", "auto_balance", "always_failover"))
# Results: node names and new names. That of SET_PARAMS lists parameters, those of others are null or jobs' numbers.
_RESULTS = frozenset((
    "OP_INSTANCE_CREATE", "OP_INSTANCE_RENAME", "OP_NETWORK_RENAME", "OP_GROUP_RENAME", "OP_CLUSTER_RENAME",
))  # fmt: skip
# What every opcode has, and what says nothing of what it does.
_OF_ALL = frozenset(("OP_ID", "dry_run", "debug_level", "priority", "depends", "comment", "reason", "force"))
# Keys of an opcode's input, at any depth, below which every text is a secret.
_SECRET = re.compile(
    r"osparams|os_hvp|passw|passphrase|secret|token|credential|private|handshake|kernel_args|kvm_extra|oob_program"
    r"|iallocator_params|(^|_)key(_|$)",
    re.IGNORECASE,
)
# What a text may quote of a parameter's value, or of what an operator typed.
_NAMED_SECRET = re.compile(r"(?i)((?:passw(?:or)?d|passphrase|secret|token)[\w.-]*[\"']?\s?[=:]\s?[\"']?)([^\s\"',;]+)")

BLOT = "<redacted>"
# Shorter ones are yes, no, 1, ext4: blotting them out would only spoil the text.
_SHORTEST_SECRET = 4
_LONGEST_TEXT = 2000
_LONGEST_TRAIL = 20
_LONGEST_KEY = 100  # of a parameter that is one


def job_fields(op: Op) -> dict[str, Any]:
    """The part of an opcode's input that a consumer needs; keys that were not set are left out."""
    fields = {}
    family = op.name.split("_")[1]
    for name, (key, clean) in _FIELDS.get(family, _INSTANCE).items():
        value = op.input.get(name)
        if value is not None:
            fields[key] = clean(value)
    if op.name == "OP_CLUSTER_SET_PARAMS":
        changed = (name for name, value in op.input.items() if name not in _OF_ALL and value not in (None, []))
        fields["changed"] = sorted(changed)
    return fields


def result(op: Op, found: Sequence[str] | None = None) -> object:
    """An opcode's result: a readable line for a failure, else None or harmless data; `found` as of `text`."""
    if op.status not in FINAL:
        return None
    if op.status == "success":
        return op.result if op.name in _RESULTS else None
    return text(op, " ".join(_words(_arguments(op.result))), found) or None


def error_code(op: Op) -> str | None:
    """Ganeti's ECODE of a refused opcode, e.g. temp_insufficient_resources."""
    match op.result:
        case ["OpPrereqError", [_, str(code)]] if op.status == "error":
            return code
    return None


def text(op: Op, words: str | None, found: Sequence[str] | None = None) -> str | None:
    """Words about an opcode in one line, without any value of its secrets; `found` are these, when they are known."""
    if not words:
        return words
    for secret in secrets(op) if found is None else found:
        words = words.replace(secret, BLOT)
    words = _NAMED_SECRET.sub(rf"\1{BLOT}", without_login(words))
    line = " ".join(words.split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}..."


def reason(op: Op, found: Sequence[str] | None = None) -> list[list[str]]:
    """The opcode's reason trail, who wanted it and why: [source, text] each; when, the job's times say."""
    trail = op.input.get("reason")
    known = secrets(op) if found is None else found
    steps = []
    for step in trail if isinstance(trail, list) else []:
        match step:
            case [str(source), str(words), *_]:
                steps.append([text(op, source, known) or "", text(op, words, known) or ""])
    return steps[:_LONGEST_TRAIL]


def secrets(op: Op) -> list[str]:
    """The values in an opcode's input that no text may show, the longest first."""
    return sorted(set(_secrets(op.input)), key=len, reverse=True)


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
            hidden = inside or _is_secret(key)
            if hidden or isinstance(item, dict | list):
                yield from _secrets(item, inside=hidden)
    elif isinstance(value, list):
        for item in value:
            if inside or isinstance(item, dict | list):
                yield from _secrets(item, inside=inside)
    elif inside and isinstance(value, str) and len(value) >= _SHORTEST_SECRET:
        yield value
        # An error may quote it as Python or JSON would.
        yield repr(value)[1:-1]
        yield json.dumps(value)[1:-1]


@lru_cache(1000)
def _is_secret(key: str) -> bool:
    return len(key) > _LONGEST_KEY or _SECRET.search(key) is not None


def _same(value: object) -> object:
    return value if isinstance(value, str | int | float | bool) else None


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _some(names: frozenset[str]) -> Callable[[object], dict[str, Any]]:
    def clean(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            return {}
        return {key: _plainly(_same(item)) for key, item in value.items() if key in names}

    return clean


def _devices(names: frozenset[str]) -> Callable[[object], list[Any]]:
    """NICs or disks: of a creation {...}, of a modification [action, index or name, {...}] (older: two of them)."""
    clean = _some(names)

    def device(value: object) -> object:
        if isinstance(value, list):
            return [clean(item) if isinstance(item, dict) else _same(item) for item in value]
        return clean(value)

    return lambda value: [device(item) for item in value] if isinstance(value, list) else []


def _plainly(value: object) -> object:
    """A CD-ROM image may be a URL with a password."""
    return without_login(value) if isinstance(value, str) else value


def without_login(words: str) -> str:
    """URLs in a text without who they log in as."""
    return re.sub(r"//[^/@\s]*@", "//", words) if "//" in words else words


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
_NODE: _Table = {
    **_plain("master_candidate", "offline", "drained", "master_capable", "vm_capable", "powered", "auto_promote"),
    **_plain("primary_ip", "secondary_ip", "group", "readd", "mode", "target_node", "remote_node", "dry_run"),
}
_GROUP: _Table = {
    "nodes": ("nodes", _texts),
    "target_groups": ("target_groups", _texts),
    **_plain("alloc_policy", "new_name", "dry_run"),
}
_CLUSTER: _Table = {"name": ("new_name", _same), **_plain("dry_run")}
_TAGS: _Table = {"tags": ("tags", _texts), **_plain("kind", "dry_run")}
_FIELDS: dict[str, _Table] = {
    "INSTANCE": _INSTANCE,
    "NETWORK": _NETWORK,
    "NODE": _NODE,
    "GROUP": _GROUP,
    "TAGS": _TAGS,
    "CLUSTER": _CLUSTER,
}
