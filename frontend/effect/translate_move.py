"""Moving an instance between nodes, from Nova's words to Ganeti's and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontend.effect.translate import Call

# Opcode -> migration_type (nova.objects.fields.MigrationType).
KINDS: Mapping[str, str] = {
    "OP_INSTANCE_MIGRATE": "live-migration",
    "OP_INSTANCE_FAILOVER": "migration",
    "OP_INSTANCE_MOVE": "migration",
}
_STATUS = {"success": "completed", "error": "error", "canceled": "cancelled", "running": "running"}


def live(instance: str, host: str | None) -> Call:
    """Without a host the cluster's default allocator chooses."""
    return Call("PUT", f"instances/{instance}/migrate", {"mode": "live", **_target(host)})


def failover(instance: str, host: str | None) -> Call:
    return Call("PUT", f"instances/{instance}/failover", _target(host))


def from_dead(instance: str, host: str | None) -> Call:
    """From a node that does not answer: the lock of its disks keeps the instance from running twice."""
    return Call("PUT", f"instances/{instance}/failover", {"ignore_consistency": True, **_target(host)})


def status(ended: str) -> str:
    """Of a migration, by its opcode's."""
    return _STATUS.get(ended, "queued")


def _target(host: str | None) -> dict[str, Any]:
    return {"target_node": host} if host else {}
