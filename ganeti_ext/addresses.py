"""What a NIC may call itself: addresses and host name, from what Ganeti says of it."""

from __future__ import annotations

import ipaddress
from collections import namedtuple

from ganeti_ext import hostname, tags
from ganeti_ext.address import eui64
from ganeti_ext.errors import ContractError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ganeti_ext.nicenv import Nic


class Addresses(
    namedtuple(
        "Addresses",
        "ip subnet gateway eui64 subnet6 gateway6 warnings",
        defaults=(None, None, None, None, None, None, ()),
    )
):
    """The addresses of one NIC; a family that it does not have is all None. `subnet6` set means it has IPv6."""

    __slots__ = ()
    ip: str | None
    subnet: str | None
    gateway: str | None
    eui64: str | None
    subnet6: str | None
    gateway6: str | None
    warnings: tuple[str, ...]


def of(nic: Nic) -> Addresses:
    """The addresses of a NIC; ContractError when one cannot be read."""
    found = Addresses()
    network = nic.network
    if nic.ip and tags.DISABLE_IPV4 not in nic.tags:
        found = found._replace(ip=_address(ipaddress.IPv4Address, "IP", nic.ip))
        if network:
            found = found._replace(subnet=network.subnet, gateway=network.gateway)
    if network and network.subnet6 and tags.DISABLE_IPV6 not in nic.tags:
        gateway6 = network.gateway6 and _address(ipaddress.IPv6Address, "NETWORK_GATEWAY6", network.gateway6)
        found = found._replace(subnet6=network.subnet6, gateway6=gateway6)
        try:
            found = found._replace(eui64=eui64(nic.mac, network.subnet6))
        except ValueError as err:
            found = found._replace(warnings=(f"no global IPv6 address for {nic.instance}: {err}",))
    return found


def host_name(instance: str, instance_tags: Sequence[str]) -> str:
    """The guest's host name, by the tenant's name for it."""
    return hostname.of(tags.decode(instance_tags).get("name", ""), instance)


def _address(kind: Callable[[str], object], variable: str, text: str) -> str:
    try:
        return str(kind(text))
    except ValueError as err:
        raise ContractError(f"{variable} has a bad value {text!r}: {err}") from err
