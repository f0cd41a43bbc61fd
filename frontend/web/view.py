"""What all that is shown has in common: times, links."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def stamp(seconds: float) -> str:
    """RFC 3339 with Z; Go clients read nothing else."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def links(base: str, kind: str, ident: str) -> list[dict[str, str]]:
    return [
        {"rel": "self", "href": f"{base}/compute/v2.1/{kind}/{ident}"},
        {"rel": "bookmark", "href": f"{base}/compute/{kind}/{ident}"},
    ]


def reference(base: str, kind: str, ident: str) -> dict[str, Any]:
    return {"id": ident, "links": [{"rel": "bookmark", "href": f"{base}/compute/{kind}/{ident}"}]}
