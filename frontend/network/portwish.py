"""A port that was made beforehand, as a NIC that is asked of Ganeti. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from frontend.effect.translate_create import Wish
from frontend.network import portname, porttag
from frontend.web.fault import BadRequest, Conflict

Row = Mapping[str, Any]


def network(networks: Sequence[Row], row: Row) -> Row | None:
    """Of those that a project may use (networks.all_rows), the one that a port is in.

    None as well of a NIC's row, and of a floating address.
    """
    if row["facts"].get("floating"):
        return None
    return next((each for each in networks if row["network"] and each["id"] == row["network"]), None)


def wish(networks: Sequence[Row], row: Row) -> Wish:
    """BadRequest, as Nova says it, of a port that has no address, and one that is down."""
    found = network(networks, row)
    assert found is not None, row
    if found["uuid"] is None or (found["subnet"] and not row["address"]):
        raise BadRequest(f"Port {row['id']} requires a FixedIP in order to be used.")
    if row["facts"].get("down"):
        raise BadRequest(f"Port {row['id']} is down: set admin_state_up to True before a server gets it.")
    check_connected(found)
    tags = porttag.wanted(portname.nic(row["id"]), row["facts"])
    return Wish(found["uuid"], found["subnet"], row["address"], row["id"], row["mac"], tuple(tags))


def check_connected(network: Row) -> None:
    """Conflict of a network that no node has: it is just being made, or an administrator has not connected it yet."""
    if network.get("groups") == []:
        raise Conflict(f"Network {network['id']} is connected to no nodes yet.")
