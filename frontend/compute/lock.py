"""lock and unlock: a server that its users locked changes for administrators alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontend.effect import effect, facts
from frontend.web import context
from frontend.web.fault import Conflict, Forbidden

# Who locked it, in the fact `locked`.
_OWNER, _ADMIN = "1", "admin"


def check(server: Mapping[str, Any]) -> None:
    """Conflict when the server is locked and the caller is no administrator (nova.exception.InstanceIsLocked)."""
    if server["facts"].get("locked") and not context.is_admin():
        raise Conflict(f"Instance {server['id']} is locked")


def lock(server: Mapping[str, Any], _: object) -> tuple[str, int]:
    if not server["facts"].get("locked"):
        effect.told(server, "lock", None, facts.change(server, {"locked": _ADMIN if context.is_admin() else _OWNER}))
    return "", 202


def unlock(server: Mapping[str, Any], _: object) -> tuple[str, int]:
    """What an administrator locked, only an administrator unlocks."""
    locked = server["facts"].get("locked")
    if locked == _ADMIN and not context.is_admin():
        raise Forbidden(f"Instance {server['id']} was locked by an administrator.")
    if locked:
        effect.told(server, "unlock", None, facts.change(server, {"locked": None}))
    return "", 202
