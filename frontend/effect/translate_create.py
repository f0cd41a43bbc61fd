"""A create, from OpenStack's words to Ganeti's. Pure: values in, values out."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from frontend.effect.translate import GIB, MIB, Call, Size
from frontend.network import portname
from frontend.web.fault import BadRequest
from ganeti_ext import seed, tags

OS = "ganeti-ext+default"  # the OS definition that leaves the cloned disk as it is


class Wish(NamedTuple):
    """One NIC: the network's UUID and its IPv4 subnet (None: it has none), and the address that was asked for."""

    network: str
    subnet: str | None
    fixed_ip: str | None
    port: str | None = None
    """Made beforehand: its address is set apart in Ganeti's pool, for it alone."""
    mac: str | None = None
    tags: tuple[str, ...] = ()
    """Of its instance: what the guest may do with it beside the usual (porttag.py)."""
    apart: bool = False
    """Its address is set apart in Ganeti's pool, for whoever names it (fixedip.py)."""


class Place(NamedTuple):
    """Where Ganeti is to put an instance; the rest is left to the cluster's default allocator."""

    zone: str | None = None
    """A node group."""
    node: str | None = None

    def words(self) -> dict[str, str | bool]:
        """What of a create's body says so."""
        if self.node:
            return {"pnode": self.node}
        return {"opportunistic_locking": True, **({"group_name": self.zone} if self.zone else {})}


class Disk(NamedTuple):
    """What the root disk is made of: parameters of the provider (docs/provider.md). No origin: it is a volume."""

    provider: str
    origin: str
    pool: str | None = None
    has_agent: bool = False
    """Whether the guest on it runs the QEMU guest agent, which then has a port to be asked by."""


ANYWHERE = Place()


def size(vcpus: int, ram: int, disk: int, image_size: int) -> Size:
    """A flavor (GiB of disk) as Ganeti is asked for it. A disk of 0 means one as large as the image (octets)."""
    mib = disk * (GIB // MIB) or -(-image_size // MIB)
    return Size(vcpus, ram, mib)


def check_image(wanted: Size, image: Mapping[str, Any]) -> None:
    """BadRequest when the image needs more than the flavor has. min_disk is GiB, min_ram MiB, size octets."""
    if wanted.ram < image["min_ram"]:
        raise BadRequest(
            f"flavorRef: {wanted.ram} MiB of memory are too little for image {image['id']}, it needs {image['min_ram']}"
        )
    needed = max(image["min_disk"] * (GIB // MIB), -(-image["size"] // MIB))
    if wanted.disk < needed:
        raise BadRequest(
            f"flavorRef: a disk of {wanted.disk} MiB is too small for image {image['id']}, it needs {needed} MiB"
        )


def create(
    instance: str,
    wanted: Size,
    disk: Disk,
    nics: Sequence[Wish],
    facts: Mapping[str, str],
    metadata: Mapping[str, str],
    place: Place = ANYWHERE,
    told: str = "",
) -> Call:
    """POST /2/instances; `told` is the seed's text.

    Only the nodes that no other job holds are looked at, so that many creates go on at once; if none of them will
    do, Ganeti waits for all (instance_create.py PrepareRetry).
    """
    body: dict[str, Any] = {
        "__version__": 1,
        "mode": "create",
        "instance_name": instance,
        "os_type": OS,
        "disks": [_root(instance, wanted, disk)] if disk.origin else [],
        "nics": [nic(wish) for wish in nics],
        "beparams": {"vcpus": wanted.vcpus, "minmem": wanted.ram, "maxmem": wanted.ram},
        "tags": [
            *tags.encode({name: value for name, value in facts.items() if value}),
            *tags.encode_metadata(metadata),
            *(tag for wish in nics for tag in wish.tags),
        ],
        "ip_check": False,
        "name_check": False,
        "wait_for_sync": False,
    }
    if any(wish.port or wish.apart for wish in nics):
        body["conflicts_check"] = False
    if told:
        body["disks"].append(_seed(instance, disk))
        body["osparams_secret"] = {seed.SEED: told}
    if disk.has_agent:
        body["hvparams"] = {"use_guest_agent": True}
    body["disk_template"] = "ext" if body["disks"] else "diskless"
    return Call("POST", "instances", {**body, **place.words()})


def nic(wish: Wish) -> dict[str, str]:
    """A NIC of a create or a modification."""
    if wish.port is not None:
        of_port = {"ip": wish.fixed_ip, "mac": wish.mac, "name": portname.nic(wish.port)}
        return {"network": wish.network, **{key: value for key, value in of_port.items() if value}}
    if wish.fixed_ip is not None:
        return {"network": wish.network, "ip": _within(wish)}
    return {"network": wish.network, "ip": "pool"} if wish.subnet else {"network": wish.network}


def of(provider: str) -> dict[str, str]:
    """Parameters of a disk: QEMU itself speaks to Ceph, which not every node's kernel does (docs/rbd.md)."""
    return {"provider": provider, "access": "userspace"} if provider == "rbd" else {"provider": provider}


def _root(instance: str, wanted: Size, disk: Disk) -> dict[str, Any]:
    found = {"size": wanted.disk, "name": f"{instance}-root", **of(disk.provider), "origin": disk.origin}
    return {**found, "pool": disk.pool} if disk.pool else found


def _seed(instance: str, disk: Disk) -> dict[str, Any]:
    """Beside the root disk, so that it goes wherever that goes. KVM has no disks in Ganeti that cannot be written."""
    found = {"size": seed.SIZE, "name": f"{instance}{seed.DISK}", **of(disk.provider)}
    return {**found, "pool": disk.pool} if disk.pool else found


def _within(wish: Wish) -> str:
    try:
        address = ipaddress.ip_address(wish.fixed_ip or "")
    except ValueError as err:
        raise BadRequest(f"fixed_ip: {wish.fixed_ip!r:.80} is no IP address") from err
    if address.version != 4:
        raise BadRequest(f"fixed_ip: {address}: an IPv6 address follows from the NIC's MAC, and cannot be chosen")
    if wish.subnet is None or address not in ipaddress.IPv4Network(wish.subnet, strict=False):
        raise BadRequest(f"fixed_ip: {address} is not in network {wish.network}")
    return str(address)
