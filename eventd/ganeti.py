"""What eventd knows of Ganeti beside its jobs: who is master, and how instances and networks stand."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterable
from typing import Any

from eventd import luxi
from ganeti_ext import tags

log = logging.getLogger(__name__)

MASTER_FILE = "ssconf_master_node"
CLUSTER_FILE = "ssconf_cluster_name"

_INSTANCE_FIELDS = [
    *("name", "uuid", "ctime", "mtime", "pnode", "admin_state", "tags", "be/vcpus", "be/minmem", "be/maxmem"),
    *("disk.names", "disk.sizes", "disk.uuids"),
    *("nic.names", "nic.networks.names", "nic.ips", "nic.macs", "nic.modes", "nic.links", "nic.uuids"),
]
_NETWORK_FIELDS = [
    *("name", "mtime", "uuid", "network", "gateway", "network6", "gateway6", "mac_prefix", "tags", "group_list"),
]


class Ganeti:
    """Ganeti on this node.

    `own_name` overrides how this node is called; `timeout` bounds one question, in seconds.
    """

    def __init__(self, data_directory: str, query_socket: str, timeout: float, own_name: str = "") -> None:
        self._data = data_directory
        self._socket = query_socket
        self._timeout = timeout
        # As ganeti/netutils.py Hostname.GetSysName.
        self.own_name = own_name or socket.getfqdn().lower()
        self._trouble = ""

    def is_master(self) -> bool:
        """Whether this node is the master; a node outside any cluster is not."""
        return ssconf(self._data, MASTER_FILE) == self.own_name

    def role(self) -> tuple[str, bool, str]:
        """This node's name, whether it is the master, and the master's name, "" when unknown."""
        master = ssconf(self._data, MASTER_FILE)
        return self.own_name, master == self.own_name, master

    def cluster(self) -> str:
        """The cluster's name, "" when unknown."""
        return ssconf(self._data, CLUSTER_FILE)

    def term(self) -> int | None:
        """What rises with each failover of the master, as the cluster's object is changed then (bootstrap.py).

        None when that cannot be known.
        """
        try:
            with open(os.path.join(self._data, "config.data"), "rb") as file:
                serial = json.load(file)["cluster"]["serial_no"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as err:
            log.debug("config.data: %r", err)
            return None
        return serial if isinstance(serial, int) else None

    def instances(self, names: Iterable[str]) -> dict[str, dict[str, Any]] | None:
        """Configured state by name, of those that exist: the keys of the message (event.py) and `mtime`.

        They may be asked for by their UUIDs, too. There is no oper_state: the nodes are not asked. None when Ganeti
        does not answer; so below.
        """
        rows = self._query("instance", _INSTANCE_FIELDS, names, ("name", "uuid"))
        return None if rows is None else {row["name"]: _instance(row) for row in rows}

    def running(self, names: Iterable[str]) -> dict[str, bool | None] | None:
        """Whether instances run, by name, as their nodes say; None for those whose node does not."""
        rows = self._query("instance", ["name", "oper_state"], names)
        return None if rows is None else {row["name"]: row["oper_state"] for row in rows}

    def networks(self, names: Iterable[str]) -> dict[str, dict[str, Any]] | None:
        """Networks by name, of those that exist: `network_data` and `mtime`."""
        rows = self._query("network", _NETWORK_FIELDS, names)
        return None if rows is None else {row["name"]: _network(row) for row in rows}

    def _query(
        self, what: str, fields: list[str], names: Iterable[str], keys: tuple[str, ...] = ("name",)
    ) -> list[dict[str, Any]] | None:
        try:
            found = luxi.query(self._socket, what, fields, sorted(names), self._timeout, keys)
        except luxi.LuxiError as err:
            if str(err) != self._trouble:
                log.warning("events go without data of instances and networks: %s", err)
            self._trouble = str(err)
            return None
        if self._trouble:
            log.info("%s answers again", self._socket)
        self._trouble = ""
        return found


def ssconf(data_directory: str, name: str) -> str:
    """What Ganeti wrote into one of these files, which every node has; "" when there is none."""
    try:
        with open(os.path.join(data_directory, name), encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


def _instance(row: dict[str, Any]) -> dict[str, Any]:
    nics = _columns(row, "nic.", name="names", network="networks.names", ip="ips", mac="macs", mode="modes",
                    link="links", uuid="uuids")  # fmt: skip
    state = {key: row[key] for key in ("uuid", "ctime", "admin_state", "pnode")}
    state |= {"tags": row["tags"] or [], "beparams": {key: row[f"be/{key}"] for key in ("vcpus", "minmem", "maxmem")}}
    return {
        "mtime": row["mtime"],
        "instance_nics": nics,
        "instance_disks": _columns(row, "disk.", name="names", size="sizes", uuid="uuids"),
        "instance_state": state,
    }


def _network(row: dict[str, Any]) -> dict[str, Any]:
    renamed = {"network": "subnet", "network6": "subnet6", "group_list": "groups"}
    data = {renamed.get(key, key): value for key, value in row.items() if key != "mtime"}
    data["tags"] = [tag for tag in row["tags"] or () if not tag.startswith(tags.PORTS)]  # those are nobody's to hear
    return {"mtime": row["mtime"], "network_data": data}


def _columns(row: dict[str, Any], prefix: str, **fields: str) -> list[dict[str, Any]]:
    """Ganeti's lists, one per property, as one list of objects."""
    columns = [row[prefix + field] or [] for field in fields.values()]
    return [dict(zip(fields, values, strict=True)) for values in zip(*columns, strict=False)]
