"""Ports as the JSON of Network v2.0: the NICs of servers, and those that no server has. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from frontend.effect import clusters
from frontend.network import netview, portname, subnetfacts, tenantnet
from frontend.web import view
from ganeti_ext.address import eui64

Row = Mapping[str, Any]

_PART = "ip_address_substr="


def every(
    networks: Sequence[Row],
    servers: Sequence[Row],
    made: Mapping[str, Row],
    *,
    free: bool = True,
    only: Collection[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """The ports in these networks: NICs of these servers with what `made` (rows by id) says of them, then the others.

    `only`: those of these ids alone.
    For the others (`free`), `servers` have to be all of the project's: a port that is none of their NICs is nobody's.
    """
    known = tenantnet.by_nic(networks)
    seen = set()
    for server in servers:
        for nic in server["nics"]:
            ident = portname.ident(nic)
            network = known.get((clusters.of(server), nic.get("network")))
            if ident is not None and network is not None:
                seen.add(ident)
                if only is None or ident in only:
                    yield of_nic(server, nic, network, made.get(ident))
    if free:
        rest = (row for row in made.values() if row["id"] not in seen and (only is None or row["id"] in only))
        yield from _free(networks, rest)


def has_fixed(shown: Row, wanted: Sequence[str]) -> bool:
    """Whether a port has all of these, `ip_address=A`, `ip_address_substr=PART` or `subnet_id=ID`.

    As lists are filtered by `fixed_ips`.
    """
    has = {f"{key}={fixed[key]}" for fixed in shown["fixed_ips"] for key in ("ip_address", "subnet_id")}
    parts = [each.removeprefix(_PART) for each in wanted if each.startswith(_PART)]
    return has >= {each for each in wanted if not each.startswith(_PART)} and all(
        any(part in fixed["ip_address"] for fixed in shown["fixed_ips"]) for part in parts
    )


def of_nic(server: Row, nic: Row, network: Row, row: Row | None = None) -> dict[str, Any]:
    """A server's port, with what its row says, if it has one."""
    shown = netview.port(server, nic, network)
    if row and row.get("waits") is not None:
        shown["status"] = "DOWN"
    return {**shown, **_said(row["facts"], nic.get("mac")), "created_at": view.stamp(row["created"])} if row else shown


def of_nobody(network: Row, row: Row) -> dict[str, Any]:
    """One that no server has."""
    nobody = {"status": "", "id": "", "created": row["created"], "updated": row["updated"], "facts": {}}
    nic = {"port": row["id"], "ip": row["address"], "ip6": _address6(network, row["mac"]), "mac": row["mac"]}
    shown = netview.port({**nobody, "project_id": row["project_id"]}, nic, network)
    return {**shown, "device_owner": "", **_said(row["facts"], row["mac"])}


def _free(networks: Sequence[Row], made: Iterable[Row]) -> Iterator[dict[str, Any]]:
    known = {row["id"]: row for row in networks}
    found = (row for row in made if row["network"] in known and not row["facts"].get("floating"))
    return (of_nobody(known[row["network"]], row) for row in found)


def _said(facts: Row, mac: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": facts.get("name", ""),
        "description": facts.get("description", ""),
        "tags": list(subnetfacts.split(facts.get("label", ""))),
        "admin_state_up": not facts.get("down"),
        "own_security_groups": facts.get("groups") is not None,
        "port_security_enabled": not facts.get("open"),
        "allowed_address_pairs": [{"ip_address": each, "mac_address": mac} for each in facts.get("pairs") or ()],
    }
    if facts.get("open"):
        return {**found, "security_groups": []}
    return {**found, "security_groups": list(facts["groups"])} if facts.get("groups") is not None else found


def _address6(network: Row, mac: str) -> str | None:
    """As the guest will make it of its MAC (update/reading.py)."""
    try:
        return eui64(mac, network["subnet6"]) if network["subnet6"] else None
    except ValueError:
        return None
