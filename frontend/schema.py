"""Request bodies: read once, into typed values; what is wrong is named with its place and value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import request

from frontend.fault import BadMediaType, BadRequest

MAX_NAME = 255
MAX_NICS = 8  # Ganeti's own limit
MAX_ITEMS = 128  # of a server's metadata: Nova's default
MISSING: Any = object()

_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_TRUE = ("true", "1", "on", "yes")
_FALSE = ("false", "0", "off", "no")

@dataclass(frozen=True, slots=True)
class Attachment:
    """A wish for one NIC."""

    network_id: str
    fixed_ip: str | None


@dataclass(frozen=True, slots=True)
class NewServer:
    name: str
    flavor_id: str
    image_id: str
    networks: tuple[Attachment, ...]
    """Empty: the default network."""
    groups: tuple[str, ...]
    """Names or ids of security groups."""
    metadata: Mapping[str, str]


def body() -> dict[str, Any]:
    """The request's JSON object."""
    if request.mimetype != "application/json":
        raise BadMediaType(f"Content-Type {request.mimetype!r}: only application/json is understood")
    data = request.get_data(cache=False)
    request.stream.read(1)  # a chunked body was cut at max_body; only who reads on gets the 413
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as err:
        raise BadRequest("The body is not valid JSON.") from err
    if not isinstance(found, dict):
        raise BadRequest("The body is not a JSON object.")
    return found


def mapping(where: Mapping[str, Any], key: str, default: Any = MISSING) -> dict[str, Any]:
    return _typed(where, key, dict, "an object", default)  # type: ignore[no-any-return]


def items(where: Mapping[str, Any], key: str) -> list[Any]:
    """A list; absent and null mean an empty one."""
    return _typed(where, key, list, "a list", []) or []


def text(where: Mapping[str, Any], key: str, default: Any = MISSING, longest: int = MAX_NAME) -> str:
    """A text of printable characters (Unicode has no others in what databases and tags can hold)."""
    value = _typed(where, key, str, "a string", default)
    if value is default:
        return value  # type: ignore[no-any-return]
    if not value.strip():
        raise BadRequest(f"{key}: must not be blank")
    if len(value) > longest:
        raise BadRequest(f"{key}: {len(value)} characters, at most {longest} are allowed")
    if not value.isprintable():
        raise BadRequest(f"{key}: {value!r} has characters that cannot be printed")
    return value.strip()  # type: ignore[no-any-return]


def _typed(where: Mapping[str, Any], key: str, kind: type, words: str, default: Any) -> Any:
def number(where: Mapping[str, Any], key: str, default: Any, least: int, most: int) -> int:
    """A whole number, which clients write as a string now and then; of the default's type where it lacks."""
    value = where.get(key)
    if value is None:
        if default is MISSING:
            raise BadRequest(f"{key}: is missing")
        return default  # type: ignore[no-any-return]
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BadRequest(f"{key}: expected a whole number from {least} to {most}, got {json.dumps(where[key])[:80]}")
    return value


def flag(where: Mapping[str, Any], key: str, *, default: bool) -> bool:
    """True or false; clients write them as strings, too (nova/api/validation/parameter_types.py boolean)."""
    value = where.get(key)
    if value is None:
        return default
    if str(value).lower() in _TRUE:
        return True
    if str(value).lower() in _FALSE:
        return False
    raise BadRequest(f"{key}: expected true or false, got {json.dumps(value)[:80]}")


    value = where.get(key)
    if value is None:
        if default is MISSING:
            raise BadRequest(f"{key}: is missing")
        return default
    if not isinstance(value, kind):
        raise BadRequest(f"{key}: expected {words}, got {json.dumps(value)[:80]}")
    return value


def new_server(sent: Mapping[str, Any]) -> NewServer:
    """The body of POST /servers."""
    server = mapping(sent, "server")
    for key in ("min_count", "max_count"):
        _one(server, key)
    for key in ("user_data", "personality", "key_name", "config_drive"):
        if server.get(key) not in (None, "", [], {}, False, "false", "False"):
            raise BadRequest(f"{key}: not supported yet")
    image_id = reference(server, "imageRef")
    _plain_boot(items(server, "block_device_mapping_v2") + items(server, "block_device_mapping"), image_id)
    if server.get("availability_zone") not in (None, "", "nova"):
        raise BadRequest(f"availability_zone: there is no {server['availability_zone']!r}, only 'nova'")
    return NewServer(
        name=text(server, "name"),
        flavor_id=reference(server, "flavorRef"),
        image_id=image_id,
        networks=_networks(server),
        groups=tuple(text(_object("security_groups", group), "name") for group in items(server, "security_groups")),
        metadata=metadata(server),
    )


def metadata(where: Mapping[str, Any]) -> dict[str, str]:
    """The tenant's own words about a server."""
    found = mapping(where, "metadata", {})
    if len(found) > MAX_ITEMS:
        raise BadRequest(f"metadata: {len(found)} items, at most {MAX_ITEMS} are allowed")
    for name, value in found.items():
        text({f"metadata: {name!r:.80}": name}, f"metadata: {name!r:.80}")
        if not isinstance(value, str) or len(value) > MAX_NAME or not value.isprintable():
            raise BadRequest(f"metadata: {name}: expected at most {MAX_NAME} printable characters, got {value!r:.80}")
    return found


def reference(where: Mapping[str, Any], key: str) -> str:
    """An id, or the id that ends a URL."""
    value = where.get(key)
    found = text({key: str(value) if isinstance(value, int) else value}, key, longest=2048)
    return found.rstrip("/").rsplit("/", 1)[-1]


def action(sent: Mapping[str, Any]) -> tuple[str, Any]:
    """The one key of a server action's body, and what it holds."""
    if len(sent) != 1:
        raise BadRequest(f"expected one action, got {len(sent)}: {', '.join(sorted(sent))[:200]}")
    return next(iter(sent.items()))


def reboot_type(argument: Any) -> str:
    """SOFT or HARD."""
    if not isinstance(argument, dict):
        raise BadRequest("reboot: expected an object")
    kind = text(argument, "type").upper()
    if kind not in ("SOFT", "HARD"):
        raise BadRequest(f"type: expected SOFT or HARD, got {argument['type']!r}")
    return kind


def _one(server: Mapping[str, Any], key: str) -> None:
    value = server.get(key, 1)
    if isinstance(value, bool) or str(value) != "1":
        raise BadRequest(f"{key}: {value!r}: one server a request is supported")


def _plain_boot(devices: list[Any], image_id: str) -> None:
    """Clients repeat the image as a block device (python-openstackclient always does)."""
    for each in devices:
        device = _object("block_device_mapping_v2", each)
        plain = (
            device.get("source_type") == "image"
            and device.get("destination_type", "local") == "local"
            and device.get("uuid") == image_id
        )
        if not plain:
            raise BadRequest("block_device_mapping_v2: only a boot from imageRef to the server's own disk is supported")


def _object(place: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRequest(f"{place}: expected a list of objects")
    return value


def _networks(server: Mapping[str, Any]) -> tuple[Attachment, ...]:
    wishes = items(server, "networks")
    if len(wishes) > MAX_NICS:
        raise BadRequest(f"networks: {len(wishes)}, at most {MAX_NICS} are possible")
    return tuple(_attachment(_object("networks", wish)) for wish in wishes)


def _attachment(wish: Mapping[str, Any]) -> Attachment:
    if wish.get("port") is not None:
        raise BadRequest("networks: ports cannot be made in advance, name a network by its uuid")
    return Attachment(text(wish, "uuid"), text(wish, "fixed_ip", None))
