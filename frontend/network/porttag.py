"""What a guest may do with one of its NICs beside the usual, as tags of its instance (docs/network.md). Pure.

Port security off means: any address of IPv4 and IPv6 but those of routers and groups, and nothing that comes is judged.
The MAC stays the port's own: by that networks which share a bridge are told apart. Groups of its own are a profile of
the NIC's (portgroups.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from frontend.effect.translate import Call
from ganeti_ext import tags

Row = Mapping[str, Any]

_ANY = ("0.0.0.0/0", "2000::/3", "fc00::/7")
_OPEN = "unprotected"
_PROFILE = f"{tags.PREFIX}:firewall."


def wanted(handle: str, facts: Row) -> list[str]:
    """The tags of a NIC, which Ganeti finds by `handle` (portname.handle), for the facts of its port."""
    allowed = _ANY if facts.get("open") else facts.get("pairs") or ()
    found = [f"{tags.ALLOW_ADDRESS}.{handle}:{address}" for address in allowed]
    profile = _OPEN if facts.get("open") else facts.get("profile")
    return [*found, f"{_PROFILE}{handle}:{profile}"] if profile else found


def read(handle: str, some: Iterable[str]) -> dict[str, Any]:
    """The facts that tags of an instance tell of this NIC's port."""
    start = f"{tags.ALLOW_ADDRESS}.{handle}:"
    some = list(some)
    found = sorted(tag.removeprefix(start) for tag in some if tag.startswith(start))
    if set(_ANY) <= set(found):
        return {"open": True}
    profile = next((tag.partition(f"{handle}:")[2] for tag in some if tag.startswith(f"{_PROFILE}{handle}:")), None)
    return {**({"pairs": found} if found else {}), **({"profile": profile} if profile else {})}


def add(instance: str, some: list[str]) -> Call:
    return Call("PUT", f"instances/{instance}/tags", None, {"tag": sorted(some)})


def remove(instance: str, some: list[str]) -> Call:
    return Call("DELETE", f"instances/{instance}/tags", None, {"tag": sorted(some)})
