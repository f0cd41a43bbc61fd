"""Who the members of tenants' groups are, by Ganeti's own word: NICs whose tags name one, and their addresses. Pure.

A NIC has the groups that its node would give it (ganeti_ext/selection.py), whether or not its instance runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from eventd.messages import News
from ganeti_ext import addresses, selection
from ganeti_ext.errors import ContractError
from ganeti_ext.nicenv import Network, Nic

_ENDS = ("success", "error")
_CHANGE = ("OP_INSTANCE_", "OP_TAGS_", "OP_NETWORK_", "OP_NODE_", "OP_CLUSTER_")
# Of a node that has booted nobody tells what it knows: these bring guests there.
_BRING = frozenset(
    f"OP_INSTANCE_{verb}" for verb in ("CREATE", "STARTUP", "REBOOT", "MIGRATE", "FAILOVER", "MOVE", "RECREATE_DISKS")
)

Row = Mapping[str, Any]


def stirred(found: Iterable[News]) -> tuple[bool, set[str]]:
    """Whether any of these messages may have changed who is a member, and the instances that came to a node."""
    changed, come = False, set()
    for item in found:
        operation = item.message["operation"]
        if item.status in _ENDS and operation.startswith(_CHANGE):
            changed = True
            if operation in _BRING and "instance" in item.message:
                come.add(item.message["instance"])
    return changed, come


def addresses_of(instances: Iterable[Row], networks: Mapping[str, Row], wanted: Iterable[str]) -> dict[str, list[str]]:
    """The addresses of these groups' members by the groups' keys; rows are those of eventd.inventory."""
    found: dict[str, list[str]] = {key: [] for key in wanted}
    for row in instances:
        if not any(selection.OWN in tag for tag in _all_tags(row, networks)):
            continue
        for nic in _nics(row, networks):
            for key in _groups(nic) & found.keys():
                found[key] += _addresses(nic)
    return found


def _groups(nic: Nic) -> set[str]:
    """Keys; none where its tags say nothing, or contradict each other: no node would let it have a profile."""
    try:
        chosen = selection.choose(nic, selection.DEFAULT).profile  # each node has its own, which is no group
    except ContractError:
        return set()
    names = chosen.split(selection.JOINT)
    return {name.removeprefix(selection.OWN) for name in names if selection.is_group(name)}


def _addresses(nic: Nic) -> list[str]:
    try:
        known = addresses.of(nic)
    except ContractError:
        return []
    return [address for address in (known.ip, known.eui64) if address]


def _all_tags(row: Row, networks: Mapping[str, Row]) -> Iterator[str]:
    yield from row["tags"] or ()
    for name in row["nic.networks.names"] or ():
        yield from networks.get(name, {}).get("tags") or ()


def _nics(row: Row, networks: Mapping[str, Row]) -> Iterator[Nic]:
    tags = tuple(sorted(row["tags"] or ()))
    for index, mac in enumerate(row["nic.macs"] or ()):
        name = _nth(row["nic.networks.names"], index)
        yield Nic(
            tap="",
            index=index,
            uuid=_nth(row["nic.uuids"], index) or "",
            name=_nth(row["nic.names"], index),
            instance=row["name"],
            mac=mac,
            ip=_nth(row["nic.ips"], index),
            mode="",
            link=None,
            vlan=None,
            bridge=None,
            tags=tags,
            network=_network(networks[name]) if name in networks else None,
        )


def _network(row: Row) -> Network:
    return Network(
        name=row["name"],
        uuid=row["uuid"],
        subnet=row["network"],
        gateway=row["gateway"],
        subnet6=row["network6"],
        gateway6=row["gateway6"],
        mac_prefix=row["mac_prefix"],
        tags=tuple(sorted(row["tags"] or ())),
    )


def _nth(column: list[Any] | None, index: int) -> Any:
    return column[index] if column and index < len(column) else None
