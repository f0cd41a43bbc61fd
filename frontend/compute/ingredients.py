"""What a new server is made of, looked up: BadRequest names what the project has not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from frontend.compute import flavors, keypairs, serverdevices, servergroups, whichcluster
from frontend.compute.schema_server import AUTO, Attachment, NewServer
from frontend.compute.whichcluster import Bound, Limit
from frontend.effect import clusters, translate
from frontend.effect.translate_create import Disk, Place, Wish, check_image, size
from frontend.image import images
from frontend.network import fixedip, netrows, portstore, portwish, securitygroups
from frontend.quota import addresses
from frontend.web import context
from frontend.web.fault import BadRequest

_YES = ("1", "t", "true", "on", "y", "yes")  # oslo.utils, bool_from_string: what Nova reads such properties with
# Of a server that boots from a volume.
_NO_IMAGE: Mapping[str, Any] = {"id": "", "size": 0, "min_disk": 0, "min_ram": 0}


@dataclass(frozen=True, slots=True)
class Ingredients:
    flavor: Mapping[str, Any]
    image: Mapping[str, Any]
    size: translate.Size
    disk: Disk
    devices: tuple[serverdevices.Found, ...]
    """Its volumes, that which it boots from first."""
    nics: tuple[Wish, ...]
    ports: tuple[Mapping[str, Any], ...]
    """Those of its NICs that were made beforehand: their rows."""
    public: int
    """How many of its NICs get a public address, but for those that were made beforehand."""
    public_key: str | None
    cluster: str
    cluster_row: Mapping[str, Any] | None
    """Of the table `cluster`; None while it has none."""
    place: Place
    facts: Mapping[str, str]
    """Those that follow from the wishes (ganeti_ext/tags.py GIVEN)."""


def find(connection: Connection, wanted: NewServer) -> Ingredients:
    project = context.project_id()
    flavor = flavors.find(connection, wanted.flavor_id, project)
    if flavor is None:
        raise BadRequest(f"Flavor {wanted.flavor_id} could not be found.")
    image = _image(connection, wanted.image_id, project) if wanted.image_id else _NO_IMAGE
    brought = serverdevices.find(connection, wanted.devices, image if wanted.image_id else None)
    devices = sorted(brought, key=lambda each: not each.device.boots)
    if any(each.device.boots for each in devices):
        image = _NO_IMAGE
    found = size(flavor["vcpus"], flavor["ram"], flavor["disk"], image["size"])
    check_image(found, image)
    group = _group(connection, wanted, project)
    made = _made(connection, project, wanted.networks)
    known = _networks(connection, project, wanted.networks, made)
    limits = [*_stored(image, devices), *_attached(known, made, wanted.networks or ())]
    limits += [("the server group", {"cluster": group.cluster}, False)] if group.cluster is not None else []
    picked = whichcluster.pick(connection, wanted.zone, limits, ram=flavor["ram"], count=wanted.least)
    wishes = wanted.networks or (Attachment(default_network(known, picked.cluster), None),)
    ports = tuple(_port(known, made, each.port_id) for each in wishes if each.port_id)
    nics = tuple(_wish(connection, known, made, each) for each in wishes)
    fixedip.check(nics)
    return Ingredients(
        flavor=flavor,
        image=image,
        size=found,
        disk=_disk(image),
        devices=tuple(devices),
        nics=nics,
        ports=ports,
        public=_public(known, nics),
        public_key=_public_key(connection, wanted.key_name),
        cluster=picked.cluster,
        cluster_row=picked.row,
        place=Place(picked.group, group.node),
        facts={**_given(wanted), **group.facts, **securitygroups.chosen(connection, wanted.security_groups, project)},
    )


def _image(connection: Connection, ident: str, project: str) -> Mapping[str, Any]:
    image = images.find(connection, ident, project)
    if image is None:
        raise BadRequest(f"Image {ident} could not be found.")
    if image["status"] != "active":
        raise BadRequest(f"Image {ident} is not active.")
    return image


def _disk(image: Mapping[str, Any]) -> Disk:
    """Of a snapshot, its provider's; of an image of the store, where new disks are made."""
    provider = image.get("provider") or context.services().settings.front.provider
    said = str((image.get("properties") or {}).get("hw_qemu_guest_agent", ""))
    return Disk(provider, image.get("origin") or image["id"], image.get("pool"), said.strip().lower() in _YES)


def _given(wanted: NewServer) -> dict[str, str]:
    said = {"key": wanted.key_name, "description": wanted.description, "ip4": wanted.ip4, "ip6": wanted.ip6}
    facts = {name: value for name, value in said.items() if value}
    return {**facts, "autodisk": "1"} if wanted.disk_config == AUTO else facts


def _public_key(connection: Connection, name: str | None) -> str | None:
    if name is None:
        return None
    found = keypairs.find(connection, context.caller().user_id, name)
    if found is None:
        raise BadRequest(f"Invalid key_name provided: {name} could not be found.")
    return str(found["public_key"])


def _group(connection: Connection, wanted: NewServer, project: str) -> servergroups.Place:
    if wanted.group is None:
        return servergroups.Place({}, None)
    return servergroups.placed(connection, project, wanted.group, wanted.most)


def _made(connection: Connection, project: str, wanted: Sequence[Attachment]) -> dict[str, dict[str, Any]]:
    """The ports among those that are wanted which were made beforehand, by id."""
    idents = [each.port_id for each in wanted if each.port_id]
    return portstore.of_project(connection, project, idents) if idents else {}


def _networks(
    connection: Connection, project: str, wanted: Sequence[Attachment], made: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Those that may do: who names none, may use any."""
    idents = {each.network_id for each in wanted} | {row["network"] for row in made.values() if row["network"]}
    return netrows.visible(connection, project, idents if wanted else None)


def default_networks(known: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that servers may be in that name none."""
    named = context.services().settings.front.default_network
    shared = [row for row in known if row["project_id"] is None]
    return [row for row in shared if not named or named in (row["id"], row["name"])]


def default_network(known: Sequence[Mapping[str, Any]], cluster: str) -> str:
    """The id of the network of servers that name none; BadRequest when that could be several in their cluster."""
    found = [row["id"] for row in default_networks(known) if clusters.of(row) == cluster]
    if len(found) != 1:
        raise BadRequest("networks: name one by its uuid; there is no default network")
    return str(found[0])


def _stored(image: Mapping[str, Any], devices: Sequence[serverdevices.Found]) -> Iterator[Bound]:
    """What of a server's disks says where it may be."""
    if image["id"]:
        yield f"image {image['id']}", image, True
    for each in devices:
        if each.volume is not None:
            yield f"volume {each.volume['id']}", each.volume, False
        elif each.source.place is not None:
            yield each.source.place


def _attached(
    known: Sequence[Mapping[str, Any]], made: Mapping[str, Mapping[str, Any]], wanted: Sequence[Attachment]
) -> Iterator[Bound]:
    """What of its networks does."""
    if not wanted and (found := default_networks(known)):
        yield Limit("the default network", frozenset(map(clusters.of, found)))
    for each in wanted:
        row = next((row for row in known if row["id"] == each.network_id), None)
        if each.port_id and each.port_id in made:
            row = portwish.network(known, made[each.port_id])
        if row is not None:
            yield f"network {row['id']}", row, False


def _port(known: list[dict[str, Any]], made: Mapping[str, Mapping[str, Any]], ident: str) -> Mapping[str, Any]:
    row = made.get(ident)
    if row is None or portwish.network(known, row) is None:
        raise BadRequest(f"Port {ident:.80} could not be found.")
    return row


def _public(known: Sequence[Mapping[str, Any]], nics: Sequence[Wish]) -> int:
    shared = {row["uuid"] for row in known if row["project_id"] is None and addresses.is_public(row["subnet"])}
    return sum(nic.port is None and nic.network in shared for nic in nics)


def _wish(
    connection: Connection,
    known: Sequence[Mapping[str, Any]],
    made: Mapping[str, Mapping[str, Any]],
    wanted: Attachment,
) -> Wish:
    if wanted.port_id:
        return portwish.wish(known, made[wanted.port_id])
    for row in known:
        if row["id"] == wanted.network_id:
            if row["uuid"] is None:
                raise BadRequest(f"Network {wanted.network_id} requires a subnet in order to boot instances on.")
            return fixedip.wish(connection, row, wanted.fixed_ip)
    raise BadRequest(f"Network {wanted.network_id} could not be found.")
