"""What ports are called in Ganeti. Pure.

A port is a NIC. One that the front attached, or made beforehand, has the name `port-` and its UUID there: Ganeti
gives a NIC a UUID of its own only while its job goes on, too late for who asked for it. Any other NIC is the port of
that UUID.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontend.effect import labelled

PREFIX = "port-"


def nic(port_id: str) -> str:
    """The NIC's name."""
    return PREFIX + port_id


def of_nic(name: str | None) -> str | None:
    """The port that a NIC of this name is; None for a name of another kind."""
    return labelled.ident(PREFIX, name)


def ident(nic: Mapping[str, Any]) -> str | None:
    """The id of the port that a NIC of a server's row is."""
    found: str | None = nic.get("port") or nic.get("uuid")
    return found


def handle(nic: Mapping[str, Any]) -> str:
    """What Ganeti finds this NIC by among those of its instance."""
    return PREFIX + nic["port"] if nic.get("port") else str(nic["uuid"])
