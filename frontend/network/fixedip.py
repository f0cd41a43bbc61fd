"""Addresses that are chosen for servers' NICs without a port of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.engine import Connection

from frontend.effect.translate_create import Wish
from frontend.network import portpool, portstore, portwish
from frontend.web.fault import BadRequest, Conflict

Row = Mapping[str, Any]


def wish(connection: Connection, network: Row, address: str | None) -> Wish:
    """A NIC in a network that Ganeti has, with the address that was chosen, or any of the pools.

    One outside of the subnet's pools is set apart in Ganeti, for whoever names it. Conflict when a port has it.
    """
    portwish.check_connected(network)
    if address is not None and address in portstore.addresses(connection, network["id"]):
        raise Conflict(f"Fixed IP address {address} is already in use, by a port of network {network['id']}.")
    is_apart = address is not None and address in portpool.apart(network)
    return Wish(network["uuid"], network["subnet"], address, apart=is_apart)


def check(wishes: Iterable[Wish]) -> None:
    """BadRequest where one address needs that Ganeti looks whether it is set apart, and another that it does not."""
    wishes = list(wishes)
    if any(each.apart for each in wishes):
        for each in wishes:
            if each.fixed_ip is not None and each.port is None and not each.apart:
                words = "not beside an address that is outside of its network's pools: make a port with one of them"
                raise BadRequest(f"fixed_ip: {each.fixed_ip}: {words}")
