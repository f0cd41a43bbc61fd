"""Identity's objects as clients see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import request

from frontend.identity.accounts import DOMAIN
from frontend.web import context

IDENTITY = "/identity/v3"


def named(row: Mapping[str, Any] | None) -> dict[str, Any]:
    """A user or a project, as in a token."""
    return {"id": row["id"], "name": row["name"], "domain": DOMAIN} if row is not None else {}


def roles(names: Iterable[str]) -> list[dict[str, str]]:
    """As in a token; a role's id is its name."""
    return [{"id": name, "name": name} for name in sorted(names)]


def role(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "domain_id": None,
        "description": None,
        "options": {},
        "links": link("roles", name),
    }


def project(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "domain_id": DOMAIN["id"],
        "parent_id": DOMAIN["id"],
        "description": "",
        "enabled": True,
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": link("projects", row["id"]),
    }


def user(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "domain_id": DOMAIN["id"],
        "enabled": bool(row["enabled"]),
        "password_expires_at": None,
        "options": {},
        "links": link("users", row["id"]),
    }


def domain() -> dict[str, Any]:
    """The one that there is."""
    links = link("domains", DOMAIN["id"])
    return {**DOMAIN, "enabled": True, "description": "", "tags": [], "options": {}, "links": links}


def link(kind: str, ident: str) -> dict[str, str]:
    return {"self": f"{context.base()}{IDENTITY}/{kind}/{ident}"}


def links() -> dict[str, str | None]:
    """Of a list, which is always whole."""
    return {"self": context.base() + request.path, "next": None, "previous": None}


def stamp(seconds: float) -> str:
    """A token's time: UTC with microseconds and a Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
