"""Types of volumes: the storage that an administrator lets tenants choose, [volumes] types. Nothing here is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Response, jsonify, request

from frontend.network.netview import made
from frontend.web import context, paging
from frontend.web.fault import BadRequest, NotFound

_BACKEND, _POOL = "volume_backend_name", "pool_name"


class Type(NamedTuple):
    name: str
    """PROVIDER, or PROVIDER:POOL."""

    @property
    def provider(self) -> str:
        return self.name.partition(":")[0]

    @property
    def pool(self) -> str | None:
        return self.name.partition(":")[2] or None

    @property
    def id(self) -> str:
        return made("volume type", self.name)

    @property
    def extra_specs(self) -> dict[str, str]:
        return {_BACKEND: self.provider, **({_POOL: self.pool} if self.pool else {})}


def every() -> list[Type]:
    """Those that there are, in the order of the settings."""
    settings = context.services().settings
    return [Type(name) for name in settings.volumes.types or (settings.front.provider,)]


def default() -> Type:
    """Of volumes that ask for none."""
    chosen = context.services().settings.volumes.default
    return Type(chosen) if chosen else every()[0]


def find(wanted: str) -> Type:
    """By name or id; NotFound."""
    for each in every():
        if wanted in (each.name, each.id):
            return each
    raise NotFound(f"Volume type {wanted[:80]} could not be found.")


def list_all() -> Response:
    """GET /types; all of them are public."""
    public = request.args.get("is_public", "true").lower()
    if public not in ("true", "false", "none", "1", "0", "yes", "no"):
        raise BadRequest(f"is_public: expected true, false or none, got {public!r:.80}")
    found = [] if public in ("false", "0", "no") else [_shown(each) for each in every()]
    page, more = paging.cut(found[paging.number("offset") :], paging.asked())
    links = paging.next_link(page, more)
    return jsonify({"volume_types": page, **({"volume_type_links": links} if links else {})})


def show(type_id: str) -> Response:
    """GET /types/ID, and /types/default."""
    return jsonify({"volume_type": _shown(default() if type_id == "default" else find(type_id))})


def list_specs(type_id: str) -> Response:
    """GET /types/ID/extra_specs."""
    return jsonify({"extra_specs": find(type_id).extra_specs})


def show_spec(type_id: str, spec: str) -> Response:
    """GET /types/ID/extra_specs/KEY."""
    specs = find(type_id).extra_specs
    if spec not in specs:
        raise NotFound(f"Volume Type {type_id[:80]} has no extra specs with key {spec[:80]}.")
    return jsonify({spec: specs[spec]})


def list_access(type_id: str) -> Response:
    """GET /types/ID/os-volume-type-access: of a public one there is none to be listed."""
    find(type_id)
    raise NotFound("Access list not available for public volume types.")


def show_encryption(type_id: str) -> Response:
    """GET /types/ID/encryption: none is encrypted."""
    find(type_id)
    return jsonify({})


def list_qos() -> Response:
    """GET /qos-specs: there are none."""
    return jsonify({"qos_specs": []})


def list_group_types() -> Response:
    """GET /group_types, from 3.11: there are none."""
    return jsonify({"group_types": []})


def _shown(kind: Type) -> Mapping[str, Any]:
    return {
        "id": kind.id,
        "name": kind.name,
        "description": f"Disks of the provider {kind.provider}" + (f", pool {kind.pool}" if kind.pool else ""),
        "is_public": True,
        "os-volume-type-access:is_public": True,
        "qos_specs_id": None,
        "extra_specs": kind.extra_specs,
    }
