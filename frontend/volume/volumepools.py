"""GET /scheduler-stats/get_pools: a pool for each volume type, and what is known of it."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request

from frontend.volume import resourcefilter, volumetypes
from frontend.volume.volumeservices import whether_up
from frontend.volume.volumetypes import Type
from frontend.volume.volumeview import host
from frontend.web import context

_FILTERED, _BY_TYPE = (3, 28), (3, 35)


def show() -> Response:
    """GET /scheduler-stats/get_pools; with `detail` what is known of each. How full one is, its provider knows.

    Filters from 3.28: the name, and to 3.30 whatever is shown with `detail`; from 3.35 a volume type.
    """
    resourcefilter.check("pool")
    _, when = whether_up()
    with_detail = request.args.get("detail", "").lower() in ("true", "1", "yes")
    found = []
    for kind in volumetypes.every():
        known = {"name": host(kind), **_capabilities(kind, when)}
        if _is_wanted(kind, known):
            detail = {"capabilities": _capabilities(kind, when)} if with_detail else {}
            found.append({"name": host(kind), **detail})
    return jsonify({"pools": found})


def _is_wanted(kind: Type, known: dict[str, Any]) -> bool:
    version, asked = context.version(), request.args.to_dict()
    if version < _FILTERED:
        return True
    asked.pop("detail", None)
    by_type = asked.pop("volume_type", None) if version >= _BY_TYPE else None
    if by_type and volumetypes.find(by_type) != kind:
        return False
    asked.pop("volume_type", None)
    return all(str(known.get(key)).lower() == value.lower() for key, value in asked.items())


def _capabilities(kind: Type, when: str) -> dict[str, Any]:
    return {
        "volume_backend_name": kind.provider,
        "pool_name": kind.pool or kind.provider,
        "total_capacity_gb": "unknown",
        "free_capacity_gb": "unknown",
        "reserved_percentage": 0,
        "storage_protocol": kind.provider,
        "vendor_name": "ganeti-ext",
        "driver_version": "1",
        "QoS_support": False,
        "multiattach": False,
        "timestamp": when,
    }
