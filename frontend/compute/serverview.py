"""A server as its caller may see it: by the microversion that he asked for, and more of it for an administrator."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from frontend.compute import customflavor, nodes, zones
from frontend.effect import translate
from frontend.network import groupstore, portgroups
from frontend.volume import attachedvolumes
from frontend.web import context, microversion
from frontend.web.view import links, reference, stamp
from ganeti_ext import hostname

FAULT_TEXT = 255  # characters; Nova's limit
_PROGRESSES = ("ACTIVE", "BUILD", "HARD_REBOOT", "MIGRATING", "REBOOT", "REBUILD", "RESIZE", "VERIFY_RESIZE")

Row = Mapping[str, Any]


class Eye(NamedTuple):
    """Who looks."""

    base: str
    version: microversion.Version
    is_admin: bool
    zones: Mapping[tuple[str, str], str]
    """Of the nodes."""
    groups: Mapping[str, str]
    """Names of the security groups that projects have made, by id."""
    ports: portgroups.Own
    volumes: Mapping[str, Sequence[Row]]
    """Of the servers that are shown, by their ids."""


def eye(shown: Iterable[Row] = ()) -> Eye:
    """The caller of this request, who is shown these servers."""
    with context.database() as connection:
        is_admin = context.is_admin()
        project = None if is_admin else context.project_id()
        groups, ports = groupstore.names(connection, project), portgroups.own(connection, project)
        volumes = attachedvolumes.of_servers(connection, [row["id"] for row in shown])
        return Eye(context.base(), context.version(), is_admin, zones.of(connection), groups, ports, volumes)


def short(row: Row, seen: Eye) -> dict[str, Any]:
    return {"id": row["id"], "name": row["name"], "links": links(seen.base, "servers", row["id"])}


def detail(row: Row, seen: Eye) -> dict[str, Any]:
    """GET /servers/ID and /servers/detail."""
    shown = {
        **after(row, seen),
        "addresses": translate.addresses(row["nics"]),
        "OS-EXT-AZ:availability_zone": seen.zones.get((row["cluster"], row["host"] or ""), ""),
        "config_drive": "True" if row["facts"].get("config") else "",
        "key_name": row["facts"].get("key"),
        "OS-SRV-USG:launched_at": None,
        "OS-SRV-USG:terminated_at": None,
        "OS-EXT-STS:task_state": row["task"],
        "OS-EXT-STS:vm_state": translate.vm_state(row),
        "OS-EXT-STS:power_state": translate.power_state(row),
        "os-extended-volumes:volumes_attached": [_attached(each, seen) for each in seen.volumes.get(row["id"], ())],
    }
    # Without any, the key is not there (nova/api/openstack/compute/servers.py).
    if groups := portgroups.of_server(row, seen.ports):
        shown["security_groups"] = [{"name": seen.groups.get(each, each)} for each in groups]
    return shown | _for_administrators(row, seen) if seen.is_admin else shown


def after(row: Row, seen: Eye) -> dict[str, Any]:
    """What PUT /servers/ID and the action rebuild answer: all but what Nova calls extended."""
    said, status = row["facts"], translate.status(row)
    shown = {
        **short(row, seen),
        "status": status,
        "tenant_id": row["project_id"],
        "user_id": row["user_id"],
        "metadata": row["metadata"],
        "hostId": host_id(row["project_id"], row["host"] and nodes.called(row["cluster"], row["host"])),
        "image": reference(seen.base, "images", row["image_id"]) if row["image_id"] else "",
        "flavor": reference(seen.base, "flavors", customflavor.shown_id(row)),
        "created": stamp(row["created"]),
        "updated": stamp(row["updated"]),
        "addresses": addresses(row),
        "accessIPv4": said.get("ip4", ""),
        "accessIPv6": said.get("ip6", ""),
        "OS-DCF:diskConfig": "AUTO" if said.get("autodisk") else "MANUAL",
    }
    if status in _PROGRESSES:
        shown["progress"] = 100 if status in ("ACTIVE", "VERIFY_RESIZE") else row["progress"] or 0
    if status == "ERROR":
        shown["fault"] = fault(row)
    if seen.version >= (2, 9):
        shown["locked"] = bool(said.get("locked"))
    if seen.version >= (2, 19):
        shown["description"] = said.get("description")
    if seen.version >= (2, 26):
        shown["tags"] = labels(row)
    return shown


def addresses(row: Row) -> dict[str, list[dict[str, Any]]]:
    """Versions and addresses alone, by network."""
    found = translate.addresses(row["nics"])
    return {name: [{key: each[key] for key in ("version", "addr")} for each in some] for name, some in found.items()}


def labels(row: Row) -> list[str]:
    """What Nova calls a server's tags."""
    said = row["facts"].get("label")
    return said.split(",") if said else []


def fault(row: Row) -> dict[str, Any]:
    text = row["fault"] or "The server is in an error state."
    return {"code": 500, "created": stamp(row["updated"]), "message": text[:FAULT_TEXT]}


def host_id(project_id: str, host: str | None) -> str:
    """The same for two servers of a project on one node, and no hint at which."""
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


def _attached(volume: Row, seen: Eye) -> dict[str, Any]:
    ends = {"delete_on_termination": bool(volume["facts"].get("autodelete"))} if seen.version >= (2, 3) else {}
    return {"id": volume["id"], **ends}


def _for_administrators(row: Row, seen: Eye) -> dict[str, Any]:
    """What tenants are never shown: the node, and Ganeti's name of the instance. User data is nowhere kept."""
    host = nodes.called(row["cluster"], row["host"]) if row["host"] else row["host"]
    shown: dict[str, Any] = {
        "OS-EXT-SRV-ATTR:host": host,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": host,
        "OS-EXT-SRV-ATTR:instance_name": row["instance"],
    }
    if seen.version >= (2, 3):
        shown |= {
            "OS-EXT-SRV-ATTR:reservation_id": row["facts"].get("reservation"),
            "OS-EXT-SRV-ATTR:launch_index": 0,
            "OS-EXT-SRV-ATTR:kernel_id": "",
            "OS-EXT-SRV-ATTR:ramdisk_id": "",
            "OS-EXT-SRV-ATTR:hostname": hostname.of(row["name"], row["instance"]),
            "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
            "OS-EXT-SRV-ATTR:user_data": None,
        }
    if seen.version >= (2, 16):
        shown["host_status"] = ("UNKNOWN" if row["power"] == "UNKNOWN" else "UP") if row["host"] else ""
    return shown
