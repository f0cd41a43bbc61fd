"""The body of POST /servers, read once into typed values (Nova's nova/api/openstack/compute/schemas/servers.py)."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frontend.compute import schema_device
from frontend.compute.quotas import FILE_OCTETS, FILE_PATH, FILES
from frontend.web import schema
from frontend.web.fault import BadRequest, Forbidden
from frontend.web.schema import flag, items, mapping, number, reference, text

MAX_NICS = 8  # Ganeti's own limit
MAX_COUNT = 1000  # servers of one request
MAX_USER_DATA = 65535  # characters of base64
AUTO, MANUAL = "AUTO", "MANUAL"
_DESCRIBED = (2, 19)
_HINTS = ("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints")
# What would be asked in vain, and matters to whoever asks.
_UNKNOWN_HINTS = ("same_host", "different_host", "build_near_host_ip", "query")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A wish for one NIC: in a network, or a port that was made beforehand."""

    network_id: str
    fixed_ip: str | None
    port_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewServer:
    name: str
    flavor_id: str
    image_id: str
    """Of its own disk; empty: it boots from a volume."""
    devices: tuple[schema_device.Device, ...]
    """Its volumes, that which it boots from first."""
    networks: tuple[Attachment, ...]
    """Empty: the default network."""
    security_groups: tuple[str, ...]
    """Names or ids."""
    metadata: Mapping[str, str]
    least: int
    most: int
    reservation: bool
    """The answer is to be an id of the whole request, not a server."""
    key_name: str | None
    user_data: str
    """base64; empty: none."""
    files: tuple[tuple[str, str], ...]
    """Absolute path and content, in base64."""
    config_drive: bool
    disk_config: str
    """AUTO, MANUAL."""
    password: str | None
    description: str | None
    ip4: str | None
    ip6: str | None
    zone: str | None
    group: str | None
    """A server group's id."""


def new_server(sent: Mapping[str, Any], version: tuple[int, int]) -> NewServer:
    """BadRequest names what is wrong; keys that we do not know are left alone, as clients send some."""
    server = mapping(sent, "server")
    least = number(server, "min_count", 1, 1, MAX_COUNT)
    most = number(server, "max_count", least, 1, MAX_COUNT)
    if most < least:
        raise BadRequest(f"min_count: {least} is more than max_count, {most}")
    disk_config = server.get("OS-DCF:diskConfig") or MANUAL
    if disk_config not in (AUTO, MANUAL):
        raise BadRequest(f"OS-DCF:diskConfig: expected AUTO or MANUAL, got {disk_config!r:.80}")
    image_id, devices = schema_device.devices(server)
    described = server.get("description") if version >= _DESCRIBED else None
    return NewServer(
        name=text(server, "name"),
        flavor_id=reference(server, "flavorRef"),
        image_id=image_id,
        devices=devices,
        networks=_networks(server, most),
        security_groups=tuple(text(schema.member("security_groups", each), "name") for each in _groups(server)),
        metadata=schema.metadata(server),
        least=least,
        most=most,
        reservation=flag(server, "return_reservation_id", default=False),
        key_name=text(server, "key_name", None),
        user_data=user_data(server),
        files=personality(server),
        config_drive=_config_drive(server),
        disk_config=disk_config,
        password=text(server, "adminPass", None) if server.get("adminPass") else None,
        description=text(server, "description", None) if described else None,
        ip4=_address(server, "accessIPv4", ipaddress.IPv4Address),
        ip6=_address(server, "accessIPv6", ipaddress.IPv6Address),
        zone=text(server, "availability_zone", None) if server.get("availability_zone") else None,
        group=_group(sent, server),
    )


def user_data(where: Mapping[str, Any]) -> str:
    """base64 without line ends; empty when there is none."""
    value = where.get("user_data")
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_USER_DATA:
        raise BadRequest(f"user_data: expected at most {MAX_USER_DATA} characters of base64")
    return _base64("user_data", value)[0]


def personality(where: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Files; Forbidden when there are more or larger ones than Nova takes."""
    found = items(where, "personality")
    if len(found) > FILES:
        raise Forbidden(f"Personality file limit exceeded: {len(found)} files, at most {FILES} are allowed")
    return tuple(_file(schema.member("personality", each)) for each in found)


def attachment(wish: Mapping[str, Any]) -> Attachment:
    """One of `networks`. Beside a port its network means nothing, as in Nova."""
    port, fixed_ip = text(wish, "port", None), text(wish, "fixed_ip", None)
    if port is not None and fixed_ip is not None:
        raise BadRequest(f"networks: fixed_ip: {fixed_ip:.80}: port {port:.80} has its own address")
    return Attachment("", None, port) if port is not None else Attachment(text(wish, "uuid"), fixed_ip)


def _file(sent: Mapping[str, Any]) -> tuple[str, str]:
    path, contents = text(sent, "path", longest=FILE_PATH), sent.get("contents")
    if not isinstance(contents, str):
        raise BadRequest(f"personality: {path}: contents: expected a string of base64")
    encoded, size = _base64(f"personality: {path}: contents", contents)
    if size > FILE_OCTETS:
        raise Forbidden(f"Personality content limit exceeded: {path}: {size} octets, at most {FILE_OCTETS} are allowed")
    return f"/{path.lstrip('/')}", encoded


def _base64(place: str, value: str) -> tuple[str, int]:
    """The same in one line, and how many octets it stands for."""
    plain = "".join(value.split())
    try:
        return plain, len(base64.b64decode(plain, validate=True))
    except ValueError as err:
        raise BadRequest(f"{place}: is not base64") from err


def _config_drive(server: Mapping[str, Any]) -> bool:
    return flag(server, "config_drive", default=False) if server.get("config_drive") != "" else False


def _address(server: Mapping[str, Any], key: str, kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> Any:
    value = server.get(key)
    if value in (None, ""):
        return None
    try:
        if not isinstance(value, str):
            raise ipaddress.AddressValueError
        return str(kind(value))
    except ipaddress.AddressValueError as err:
        version = "IPv4" if kind is ipaddress.IPv4Address else "IPv6"
        raise BadRequest(f"{key}: {value!r:.80} is no {version} address") from err


def _groups(server: Mapping[str, Any]) -> Sequence[Any]:
    """Nova refuses one that is named twice."""
    found = items(server, "security_groups")
    names = [str(each.get("name")) for each in found if isinstance(each, dict)]
    for name in names:
        if names.count(name) > 1:
            raise BadRequest(f"security_groups: {name[:80]} is named twice")
    return found


def _group(sent: Mapping[str, Any], server: Mapping[str, Any]) -> str | None:
    """Clients put the hints beside the server, or into it."""
    hints: dict[str, Any] = {}
    for where in (server, sent):
        for key in _HINTS:
            hints |= mapping(where, key, {})
    for name in _UNKNOWN_HINTS:
        if hints.get(name) is not None:
            raise BadRequest(f"os:scheduler_hints: {name}: Ganeti's allocator knows no such wish, only `group`")
    return text(hints, "group", None)


def _networks(server: Mapping[str, Any], count: int) -> tuple[Attachment, ...]:
    wishes = items(server, "networks")
    if len(wishes) > MAX_NICS:
        raise BadRequest(f"networks: {len(wishes)}, at most {MAX_NICS} are possible")
    found = tuple(attachment(schema.member("networks", wish)) for wish in wishes)
    if count > 1 and any(wish.fixed_ip for wish in found):
        raise BadRequest(f"fixed_ip: {count} servers cannot all have one address")
    ports = [wish.port_id for wish in found if wish.port_id]
    if ports and (count > 1 or len(ports) != len(set(ports))):
        raise BadRequest("networks: port: one server has a port, and once")
    # Who is to have an address that is set apart, may have any such: Ganeti asks no more (conflicts_check).
    if ports and any(wish.fixed_ip for wish in found):
        raise BadRequest("networks: fixed_ip beside a port: make a port with that address, too")
    return found
