"""Flavors of servers that were made without one: their id says the server's own sizes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from frontend.update import reading

_ID = re.compile(rf"{reading.CUSTOM}-(\d{{1,9}})-(\d{{1,9}})-(\d{{1,9}})")


def shown_id(server: Mapping[str, Any]) -> str:
    """The id of a server's flavor, as it is shown."""
    if server["flavor_id"] != reading.CUSTOM:
        return str(server["flavor_id"])
    return f"{reading.CUSTOM}-{server['vcpus']}-{server['ram']}-{server['disk']}"


def find(ident: str) -> dict[str, Any] | None:
    """The flavor of such an id, as a row of the table; None for every other id."""
    match = _ID.fullmatch(ident)
    if match is None:
        return None
    vcpus, ram, disk = (int(part) for part in match.groups())
    return {"id": ident, "name": ident, "vcpus": vcpus, "ram": ram, "disk": disk}
