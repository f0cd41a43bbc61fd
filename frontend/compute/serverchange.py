"""PUT /servers/ID: the name, the description, and how the tenant says that a server is reached."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify

from frontend.compute import servers, serverview
from frontend.effect import facts
from frontend.web import context, schema
from frontend.web.fault import BadRequest

DISK_CONFIG = "OS-DCF:diskConfig"


def change(server_id: str) -> Response:
    """What is not named stays; an empty body changes nothing (api-ref, "Update Server")."""
    sent = schema.mapping(schema.body(), "server")
    wanted = asked(sent, context.version() >= (2, 19))
    server = servers.need(server_id)
    facts.change(server, wanted)
    return jsonify({"server": serverview.after(servers.need(server_id), serverview.eye())})


def asked(sent: Mapping[str, Any], with_description: bool) -> dict[str, str | None]:
    """The facts that a body gives; null takes an address or the description away."""
    found: dict[str, str | None] = {}
    if "name" in sent:
        found["name"] = schema.text(sent, "name")
    for key, fact, kind in (("accessIPv4", "ip4", ipaddress.IPv4Address), ("accessIPv6", "ip6", ipaddress.IPv6Address)):
        if key in sent:
            found[fact] = address(sent, key, kind)
    if with_description and "description" in sent:
        found["description"] = description(sent)
    if sent.get(DISK_CONFIG) is not None:
        found["autodisk"] = disk_config(sent)
    return found


def address(sent: Mapping[str, Any], key: str, kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> str | None:
    """In its usual form, which for IPv6 is that of RFC 5952."""
    value = sent[key]
    if value in (None, ""):
        return None
    try:
        if isinstance(value, str):
            return str(kind(value))
    except ValueError:
        pass
    raise BadRequest(f"{key}: {value!r:.80} is no {kind.__name__.removesuffix('Address')} address")


def description(sent: Mapping[str, Any]) -> str | None:
    value = sent["description"]
    if value in (None, ""):
        return None
    if not isinstance(value, str) or len(value) > schema.MAX_NAME or not value.isprintable():
        raise BadRequest(f"description: expected at most {schema.MAX_NAME} printable characters, got {value!r:.80}")
    return value


def disk_config(sent: Mapping[str, Any]) -> str | None:
    """The fact `autodisk` of AUTO and MANUAL."""
    value = sent[DISK_CONFIG]
    if value not in ("AUTO", "MANUAL"):
        raise BadRequest(f"{DISK_CONFIG}: expected AUTO or MANUAL, got {value!r:.80}")
    return "1" if value == "AUTO" else None
