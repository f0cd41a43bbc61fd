"""A server's metadata: the tenant's own words about it, kept in its instance's tags."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from frontend.compute import lock, quotas, servers
from frontend.effect import facts
from frontend.web import schema
from frontend.web.fault import BadRequest, NotFound


def list_all(server_id: str) -> Response:
    """GET /servers/ID/metadata."""
    return jsonify({"metadata": servers.need(server_id)["metadata"]})


def update(server_id: str) -> Response:
    """POST /servers/ID/metadata: items that are added or changed."""
    items = _sent()
    known = _changeable(server_id)["metadata"]
    return _changed(server_id, {**known, **items}, items)


def replace(server_id: str) -> Response:
    """PUT /servers/ID/metadata: all items that there are from now on."""
    items = _sent()
    known = _changeable(server_id)["metadata"]
    return _changed(server_id, items, {**dict.fromkeys(known), **items})


def show(server_id: str, key: str) -> Response:
    """GET /servers/ID/metadata/KEY."""
    known = servers.need(server_id)["metadata"]
    return jsonify({"meta": {key: _value(known, key)}})


def put(server_id: str, key: str) -> Response:
    """PUT /servers/ID/metadata/KEY: one item, which the body names as well."""
    item = schema.metadata({"metadata": schema.mapping(schema.body(), "meta")})
    if set(item) != {key}:
        raise BadRequest(f"meta: expected the one item {key!r:.80} that the address names, got {sorted(item)!s:.80}")
    known = _changeable(server_id)["metadata"]
    quotas.check_metadata(len({**known, **item}))
    facts.change(servers.need(server_id), metadata=item)
    return jsonify({"meta": item})


def delete(server_id: str, key: str) -> tuple[str, int]:
    """DELETE /servers/ID/metadata/KEY."""
    server = _changeable(server_id)
    _value(server["metadata"], key)
    facts.change(server, metadata={key: None})
    return "", 204


def _sent() -> dict[str, str]:
    sent = schema.body()
    schema.mapping(sent, "metadata")  # which here may not lack
    return schema.metadata(sent)


def _changeable(server_id: str) -> dict[str, Any]:
    server = servers.need(server_id)
    lock.check(server)
    return server


def _changed(server_id: str, after: dict[str, str], changes: dict[str, Any]) -> Response:
    quotas.check_metadata(len(after))
    facts.change(servers.need(server_id), metadata=changes)
    return jsonify({"metadata": after})


def _value(known: dict[str, str], name: str) -> str:
    if name not in known:
        raise NotFound("Metadata item was not found")
    return known[name]
