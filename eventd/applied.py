"""What a job's own file says was done to NICs and disks: as new as the job, whatever Ganeti answers later. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eventd.jobs import Op

_NIC = frozenset(("name", "network", "ip", "mac", "mode", "link", "vlan"))
_DISK = frozenset(("name", "size", "mode", "uuid"))
# Wishes that Ganeti fills in itself (constants.VALUE_AUTO, VALUE_GENERATE, NIC_IP_POOL, VALUE_DEFAULT).
_WISHES = frozenset(("auto", "generate", "pool", "default"))

Change = dict[str, Any]


def changes(op: Op) -> dict[str, Any]:
    """{"applied": {nics[], disks[]}} of a creation or modification that succeeded, else {}.

    Each is {index, action add remove attach detach modify, and the values that are known}; `hotplug` is whether a
    running instance has it, too. What Ganeti has chosen for a creation is in no job.
    """
    if op.status != "success" or op.input.get("dry_run"):
        return {}
    if op.name == "OP_INSTANCE_CREATE":
        return {"applied": {"nics": _created(op, "nics", _NIC), "disks": _created(op, "disks", _DISK)}}
    if op.name == "OP_INSTANCE_SET_PARAMS":
        found = list(_modified(op.result))
        return {"applied": {f"{kind}s": [change for of, change in found if of == kind] for kind in ("nic", "disk")}}
    return {}


def _created(op: Op, key: str, names: frozenset[str]) -> list[Change]:
    devices = op.input.get(key)
    if not isinstance(devices, list):
        return []
    return [
        {"index": index, "action": "add", **_known(device, names)}
        for index, device in enumerate(devices)
        if isinstance(device, dict)
    ]


def _known(device: dict[str, Any], names: frozenset[str]) -> Change:
    return {
        key: value
        for key, value in device.items()
        if key in names and isinstance(value, str | int) and value not in _WISHES
    }


def _modified(result: object) -> Iterator[tuple[str, Change]]:
    """From the lines that `gnt-instance modify` prints (cmdlib/instance_set_params.py, instance_utils.py)."""
    last: dict[tuple[str, int], Change] = {}
    for what, value in _pairs(result):
        kind, index, field = _place(what)
        if not kind:
            continue
        change = _change(field, value, _NIC if kind == "nic" else _DISK)
        same = last.get((kind, index))
        if same is not None and "action" not in change and ("hotplug" in change or same["action"] == "modify"):
            same.update(change)
            continue
        new = {"index": index, "action": "modify", **change}
        if "action" in change:
            last.clear()  # the others may have other places now
        last[kind, index] = new
        yield kind, new


def _pairs(result: object) -> Iterator[tuple[str, object]]:
    for line in result if isinstance(result, list) else []:
        match line:
            case [str(what), value]:
                yield what, value


def _place(what: str) -> tuple[str, int, str]:
    """("nic", 0, "mac") of "nic.mac/0", ("nic", 0, "") of "nic.0" and "nic/0"; the first is "" for other lines."""
    head, slash, number = what.rpartition("/")
    if not slash:
        head, _, number = what.rpartition(".")
    kind, _, field = head.partition(".")
    return (kind, int(number), field) if kind in ("nic", "disk") and number.isdecimal() else ("", 0, "")


def _change(field: str, value: object, names: frozenset[str]) -> Change:
    if field:
        return {field: value} if field in names and isinstance(value, str | int | None) else {}
    verb, _, rest = str(value).partition(":")
    if verb == "hotplug":
        return {"hotplug": rest == "done"}
    pairs = [pair.partition("=") for pair in rest.split(",")] if verb in ("add", "attach") else []
    known: Change = {key: None if text == "None" else text for key, _, text in pairs if key in names}
    if "size" in known and known["size"].isdecimal():
        known["size"] = int(known["size"])
    return {"action": verb, **known} if verb in ("add", "attach", "remove", "detach") else {}
