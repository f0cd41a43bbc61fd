"""The environment of hooks that Ganeti itself does not run, in its words (hooksmaster.py, instance_utils.py). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ganeti_ext import members

PATH = "instance-tags"
PHASE = "post"

# Column of luxid's answer -> what Ganeti calls it in the environment.
_NIC = {
    "nic.uuids": "UUID",
    "nic.ips": "IP",
    "nic.macs": "MAC",
    "nic.modes": "MODE",
    "nic.links": "LINK",
    "nic.vlans": "VLAN",
}
# These are left out when there is no value (instance_utils.py; objects.py Network.HooksDict).
_OPTIONAL_NIC = {"nic.names": "NAME", "nic.bridges": "BRIDGE", "nic.networks.names": "NETWORK_NAME"}
_NETWORK = {
    "uuid": "UUID",
    "network": "SUBNET",
    "gateway": "GATEWAY",
    "network6": "SUBNET6",
    "gateway6": "GATEWAY6",
    "mac_prefix": "MAC_PREFIX",
}

Row = Mapping[str, Any]


class Site(NamedTuple):
    """What is the same for all: the cluster's name, its master's, and where Ganeti keeps its data."""

    cluster: str
    master: str
    data_directory: str


def environment(opcode: str, instance: Row, networks: Mapping[str, Row], site: Site, read_at: int) -> dict[str, str]:
    """What the scripts of PATH get.

    `instance` and `networks` (by name, at least those of its NICs) are rows as eventd.inventory has them, and
    `read_at` when they were asked for, in nanoseconds since the epoch.
    """
    return {
        "PATH": "/sbin:/bin:/usr/sbin:/usr/bin",
        "GANETI_HOOKS_VERSION": "2",
        "GANETI_HOOKS_PHASE": PHASE,
        "GANETI_HOOKS_PATH": PATH,
        "GANETI_OP_CODE": opcode,
        "GANETI_OBJECT_TYPE": "INSTANCE",
        "GANETI_DATA_DIR": site.data_directory,
        "GANETI_CLUSTER": site.cluster,
        "GANETI_MASTER": site.master,
        "GANETI_OP_TARGET": instance["name"],
        "GANETI_INSTANCE_NAME": instance["name"],
        "GANETI_INSTANCE_PRIMARY": instance["pnode"],
        "GANETI_INSTANCE_STATUS": instance["admin_state"],
        "GANETI_INSTANCE_TAGS": _tags(instance),
        "GANETI_EXT_TAGS_TIME": f"{read_at // 10**9}.{read_at % 10**9:09}",
        "GANETI_INSTANCE_NIC_COUNT": str(len(instance["nic.macs"] or [])),
        **{f"GANETI_INSTANCE_NIC{key}": value for key, value in _nics(instance, networks)},
    }


def of_members(site: Site, text: str, read_at: int) -> dict[str, str]:
    """What the scripts of members.PATH get; `text` as it has it, `read_at` as above."""
    return {
        "PATH": "/sbin:/bin:/usr/sbin:/usr/bin",
        "GANETI_HOOKS_VERSION": "2",
        "GANETI_HOOKS_PHASE": PHASE,
        "GANETI_HOOKS_PATH": members.PATH,
        "GANETI_OBJECT_TYPE": "CLUSTER",
        "GANETI_DATA_DIR": site.data_directory,
        "GANETI_CLUSTER": site.cluster,
        "GANETI_MASTER": site.master,
        "GANETI_OP_TARGET": site.cluster,
        **members.variables(text, f"{read_at // 10**9}.{read_at % 10**9:09}"),
    }


def _nics(instance: Row, networks: Mapping[str, Row]) -> Iterator[tuple[str, str]]:
    for index in range(len(instance["nic.macs"] or [])):
        for column, key in _NIC.items():
            yield f"{index}_{key}", _text(instance[column], index)
        for column, key in _OPTIONAL_NIC.items():
            if value := _text(instance[column], index):
                yield f"{index}_{key}", value
        network = networks.get(_text(instance["nic.networks.names"], index))
        if network is not None:
            yield f"{index}_NETWORK_TAGS", _tags(network)
            yield from ((f"{index}_NETWORK_{key}", network[field]) for field, key in _NETWORK.items() if network[field])


def _text(column: list[object] | None, index: int) -> str:
    value = column[index] if column and index < len(column) else None
    return "" if value is None else str(value)


def _tags(row: Row) -> str:
    return " ".join(sorted(row["tags"] or []))
