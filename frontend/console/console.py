"""A server's screen for its tenant's browser: the URL of noVNC with a one-time token (consoleproxy.py opens it)."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Response, jsonify

from frontend.compute import servers
from frontend.console import consoletoken
from frontend.settings import Console
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, NotFound

log = logging.getLogger(__name__)

NOVNC = "novnc"
# What Nova's schemas let through (nova/api/openstack/compute/schemas/remote_consoles.py), by protocol.
_TYPES: Mapping[str, tuple[str, ...]] = {
    "vnc": (NOVNC, "xvpvnc"),
    "spice": ("spice-html5",),
    "rdp": ("rdp-html5",),
    "serial": ("serial",),
    "mks": ("webmks",),
}
_MKS_FROM, _REMOTE_FROM = (2, 8), (2, 6)


def vnc(server: Mapping[str, Any], argument: object) -> Response:
    """os-getVNCConsole."""
    kind = _old(argument, "vnc")
    return jsonify({"console": {"type": kind, "url": _url(server, kind)}})


def spice(server: Mapping[str, Any], argument: object) -> Response:
    """os-getSPICEConsole."""
    return jsonify({"console": {"url": _url(server, _old(argument, "spice"))}})


def rdp(server: Mapping[str, Any], argument: object) -> Response:
    """os-getRDPConsole."""
    return jsonify({"console": {"url": _url(server, _old(argument, "rdp"))}})


def serial(server: Mapping[str, Any], argument: object) -> Response:
    """os-getSerialConsole."""
    return jsonify({"console": {"url": _url(server, _old(argument, "serial"))}})


def remote(server_id: str) -> Response:
    """POST /servers/ID/remote-consoles, of any microversion: openstacksdk asks at 2.1, too."""
    wish = schema.mapping(schema.body(), "remote_console")
    protocol, kind = schema.text(wish, "protocol"), schema.text(wish, "type")
    if protocol not in _TYPES or (protocol == "mks" and context.version() < _MKS_FROM):
        raise BadRequest(f"protocol: there is no {protocol[:40]!r}")
    _known(kind, *_TYPES.values())
    server = servers.need(server_id)
    if kind not in _TYPES[protocol]:
        raise BadRequest(f"Unavailable console type {kind}.")
    return jsonify({"remote_console": {"protocol": protocol, "type": kind, "url": _url(server, kind)}})


def _old(argument: object, protocol: str) -> str:
    """The type that an action asks for."""
    if context.version() >= _REMOTE_FROM:
        raise NotFound("The resource could not be found.")
    if not isinstance(argument, dict):
        raise BadRequest("expected an object with the console's type")
    return _known(schema.text(argument, "type"), _TYPES[protocol])


def _known(kind: str, *known: tuple[str, ...]) -> str:
    if not any(kind in types for types in known):
        raise BadRequest(f"type: there is no {kind[:40]!r}")
    return kind


def _url(server: Mapping[str, Any], kind: str) -> str:
    settings = context.services().settings.console
    if kind != NOVNC or not settings.url:
        raise BadRequest(f"Unavailable console type {kind}.")
    if server["status"] in ("BUILD", "SHUTOFF"):
        raise Conflict(f"Instance {server['id']} is not ready")
    with context.database() as connection:
        token = consoletoken.issue(connection, server["id"], kind, time.time(), settings.token_seconds)
        connection.commit()
    log.info("server %s: a token for its screen was issued to user %s", server["id"], context.caller().user_id)
    return page(settings, token)


def page(settings: Console, token: str) -> str:
    """The address of noVNC, whose `path` is the websocket's, from the web server's root on."""
    prefix = urlsplit(settings.url).path.strip("/")
    path = quote(f"{prefix}/?token={token}" if prefix else f"?token={token}", safe="")
    return f"{settings.url.rstrip('/')}/{settings.page}?path={path}"
