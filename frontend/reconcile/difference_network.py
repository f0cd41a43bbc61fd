"""Networks of the database against Ganeti's. Values in, differences out."""

from __future__ import annotations

from collections.abc import Iterator

from frontend.network import portkept, tenantnet
from frontend.reconcile import difference_connect
from frontend.reconcile.difference import Difference, Entry, Known, Snapshot, told
from frontend.update.reading import Columns


def networks(known: Known, found: Snapshot) -> Iterator[Difference]:
    missing = dict(found.networks)
    for row in known.networks:
        listed = missing.pop(row["id"], None)
        if listed is None:
            words = "Ganeti has no such network"
            yield Difference("network-stale", "network", row["name"], row, None, words)
            continue
        changes = {name: value for name, value in columns(listed).items() if row[name] != value}
        if changes:
            yield Difference("network", "network", row["name"], row, changes, told(row, changes))
    for listed in missing.values():
        words = "the database has no such network"
        yield Difference("network-missing", "network", listed["name"], None, columns(listed), words)
    yield from _unconnected(found)


def columns(listed: Entry) -> Columns:
    """The columns of a network, of an entry of GET /2/networks?bulk=1."""
    return {
        "id": listed["uuid"],
        "name": listed["name"],
        "subnet": listed["network"],
        "gateway": listed["gateway"],
        "subnet6": listed["network6"],
        "gateway6": listed["gateway6"],
        "tags": portkept.others(listed["tags"]),
        "groups": tenantnet.groups(listed["group_list"]),
    }


def _unconnected(found: Snapshot) -> Iterator[Difference]:
    for listed in found.networks.values():
        connected = {group for group, *_ in listed["group_list"]}
        without = [group for group in found.groups if group not in connected]
        if without and not (difference_connect.is_ours(listed["name"], list(listed["tags"])) and connected):
            name = listed["name"]
            words = f"not connected to node group {', '.join(without)}"
            # Its mode and link are the administrator's to know; another group's are a hint.
            like = next((f"--nic-parameters mode={mode},link={link}" for _, mode, link, *_ in listed["group_list"]), "")
            advice = f"gnt-network connect {like} {name} {' '.join(without)}".replace("  ", " ")
            yield Difference("network-groups", "network", name, None, None, words, advice)
