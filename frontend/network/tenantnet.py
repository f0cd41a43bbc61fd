"""Networks that tenants make, as Ganeti has them. Pure.

Ganeti calls one NAME.ID, with the name and id that its tenant knows, and a tag says whose it is: so nothing of it has
to be kept elsewhere. They share a bridge, told apart by their MAC prefixes (docs/network.md, `private-filtered`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from frontend.effect import clusters
from frontend.effect.translate import Call, Step
from frontend.network import netname, subnetfacts
from ganeti_ext import tags

Row = dict[str, Any]

LONGEST = 200  # of a name as Ganeti has it, so that it fits into our columns with the id


_NO_IPV4 = "240.0.0.0/30"  # of a network that has none, where Ganeti wants one; nobody's (RFC 1112, 4: class E)


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
    seen = (row for row in everybodys(mirrored) if row["project_id"] in (None, project))
    found = {row["id"]: row for row in seen}
    for row in own:
        found.setdefault(row["id"], bare(row))["created"] = row["created"]
    return sorted(found.values(), key=lambda row: (row["name"], row["id"]))


def everybodys(mirrored: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """All networks that Ganeti has, with what `visible` adds."""
    for row in mirrored:
        whose = subnetfacts.facts(tuple(row["tags"])).get("project")
        ours = netname.parts(row["name"]) if whose else None
        name, ident = ours or (row["name"], row["id"])
        no_ipv4 = {"subnet": None, "gateway": None} if subnetfacts.HIDDEN4 in row["tags"] else {}
        more = {"known_as": row["name"], "uuid": row["id"], "project_id": whose, **no_ipv4}
        yield {**row, "id": ident, "name": name, **more}


def by_nic(networks: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str | None], Mapping[str, Any]]:
    """Networks as servers' NICs name them: by their cluster, and Ganeti's name."""
    return {(clusters.of(row), row["known_as"]): row for row in networks}


def bare(row: Mapping[str, Any]) -> Row:
    """A network of which Ganeti does not know yet, of its row in `tenant_network`."""
    nothing = dict.fromkeys(("subnet", "gateway", "subnet6", "gateway6", "uuid"))
    names = {"name": row["name"], "known_as": netname.known_as(row["name"], row["id"])}
    whose = {"updated": row["created"], "project_id": row["project_id"]}
    facts = {key: text for key, text in row["facts"].items() if key in tags.FACTS}
    return {**nothing, **names, "id": row["id"], "tags": tags.encode(facts), **whose, "cluster": row.get("cluster")}


def groups(listed: Iterable[Sequence[str]]) -> list[list[str]]:
    """Where a network is connected, as Ganeti says it: node group, mode and link of each."""
    return sorted([group, mode, link] for group, mode, link, *_ in listed)


def first_tags(row: Mapping[str, Any], *, shares: bool) -> list[str]:
    """The tags of a tenant's network that Ganeti does not have yet. `shares`: its bridge is others', too."""
    told = [tags.PRIVATE_FILTERED] if shares else []
    return [*row["tags"], *told, *tags.encode({"project": row["project_id"]})]


def ident(uuid_: str, name: str, some: Iterable[str]) -> str:
    """The id by which tenants know the network that Ganeti has so."""
    ours = netname.parts(name) if tags.decode(some).get("project") else None
    return ours[1] if ours else uuid_


def add(row: Mapping[str, Any], apart: Sequence[str]) -> Call:
    """POST /2/networks, of a row as `visible` has it; `apart` are addresses that Ganeti is not to choose."""
    body = {
        "network_name": row["known_as"],
        "network": row["subnet"] or _NO_IPV4,
        "mac_prefix": mac_prefix(row["id"]),
        "tags": list(row["tags"]),
        "conflicts_check": False,
    }
    more = {"gateway": row["gateway"], "network6": row["subnet6"], "gateway6": row["gateway6"]}
    more["add_reserved_ips"] = list(apart)
    return Call("POST", "networks", {**body, **{key: value for key, value in more.items() if value}})


def connect(network: str, group: str, link: str) -> Call:
    """PUT /2/networks/NAME/connect, to the bridge `link`. That others use the same addresses is no conflict."""
    how = {"network_mode": "bridged", "network_link": link, "conflicts_check": False}
    return Call("PUT", f"networks/{network}/connect", {"group_name": group, **how})


def disconnect(network: str, group: str) -> Call:
    return Call("PUT", f"networks/{network}/disconnect", {"group_name": group})


def remove(network: str) -> Call:
    return Call("DELETE", f"networks/{network}")


def modify(network: str, **changes: Any) -> Call:
    """PUT /2/networks/NAME/modify; what is None stays. Ganeti takes nothing away: its opcode refuses its own `none`."""
    return Call(
        "PUT", f"networks/{network}/modify", {key: value for key, value in changes.items() if value is not None}
    )


def rename(network: str, to: str) -> Call:
    return Call("PUT", f"networks/{network}/rename", {"new_name": to})


def retag(network: str, was: Sequence[str], to: Sequence[str]) -> list[Step]:
    """What takes a network's tags from one to the other; a new value is there before the old one goes."""
    path, more, less = f"networks/{network}/tags", sorted(set(to) - set(was)), sorted(set(was) - set(to))
    steps = [Step(Call("PUT", path, None, {"tag": more}))] if more else []
    return [*steps, Step(Call("DELETE", path, None, {"tag": less}))] if less else steps


def move(network: str, was: tuple[str | None, set[str]], to: tuple[str | None, set[str]]) -> list[Step]:
    """From one gateway, or none, and addresses that are set apart to others.

    Ganeti does not take both at once, and sets the gateway apart itself: so it must not be so before.
    """
    (old, apart_before), (new, apart) = was, to
    less, more = sorted(apart_before - apart), sorted(apart - apart_before)
    found = [modify(network, remove_reserved_ips=less)] if less else []
    found += [modify(network, gateway=new)] if new != old else []
    found += [modify(network, add_reserved_ips=more)] if more else []
    return [Step(call) for call in found]
