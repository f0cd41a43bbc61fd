"""Public addresses: those of IPv4 that a project has in the administrator's networks, and that are not private ones.

They are what there are few of. A tenant's network may have whatever addresses it likes, as nothing of it gets out; nor
does anybody count those of IPv6.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.network import netrows, portname
from ganeti_ext import tags

Row = Mapping[str, Any]

# RFC 1918, RFC 6598; and what is nobody's at all: a network without an IPv4 subnet has one of these (tenantnet.py).
_PRIVATE = tuple(
    map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "240.0.0.0/4"))
)


def is_public(address: str | None) -> bool:
    """Whether a text is an address of IPv4, or a network of such, that is not private."""
    try:
        found = ipaddress.IPv4Interface(address or "").ip
    except ValueError:
        return False
    return not any(found in private for private in _PRIVATE)


def shared(rows: Iterable[Row]) -> list[Row]:
    """Of the rows of the table `network` the administrator's, whose addresses are public."""
    return [row for row in rows if is_public(row["subnet"]) and not tags.decode(row["tags"]).get("project")]


def of_servers(servers: Iterable[Row], networks: Iterable[Row]) -> dict[str, str]:
    """The ports that NICs of these servers are and that have a public address: by their ids, with it."""
    names = {row["name"] for row in networks}
    return {
        str(portname.ident(nic)): nic["ip"]
        for server in servers
        for nic in server["nics"] or ()
        if nic.get("network") in names and portname.ident(nic) and is_public(nic.get("ip"))
    }


def of_ports(ports: Iterable[Row], networks: Iterable[Row]) -> dict[str, str]:
    """The same of ports that were made beforehand, whether a server has them or not."""
    idents = {row["id"] for row in networks}
    return {row["id"]: row["address"] for row in ports if row["network"] in idents and is_public(row["address"])}


def networks(connection: Connection) -> list[Row]:
    """Those of the table `network` whose addresses count."""
    column = db.network.c
    found = select(column.id, column.name, column.subnet, column.tags)
    return shared(db.rows(connection, found.where(column.subnet.is_not(None), netrows.is_shared())))
