"""What Ganeti says of an instance, as columns of a server's row.

A reading is the part of a message (ganeti_ext/event.py) that eventd asked Ganeti for: instance_state,
instance_nics and instance_disks; `of_rapi` makes the same of an entry of RAPI's list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from frontend.effect.labelled import UUID
from frontend.network import portname
from frontend.volume import volumename
from ganeti_ext import tags
from ganeti_ext.address import eui64

Columns = dict[str, Any]

UNKNOWN = "UNKNOWN"
CUSTOM = "custom"  # the flavor of a server that was made without one: its own sizes
_POWER = {True: "ACTIVE", False: "SHUTOFF", None: UNKNOWN}
# Facts that have a column of their own, which is a facet of its own, too.
COLUMNS = {"project": "project_id", "user": "user_id", "name": "name", "flavor": "flavor_id", "image": "image_id"}
DISKS = "disks"  # the facet, and the column, of what its disks are called
FACTS = "facts"  # the facet, and the column, of all facts that have no column of their own
_FOR_EVER = 253402300800.0  # the year 10000, which no date can show
_IDENT = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")


def facets(
    read: Mapping[str, Any], subnets6: Mapping[str, str | None], owners: Owners | None = None, instance: str = ""
) -> Iterator[tuple[str, Columns]]:
    """Each thing that a reading tells of, with its columns. What was not read is not told of.

    `subnets6` has the IPv6 subnet of each network by its name. With `owners`, tags may name a project or user; with
    the name of the instance, what its tags do not say is what holds then.
    """
    state = read["instance_state"]
    # Its key lacks when no node was asked, and it is null when the node is offline or does not answer.
    if "oper_state" in state:
        yield "power", {"power": _POWER[state["oper_state"]]}
    if state.get("oper_state"):
        yield "fault", {"fault": None}
    if state.get("pnode"):
        yield "host", {"host": state["pnode"]}
    if state.get("tags") is not None:
        told = facts(state["tags"], owners) if owners else tags.decode(state["tags"])
        yield from _tagged({**(_unsaid(instance, told) if instance else {}), **told})
        if told.get("project") and "created" not in told and state.get("ctime"):
            yield "created", {"created": float(state["ctime"])}
        yield FACTS, {"facts": kept(told)}
        yield "metadata", {"metadata": tags.metadata(state["tags"])}
    if read.get("instance_nics") is not None:
        yield "nics", {"nics": [_nic(nic, subnets6) for nic in read["instance_nics"]]}
    if read.get("instance_disks") is not None:
        yield "disk", {"disk": gibibytes(read["instance_disks"])}
        yield (
            DISKS,
            {"disks": [{name: disk.get(name) for name in ("name", "uuid", "size")} for disk in read["instance_disks"]]},
        )
    yield from size(state.get("beparams") or {})


def _tagged(told: Mapping[str, str]) -> Iterator[tuple[str, Columns]]:
    for fact, value in told.items():
        if fact in COLUMNS:
            yield fact, {COLUMNS[fact]: value}
        elif fact == "created" and (time := seconds(value)) is not None:
            yield fact, {"created": time}


def kept(told: Mapping[str, str]) -> dict[str, str]:
    """Of the facts in tags those that the column `facts` holds."""
    return {fact: value for fact, value in told.items() if fact in tags.GIVEN}


def seconds(text: str) -> float | None:
    try:
        time = float(text)
    except ValueError:
        return None
    return time if 0 <= time < _FOR_EVER else None


def unsaid(instance: str, facts: Mapping[str, str]) -> Columns:
    """What holds of a server where its tags say whose it is and no more."""
    return {COLUMNS[fact]: value for fact, value in _unsaid(instance, facts).items()}


def _unsaid(instance: str, facts: Mapping[str, str]) -> dict[str, str]:
    if not facts.get("project"):
        return {}
    known = {"user": "", "name": instance, "flavor": CUSTOM, "image": ""}
    return {fact: value for fact, value in known.items() if fact not in facts}


def gibibytes(disks: Iterable[Mapping[str, Any]]) -> int:
    """The size of all disks but volumes, each of `size` MiB."""
    return sum(int(disk["size"]) for disk in disks if not volumename.of_disk(disk.get("name"))) // 1024


def size(beparams: Mapping[str, Any]) -> Iterator[tuple[str, Columns]]:
    """vcpus and ram (MiB) of backend parameters; those that are not set are not told of."""
    ram = beparams.get("maxmem", beparams.get("memory"))
    for facet, value in (("vcpus", beparams.get("vcpus")), ("ram", ram)):
        if isinstance(value, int):
            yield facet, {facet: value}


def of_rapi(instance: Mapping[str, Any]) -> dict[str, Any]:
    """The reading in an entry of GET /2/instances?bulk=1."""
    nics = zip(
        *(instance[f"nic.{column}"] for column in ("networks.names", "ips", "macs", "uuids", "names")),
        strict=True,
    )
    disks = zip(*(instance[f"disk.{column}"] for column in ("names", "uuids", "sizes")), strict=True)
    return {
        "instance_state": {name: instance[name] for name in ("oper_state", "pnode", "tags", "beparams", "ctime")},
        "instance_nics": [dict(zip(("network", "ip", "mac", "uuid", "name"), nic, strict=True)) for nic in nics],
        "instance_disks": [dict(zip(("name", "uuid", "size"), disk, strict=True)) for disk in disks],
    }


def server_id(
    instance: str, prefix: str, facts: Mapping[str, str] | None = None, uuid: str | None = None
) -> str | None:
    """The UUID of an instance's server; None for an instance that is none of the front's.

    What its tags say (also after a rename), else the UUID in the name that the front gave it, else Ganeti's own
    `uuid` of an instance that an administrator made and tagged with its project.
    """
    if volume_id(instance, prefix, facts) is not None:
        return None
    told = (facts or {}).get("server", "")
    if UUID.fullmatch(told):
        return told
    label = instance.split(".", 1)[0].removeprefix(prefix)
    if instance.startswith(prefix) and UUID.fullmatch(label):
        return label
    return uuid if uuid and (facts or {}).get("project") else None


def volume_id(instance: str, prefix: str, facts: Mapping[str, str] | None = None) -> str | None:
    """The UUID of the volume that an instance is the holder of; None for one that is no holder. As `server_id`."""
    told = (facts or {}).get("volume", "")
    return told if UUID.fullmatch(told) else volumename.of_holder(prefix, instance)


class Owners(NamedTuple):
    """The ids of projects and users by their names."""

    projects: Mapping[str, str]
    users: Mapping[str, str]


def facts(found: Iterable[str], owners: Owners) -> dict[str, str]:
    """The facts in tags, with the owner's name replaced by his id.

    An id that is not known is kept: its project may be restored later. A name that is not known is nobody: such
    a project is left out, and such a user is "".
    """
    told = tags.decode(found)
    project = _ident(told.get("project", ""), owners.projects)
    told.pop("project", None)
    if project:
        told["project"] = project
    if "user" in told:
        told["user"] = _ident(told["user"], owners.users)
    return told


def _ident(value: str, by_name: Mapping[str, str]) -> str:
    if _IDENT.fullmatch(value) or value in by_name.values():
        return value
    return by_name.get(value, "")


def new_row(ident: str, instance: str, facts: Mapping[str, str], flavor: Mapping[str, int], created: float) -> Columns:
    """The row of a server of which nothing else is known. `flavor` gives vcpus, ram (MiB) and disk (GiB)."""
    return {
        "id": ident,
        "instance": instance,
        **{column: facts.get(fact, "") for fact, column in COLUMNS.items()},
        **unsaid(instance, facts),
        **{name: flavor.get(name, 0) for name in ("vcpus", "ram", "disk")},
        "status": "BUILD",
        "task": None,
        "fault": None,
        "host": None,
        "nics": [],
        "created": created,
        "updated": created,
        "deleted": None,
        "job": None,
        "job_order": None,
        "power": None,
        "clocks": None,
        "progress": None,
        "metadata": {},
        "facts": kept(facts),
        "wished": None,
        "disks": None,
    }


def _nic(nic: Mapping[str, Any], subnets6: Mapping[str, str | None]) -> dict[str, Any]:
    subnet6, mac = subnets6.get(nic.get("network") or ""), nic.get("mac")
    try:
        ip6 = eui64(mac, subnet6) if subnet6 and mac else None
    except ValueError:  # not a /64: the guest's address is not ours to know
        ip6 = None
    found = {"network": nic.get("network"), "ip": nic.get("ip"), "ip6": ip6, "mac": mac, "uuid": nic.get("uuid")}
    port = portname.of_nic(nic.get("name"))
    return {**found, "port": port} if port else found
