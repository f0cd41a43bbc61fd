"""Ports that were made before a server had them, against what Ganeti keeps of them. Values in, differences out.

Tags of the network tell of each (frontend/network/portkept.py). Of one that an older release made there are none:
a server's NIC tells of it by its name, if its address is set apart as that of no other NIC is (`conflicts_check`).
"""

from __future__ import annotations

from collections.abc import Iterator

from frontend.network import portkept, portname, porttag, tenantnet
from frontend.reconcile.difference import Difference, Entry, Known, Row, Snapshot
from frontend.update import reading

_LASTING = 3600.0  # seconds: nobody is at making a port any more


def ports(known: Known, found: Snapshot, prefix: str, now: float) -> Iterator[Difference]:
    idents = {uuid: tenantnet.ident(uuid, entry["name"], entry["tags"]) for uuid, entry in found.later.items()}
    told = {row["id"]: row for uuid, entry in found.later.items() for row in portkept.read(entry["tags"], idents[uuid])}
    for name, made, created in _of_nics(found, idents, known, prefix):
        row = told.setdefault(made["id"], made)
        row["facts"] = {**row["facts"], **made["facts"]}
        row["created"] = created
        row["at"] = name
    for ident, row in told.items():
        if ident not in known.ports:
            at = row.pop("at", "") or row["network"]
            words = f"the database has no port {ident}"
            words += f", whose address {row['address']} is set apart" if row["address"] else ""
            yield Difference("port-missing", "port", at, None, {"created": now, **row}, words)
    yield from _stale(known, found, set(told), now)


def _of_nics(found: Snapshot, idents: dict[str, str], known: Known, prefix: str) -> Iterator[tuple[str, Row, float]]:
    """The instance's name, the row without a time, and the time of its creation."""
    apart = {uuid: _apart(network) for uuid, network in found.later.items()}
    for name, instance in found.instances.items():
        if reading.volume_id(name, prefix, {}) is not None:
            continue
        project = reading.facts(instance["tags"], known.owners).get("project")
        nics = zip(*(instance[f"nic.{key}"] for key in ("names", "networks", "ips", "macs")), strict=True)
        for label, network, address, mac in nics:
            ident = portname.of_nic(label)
            if project and ident and address in apart.get(network, ()):
                row = {"id": ident, "project_id": project, "network": idents[network], "address": address, "mac": mac}
                yield name, {**row, "facts": porttag.read(portname.nic(ident), instance["tags"])}, instance["ctime"]


def _stale(known: Known, found: Snapshot, told: set[str], now: float) -> Iterator[Difference]:
    """Rows whose address was given back: who did so died before he had said it here, or was an administrator."""
    networks = {
        tenantnet.ident(uuid, entry["name"], entry["tags"]): _apart(entry) | _apart(found.later[uuid])
        for uuid, entry in found.networks.items()
        if uuid in found.later
    }
    nics = {portname.of_nic(label) for instance in found.instances.values() for label in instance["nic.names"]}
    for ident, row in known.ports.items():
        apart = networks.get(row["network"] or "")
        if ident in told or ident in nics or apart is None or not row["address"]:
            continue
        if row["address"] not in apart and row["updated"] < now - _LASTING:
            words = f"the address {row['address']} of port {ident} is not set apart"
            yield Difference("port-stale", "port", row["network"], row, None, words)


def _apart(network: Entry) -> set[str]:
    return {each.strip() for each in (network["external_reservations"] or "").split(",")}
