"""Version documents and the service catalog: how a client that knows one address finds all the rest.

None of it asks for a token: keystoneauth answers a 401 here by authenticating, which starts with discovery.
"""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from frontend.web import context, microversion

UPDATED = "2026-01-01T00:00:00Z"

# type, name (libcloud looks services up by it), path. Compute's has the version and Image's and Network's have
# not: each is the form that every client understands.
SERVICES = (
    ("identity", "keystone", "/identity"),
    ("compute", "nova", "/compute/v2.1"),
    ("image", "glance", "/image"),
    ("network", "neutron", "/network"),
)
# The same by two names: libcloud and older Go clients know the first alone, tempest and the newer SDKs ask for the
# second, too. Its paths have the project's id in them.
VOLUMES = (
    ("volumev3", "cinderv3", "/volume/v3"),
    ("block-storage", "cinder", "/volume/v3"),
)


def catalog(project: str | None) -> list[dict[str, Any]]:
    """The services of a token for a project; without one there are no addresses of volumes."""
    found = [*SERVICES, *((kind, name, f"{path}/{project}") for kind, name, path in VOLUMES if project)]
    region = context.services().settings.front.region
    return [
        {
            "id": kind,
            "type": kind,
            "name": name,
            "endpoints": [
                {
                    "id": f"{kind}-public",
                    "interface": "public",
                    "region": region,
                    "region_id": region,
                    "url": context.base() + path,
                }
            ],
        }
        for kind, name, path in found
    ]


def identity_versions() -> tuple[Response, int]:
    return jsonify({"versions": {"values": [_identity()]}}), 300


def identity_version() -> Response:
    return jsonify({"version": _identity()})


def compute_versions() -> Response:
    return jsonify({"versions": [_compute_2_0(), _compute_2_1()]})


def compute_2_0() -> Response:
    return jsonify({"version": _compute_2_0()})


def compute_2_1() -> Response:
    return jsonify({"version": _compute_2_1()})


def image_versions() -> tuple[Response, int]:
    first, *older = (
        {"id": f"v2.{minor}", "status": "SUPPORTED", "links": _self("/image/v2/")} for minor in range(12, -1, -1)
    )
    return jsonify({"versions": [{**first, "status": "CURRENT"}, *older]}), 300


def network_versions() -> Response:
    version = {"id": "v2.0", "status": "CURRENT", "updated": UPDATED, "links": _self("/network/v2.0/")}
    return jsonify({"versions": [version]})


def network_resources() -> Response:
    kinds = ("network", "subnet", "port")
    return jsonify(
        {
            "resources": [
                {"name": kind, "collection": f"{kind}s", "links": _self(f"/network/v2.0/{kind}s")} for kind in kinds
            ]
        }
    )


def volume_versions() -> tuple[Response, int]:
    return jsonify({"versions": [_volume()]}), 300


def volume_version() -> Response:
    return jsonify({"versions": [_volume()]})


def _self(path: str) -> list[dict[str, str]]:
    return [{"rel": "self", "href": context.base() + path}]


def _media(kind: str) -> list[dict[str, str]]:
    return [{"base": "application/json", "type": f"application/vnd.openstack.{kind}+json"}]


def _identity() -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": UPDATED,
        "links": _self("/identity/v3/"),
        "media-types": _media("identity-v3"),
    }


def _compute_2_0() -> dict[str, Any]:
    return {
        "id": "v2.0",
        "status": "SUPPORTED",
        "version": "",
        "min_version": "",
        "updated": UPDATED,
        "links": _self("/compute/v2/"),
        "media-types": _media("compute;version=2"),
    }


def _compute_2_1() -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": microversion.text(microversion.MAXIMUM),
        "min_version": microversion.text(microversion.MINIMUM),
        "updated": UPDATED,
        "links": _self("/compute/v2.1/"),
        "media-types": _media("compute;version=2.1"),
    }


def _volume() -> dict[str, Any]:
    docs = {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"}
    return {
        "id": "v3.0",
        "status": "CURRENT",
        "version": microversion.text(microversion.VOLUME.most),
        "min_version": microversion.text(microversion.VOLUME.least),
        "updated": UPDATED,
        "links": [docs, *_self("/volume/v3/")],
        "media-types": _media("volume;version=3"),
    }
