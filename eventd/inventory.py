"""What a teller of tags asks Ganeti: how instances and networks are configured now, and where their nodes are."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

from eventd import luxi
from eventd.ganeti import MASTER_FILE, ssconf
from eventd.hook_env import Site

log = logging.getLogger(__name__)

_INSTANCE = [
    *("name", "mtime", "pnode", "admin_state", "tags", "nic.names", "nic.uuids", "nic.ips", "nic.macs", "nic.modes"),
    *("nic.links", "nic.vlans", "nic.bridges", "nic.networks.names"),
]
_MEMBER = ["name", "pnode", "tags", "nic.names", "nic.uuids", "nic.ips", "nic.macs", "nic.networks.names"]
_NETWORK = [
    *("name", "mtime", "uuid", "tags", "network", "gateway", "network6", "gateway6", "mac_prefix", "inst_list"),
]

Rows = dict[str, dict[str, Any]]


class Nodes(NamedTuple):
    """Primary addresses by node name, and the names of the nodes that are marked offline."""

    addresses: dict[str, str]
    offline: frozenset[str]


class Inventory:
    """`timeout` bounds one question to luxid, in seconds."""

    def __init__(self, data_directory: str, query_socket: str, timeout: float) -> None:
        self._data = data_directory
        self._socket = query_socket
        self._timeout = timeout
        self._trouble = ""

    def instances(self, names: Iterable[str]) -> Rows | None:
        """Rows of _INSTANCE by full name, of those that exist; None when Ganeti does not answer."""
        return self._query("instance", _INSTANCE, names, ("name",))

    def networks(self, names: Iterable[str]) -> Rows | None:
        """Rows of _NETWORK by name, also of those that are named by UUID."""
        return self._query("network", _NETWORK, names, ("name", "uuid"))

    def everything(self) -> tuple[Rows, Rows] | None:
        """Rows of _MEMBER of all instances, and of _NETWORK of all networks."""
        instances, networks = self._all("instance", _MEMBER), self._all("network", _NETWORK)
        return None if instances is None or networks is None else (instances, networks)

    def cluster_tags(self) -> list[str]:
        return ssconf(self._data, "ssconf_cluster_tags").split()

    def nodes(self) -> Nodes:
        pairs = (line.split() for line in ssconf(self._data, "ssconf_node_primary_ips").splitlines())
        offline = ssconf(self._data, "ssconf_offline_nodes").split()
        return Nodes({pair[0]: pair[1] for pair in pairs if len(pair) == 2}, frozenset(offline))

    def site(self) -> Site:
        return Site(ssconf(self._data, "ssconf_cluster_name"), ssconf(self._data, MASTER_FILE), self._data)

    def _query(self, what: str, fields: list[str], names: Iterable[str], keys: tuple[str, ...]) -> Rows | None:
        wanted = sorted(names)
        return self._rows(what, fields, wanted, keys) if wanted else {}

    def _all(self, what: str, fields: list[str]) -> Rows | None:
        return self._rows(what, fields, None, ())

    def _rows(self, what: str, fields: list[str], names: list[str] | None, keys: tuple[str, ...]) -> Rows | None:
        try:
            found = luxi.query(self._socket, what, fields, names, self._timeout, keys)
        except luxi.LuxiError as err:
            if str(err) != self._trouble:
                log.warning("changed tags are told later: %s", err)
            self._trouble = str(err)
            return None
        self._trouble = ""
        return {row["name"]: row for row in found}
