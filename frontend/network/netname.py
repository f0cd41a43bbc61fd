"""What Ganeti calls a network that a tenant made: NAME.ID, with the name and id that its tenant knows. Pure."""

from __future__ import annotations

import re

_OURS = re.compile(r"(?P<name>.+)\.(?P<id>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.DOTALL)


def known_as(name: str, ident: str) -> str:
    """What Ganeti calls a tenant's network."""
    return f"{name}.{ident}"


def parts(network: str) -> tuple[str, str] | None:
    """The name and id of a tenant's network; None for a name of another kind."""
    found = _OURS.fullmatch(network)
    return (found["name"], found["id"]) if found else None


def shown(network: str) -> str:
    """What a tenant calls the network that Ganeti calls so."""
    found = parts(network)
    return found[0] if found else network
