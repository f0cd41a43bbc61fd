"""GET /openapi.json: every route with what it takes and answers, as an OpenAPI 3.1 document.

Made of the table of routes, so that none is missing, and of what is said of each beside it (openapi_compute.py,
openapi_server.py, openapi_identity.py, openapi_image.py, openapi_network.py, openapi_volume.py,
openapi_snapshot.py, openapi_absent.py).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from flask import Response

import ganeti_ext
from frontend.web import (
    context,
    openapi_absent,
    openapi_compute,
    openapi_identity,
    openapi_image,
    openapi_network,
    openapi_server,
    openapi_snapshot,
    openapi_volume,
)
from frontend.web.fault import NAMES
from frontend.web.openapi_said import Said

Route = tuple[str, str, Callable[..., Any], str]

SAID: Mapping[str, Said] = {
    "GET /health": Said(status=(200, 503)),
    "GET /openapi.json": Said("openapi"),
    **openapi_identity.SAID,
    **openapi_compute.SAID,
    **openapi_server.SAID,
    **openapi_image.SAID,
    **openapi_network.SAID,
    **openapi_volume.SAID,
    **openapi_snapshot.SAID,
    **openapi_absent.SAID,
}
_PART = re.compile(r"<(?:\w+:)?(\w+)>")
# Of every route; of those that need a token; of those that take a body; of those that start a job.
_ALWAYS = (400, 404)
_WITH_TOKEN = (401, 403)
_WITH_BODY = (413, 415)
_EFFECTS = (409, 503)
_VERSIONED = (406,)


def show() -> Response:
    """This document."""
    servers = json.dumps([{"url": context.base()}])
    return Response(f'{{"servers": {servers}, {_rest()[1:]}', mimetype="application/json")


@functools.cache
def _rest() -> str:
    """All but where the service is, as JSON: the same as long as the process runs, and the work of 100 requests."""
    from frontend import routes  # noqa: PLC0415 (it lists this view)

    return json.dumps(document(routes.ROUTES))


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        method, url, *_ = route
        paths.setdefault(path(url), {})[method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ganeti-ext",
            "version": ganeti_ext.__version__,
            "description": "OpenStack's Identity v3, Compute v2.1, Image v2, Network v2.0, Block Storage v3 on Ganeti.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
            "schemas": {service: _fault(service) for service in ("compute", "network", "plain")},
        },
    }


def path(url: str) -> str:
    """A route's URL as OpenAPI writes it."""
    return _PART.sub(r"{\1}", url)


def _operation(route: Route) -> dict[str, Any]:
    method, url, view, access = route
    said = SAID.get(f"{method} {url}", Said())
    found: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()} {url}").strip("_"),
        "summary": (view.__doc__ or f"{view.__name__.replace('_', ' ')}.").partition("\n")[0],
        "tags": [_service(url)],
        "description": f"For {access}.",
        "security": [] if access == "everybody" else [{"token": []}],
        "parameters": [*_parts(url), *map(_asked, said.query)],
        "responses": _responses(route, said),
    }
    if said.body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": said.body}}}
    if said.data:
        found["requestBody"] = {"required": True, "content": {said.data: {}}}
    return found


def _parts(url: str) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1, "maxLength": 255}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in _PART.findall(url)]


def _asked(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "string", "maxLength": 255}}


def _responses(route: Route, said: Said) -> dict[str, Any]:
    method, url, _, access = route
    codes = {*_ALWAYS, *said.refusals}
    codes |= set() if access == "everybody" else set(_WITH_TOKEN)
    codes |= set(_WITH_BODY) if said.body is not None or said.data else set()
    codes |= set(_EFFECTS) if method != "GET" else set()
    codes |= set(_VERSIONED) if url.startswith(("/compute/v2.1/", "/volume/v3/")) else set()
    found = {str(status): _success(status, said) for status in said.status}
    return {**found, **{str(code): _refusal(code, _shape(url)) for code in sorted(codes - set(said.status))}}


def _success(status: int, said: Said) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if said.text:
        shown["content"] = {said.text: {"schema": {"type": "string"}}}
    elif said.answer:
        key, is_list = said.answer.removesuffix("[]"), said.answer.endswith("[]")
        inner = {"type": "array"} if is_list else {}
        schema = {"type": "object", "required": [key], "properties": {key: inner}}
        shown["content"] = {"application/json": {"schema": schema}}
    return shown


def _refusal(status: int, shape: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape}"}}}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _service(url: str) -> str:
    return url.split("/")[1]


def _shape(url: str) -> str:
    return {"compute": "compute", "volume": "compute", "network": "network"}.get(_service(url), "plain")


def _fault(service: str) -> dict[str, Any]:
    """The shape of its refusals (fault.py)."""
    text, code = {"type": "string"}, {"type": "integer"}
    if service == "network":
        said = _need({"type": text, "message": text, "detail": text})
        return _need({"NeutronError": said})
    if service == "compute":
        said = _need({"code": code, "message": text})
        names = dict.fromkeys(sorted({*NAMES.values(), "computeFault"}), said)
        whole = {"type": "object", "properties": names, "additionalProperties": False}
        return {**whole, "minProperties": 1, "maxProperties": 1}
    return _need({"error": _need({"code": code, "message": text, "title": text})})


def _need(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": sorted(properties), "properties": properties, "additionalProperties": False}
