"""Ports that were made before a server had them, of a database that has lost them. Values in, differences out.

Of one that no server has, nothing tells but its address, which is reserved in Ganeti as an administrator's own are.
"""

from __future__ import annotations

from collections.abc import Iterator

from frontend.network import portname, porttag
from frontend.reconcile.difference import Difference, Entry, Known, Snapshot
from frontend.update import reading


def ports(known: Known, found: Snapshot, prefix: str) -> Iterator[Difference]:
    """NICs with the name of a port whose address is set apart, as that of no other NIC is (`conflicts_check`)."""
    there = set(known.ports)
    apart = {uuid: _apart(network) for uuid, network in found.later.items()}
    for name, instance in found.instances.items():
        if reading.volume_id(name, prefix, {}) is not None:
            continue
        project = reading.facts(instance["tags"], known.owners).get("project")
        nics = zip(*(instance[f"nic.{key}"] for key in ("names", "networks", "ips", "macs")), strict=True)
        for label, network, address, mac in nics:
            ident = portname.of_nic(label)
            if project and ident and ident not in there and address in apart.get(network, ()):
                facts = porttag.read(portname.nic(ident), instance["tags"])
                row = {"id": ident, "project_id": project, "network": network, "address": address, "mac": mac}
                made = {**row, "facts": facts, "created": instance["ctime"]}
                words = f"the database has no port {ident}, whose address {address} is set apart"
                yield Difference("port-missing", "port", name, None, made, words)


def _apart(network: Entry) -> set[str]:
    return {each.strip() for each in (network["external_reservations"] or "").split(",")}
