"""GET /extensions: by which of Network's extensions the API answers; clients look them up by alias."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from frontend.network import networks
from frontend.web.fault import NotFound

_SINCE = "2014-12-03T00:00:00Z"

# Alias and name, as Neutron has them (neutron_lib/api/definitions).
_KNOWN = (
    ("allowed-address-pairs", "Allowed Address Pairs"),
    ("ip-substring-filtering", "IP address substring filtering"),
    ("network-ip-availability", "Network IP Availability"),
    ("pagination", "Pagination support"),
    ("port-security", "Port Security"),
    ("project-id", "project_id field enabled"),
    ("quota-check-limit", "Quota engine limit check"),
    ("quota_details", "Quota details management support"),
    ("quotas", "Quota management support"),
    ("security-group", "security-group"),
    ("sorting", "Sorting support"),
    ("standard-attr-description", "standard-attr-description"),
    ("standard-attr-tag", "Tag support for resources with standard attribute: network, subnet, port, floatingip"),
    ("standard-attr-timestamp", "Resource timestamps"),
)


def list_all() -> Response:
    return networks.listed("extensions", [_shown(alias, name) for alias, name in _KNOWN])


def show(alias: str) -> Response:
    """GET /extensions/ALIAS."""
    name = dict(_KNOWN).get(alias)
    if name is None:
        raise NotFound(f"Extension with alias {alias} does not exist")
    return jsonify({"extension": _shown(alias, name)})


def _shown(alias: str, name: str) -> dict[str, Any]:
    """With an id, by which pages are cut, as any other thing."""
    return {"id": alias, "alias": alias, "name": name, "description": "", "updated": _SINCE, "links": []}
