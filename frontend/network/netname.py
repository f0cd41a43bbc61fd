"""What Ganeti calls a network that a tenant made: NAME.ID, with the name and id that its tenant knows. Pure.

Ganeti takes names into paths and addresses, so that NAME may have only some characters (PLAIN): each octet of another
one is written ..XX, its number in hexadecimal, and so are two full stops that follow each other.
"""

from __future__ import annotations

import re

_OURS = re.compile(r"(?P<name>.+)\.(?P<id>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.DOTALL)
_OTHER = re.compile(rb"\.\.|[^A-Za-z0-9._-]")
_WRITTEN = re.compile(rb"\.\.([0-9A-F]{2})")


def known_as(name: str, ident: str) -> str:
    """What Ganeti calls a tenant's network."""
    return f"{_written(name)}.{ident}"


def parts(network: str) -> tuple[str, str] | None:
    """The name and id of a tenant's network; None for a name of another kind."""
    found = _OURS.fullmatch(network)
    return (_read(found["name"]), found["id"]) if found else None


def shown(network: str) -> str:
    """What a tenant calls the network that Ganeti calls so."""
    found = parts(network)
    return found[0] if found else network


def _written(name: str) -> str:
    octets = _OTHER.sub(lambda found: b"".join(b"..%02X" % octet for octet in found[0]), name.encode())
    return octets.decode("ascii")


def _read(name: str) -> str:
    """As it is where that makes no text: an administrator may call a network anything."""
    octets = _WRITTEN.sub(lambda found: bytes.fromhex(found[1].decode()), name.encode())
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return name
