"""Which address and which MAC a port gets that no server has yet. Pure.

Ganeti gives servers the first address of a pool that is free; ports get the last one, so that the two seldom meet.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Collection, Mapping
from typing import Any


def free(network: Mapping[str, Any], taken: Collection[str]) -> str | None:
    """The last address that is free in Ganeti's network (GET /2/networks/NAME) and none of `taken`."""
    subnet = ipaddress.IPv4Network(network["network"], strict=False)
    marks = network["map"] or ""
    for place in range(len(marks) - 1, -1, -1):
        if marks[place] == "." and (address := str(subnet[place])) not in taken:
            return address
    return None


def is_free(network: Mapping[str, Any], address: str) -> bool:
    """Whether Ganeti has it reserved for nobody."""
    subnet = ipaddress.IPv4Network(network["network"], strict=False)
    place = int(ipaddress.IPv4Address(address)) - int(subnet.network_address)
    marks = network["map"] or ""
    return 0 <= place < len(marks) and marks[place] == "."


def mac(prefix: str) -> str:
    """Of three octets, and three by chance, as Ganeti itself makes them."""
    return ":".join([prefix, *(f"{octet:02x}" for octet in secrets.token_bytes(3))])
