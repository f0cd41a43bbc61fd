"""Ganeti's networks, and what follows from them and the servers' NICs, as the JSON of Network v2.0. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from frontend.effect.labelled import UUID
from frontend.network import portname, subnetfacts, subnetpool
from frontend.web import view

DEFAULT_GROUP = "default"
NO_GROUP = "protected"  # the profile of servers in no group: nothing new comes in, as without groups in OpenStack

_CIDR = {4: "subnet", 6: "subnet6"}  # of a network's row, by the version

# Ids of things that Ganeti has no row for: made from the id of what they follow from.
_SPACE = uuid.UUID("6f0a35b6-4a4c-4e55-9a0a-9f6d3c1f8a11")


def group_id(project_id: str, name: str) -> str:
    """The id of a project's security group."""
    return made(f"security group {name}".removesuffix(f" {DEFAULT_GROUP}"), project_id)


def default_group_id(project_id: str) -> str:
    return group_id(project_id, DEFAULT_GROUP)


def groups_of(server: Mapping[str, Any]) -> list[str]:
    """A server's security groups: names of those that are profiles, ids of the project's own."""
    said = server["facts"]
    if said.get("groups"):
        return str(said["groups"]).split(",")
    profiles = said.get("firewall", DEFAULT_GROUP).split("+")  # an administrator may have said more than one
    return [] if profiles == [NO_GROUP] else profiles


def group_ids(server: Mapping[str, Any]) -> list[str]:
    """The ids of a server's security groups."""
    project = server["project_id"]
    return [each if UUID.fullmatch(each) else group_id(project, each) for each in groups_of(server)]


def network(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "description": subnetfacts.facts(tuple(row["tags"])).get("description", ""),
        "status": "DOWN" if row.get("groups") == [] else "ACTIVE",
        "admin_state_up": True,
        "shared": not row["project_id"],
        "router:external": is_external(row),
        "tenant_id": row["project_id"] or "",
        "project_id": row["project_id"] or "",
        "subnets": [subnet_id(row, version) for version, key in _CIDR.items() if row[key]],
        "availability_zones": [row["cluster"]] if row.get("cluster") else [],  # of the home cluster: none
        "availability_zone_hints": [],
        "port_security_enabled": True,
        "tags": labels(row),
        "created_at": view.stamp(row.get("created", row["updated"])),
        "updated_at": view.stamp(row["updated"]),
    }


def is_external(row: Mapping[str, Any]) -> bool:
    """Whether floating addresses are of it: an administrator's network with that tag."""
    return not row["project_id"] and subnetfacts.facts(tuple(row["tags"])).get("external") == "1"


def labels(row: Mapping[str, Any]) -> list[str]:
    """Of a network: what Neutron calls its tags."""
    return list(subnetfacts.split(subnetfacts.facts(tuple(row["tags"])).get("label", "")))


def subnets_of(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for version, cidr, gateway in ((4, row["subnet"], row["gateway"]), (6, row["subnet6"], row["gateway6"])):
        if cidr:
            found.append(_subnet(row, version, cidr, gateway))
    return found


def port(server: Mapping[str, Any], nic: Mapping[str, Any], network: Mapping[str, Any]) -> dict[str, Any]:
    fixed = [
        {"subnet_id": subnet_id(network, version), "ip_address": nic[key]}
        for version, key in ((4, "ip"), (6, "ip6"))
        if network[_CIDR[version]] and nic.get(key)
    ]
    return {
        "id": portname.ident(nic),
        "name": "",
        "description": "",
        "network_id": network["id"],
        "mac_address": nic.get("mac"),
        "fixed_ips": fixed,
        "status": "ACTIVE" if server["status"] == "ACTIVE" else "DOWN",
        "admin_state_up": True,
        "device_id": server["id"],
        "device_owner": "compute:nova",
        "security_groups": group_ids(server),
        "own_security_groups": False,
        "port_security_enabled": True,
        "allowed_address_pairs": [],
        "extra_dhcp_opts": [],
        "tenant_id": server["project_id"],
        "project_id": server["project_id"],
        "tags": [],
        "created_at": view.stamp(server["created"]),
        "updated_at": view.stamp(server["updated"]),
    }


def _subnet(row: Mapping[str, Any], version: int, cidr: str, gateway: str | None) -> dict[str, Any]:
    when = view.stamp(row["updated"])
    told = subnetfacts.read(row["tags"], version)
    mode = subnetfacts.WORDS.get(told.mode, "slaac") if version == 6 and told.dhcp else None
    routes = (route.partition("@") for route in told.routes)
    return {
        "id": subnet_id(row, version),
        "name": told.name or f"{row['name']}-ipv{version}",
        "description": told.description,
        "network_id": row["id"],
        "cidr": subnetpool.plain(cidr),
        "gateway_ip": gateway,
        "ip_version": version,
        "enable_dhcp": told.dhcp,
        "ipv6_address_mode": mode,
        "ipv6_ra_mode": mode,
        "allocation_pools": subnetpool.shown(cidr, gateway, told.pools),
        "dns_nameservers": list(told.nameservers),
        "host_routes": [{"destination": target, "nexthop": by} for target, _, by in routes],
        "service_types": [],
        "subnetpool_id": None,
        "tenant_id": row["project_id"] or "",
        "project_id": row["project_id"] or "",
        "tags": list(told.labels),
        "created_at": when,
        "updated_at": when,
    }


def subnet_id(row: Mapping[str, Any], version: int) -> str:
    """Of the subnet that a network has of this version."""
    return made(f"subnet{version}", row["id"])


@lru_cache(maxsize=16384)
def made(kind: str, of: str) -> str:
    """The same id for the same words."""
    return str(uuid.uuid5(_SPACE, f"{kind} {of}"))
