"""Networks that tenants make, as Ganeti has them. Pure.

Ganeti calls one NAME.ID, with the name and id that its tenant knows, and a tag says whose it is: so nothing of it has
to be kept elsewhere. They share a bridge, told apart by their MAC prefixes (docs/network.md, `private-filtered`).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from frontend.effect.translate import Call
from frontend.network import netname
from ganeti_ext import tags

Row = dict[str, Any]

LONGEST = 200  # of a name, so that Ganeti's fits into our columns
PLAIN = re.compile(r"[A-Za-z0-9._-]+")  # what a name may have: Ganeti puts it into paths and environments
_TAGS = ("private-filtered", tags.NFDHCPD)


class Plan(NamedTuple):
    """A network with its subnet; `link` is the bridge that all tenants' networks share."""

    known_as: str
    cidr: str
    gateway: str | None
    project: str
    link: str


def mac_prefix(ident: str) -> str:
    """The first three octets of all MACs of a network: of locally administered, single addresses."""
    first, second, third, *_ = uuid.UUID(ident).bytes
    return f"{first & 0xFC | 0x02:02x}:{second:02x}:{third:02x}"


def visible(mirrored: Iterable[Mapping[str, Any]], own: Iterable[Mapping[str, Any]], project: str) -> list[Row]:
    """The networks that a project may use: the administrator's, and its own. By name.

    `mirrored` are the rows of the table `network`, `own` those of `tenant_network`, which alone tell of networks that
    have no subnet yet. Adds `known_as` and `uuid` (Ganeti's name and id of it, None as long as it has none) and
    `project_id` (None: everybody's).
    """
    found: dict[str, Row] = {}
    for row in mirrored:
        whose = tags.decode(row["tags"]).get("project")
        if whose in (None, project):
            ours = netname.parts(row["name"]) if whose else None
            name, ident = ours or (row["name"], row["id"])
            more = {"known_as": row["name"], "uuid": row["id"], "project_id": whose}
            found[ident] = {**row, "id": ident, "name": name, **more}
    for row in own:
        found.setdefault(row["id"], _bare(row))
    return sorted(found.values(), key=lambda row: (row["name"], row["id"]))


def _bare(row: Mapping[str, Any]) -> Row:
    nothing = dict.fromkeys(("subnet", "gateway", "subnet6", "gateway6", "uuid"))
    names = {"name": row["name"], "known_as": netname.known_as(row["name"], row["id"])}
    return {**nothing, **names, "id": row["id"], "tags": [], "updated": row["created"], "project_id": row["project_id"]}


def add(plan: Plan, ident: str) -> Call:
    """POST /2/networks."""
    body = {
        "network_name": plan.known_as,
        "network": plan.cidr,
        "mac_prefix": mac_prefix(ident),
        "tags": [*_TAGS, *tags.encode({"project": plan.project})],
        "conflicts_check": False,
    }
    return Call("POST", "networks", {**body, "gateway": plan.gateway} if plan.gateway else body)


def connect(plan: Plan, group: str) -> Call:
    """PUT /2/networks/NAME/connect. That others use the same addresses is no conflict."""
    how = {"network_mode": "bridged", "network_link": plan.link, "conflicts_check": False}
    return Call("PUT", f"networks/{plan.known_as}/connect", {"group_name": group, **how})


def disconnect(network: str, group: str) -> Call:
    return Call("PUT", f"networks/{network}/disconnect", {"group_name": group})


def remove(network: str) -> Call:
    return Call("DELETE", f"networks/{network}")
