"""What is asked of a port, read once into typed values (neutron-lib, api/definitions/port.py). Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from frontend.network import netview
from frontend.web import schema
from frontend.web.fault import BadRequest, Conflict

Row = Mapping[str, Any]

MOST_PAIRS = 10  # neutron.conf max_allowed_address_pair
_LONGEST = 255
_MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")
# What nodes let no guest say by such a pair (kvm_ifup/allowance.py), and groups of IPv4.
_NEVER = tuple(map(ipaddress.ip_network, ("224.0.0.0/4", "fe80::/10", "ff00::/8", "::/128")))


@dataclass(frozen=True, slots=True)
class Asked:
    """None: not named. `facts` as portstore keeps them, but for the groups."""

    facts: Mapping[str, Any]
    groups: tuple[str, ...] | None
    """Ids."""
    address: str | None
    """IPv4, the one that was chosen, if the port does not have it."""
    mac: str | None = None
    """Likewise."""
    inherits: bool = False
    """`security_groups` is null: it is to have those of its server, and none of its own."""


def read(sent: Row, network: Row, mac: str | None, has: Collection[str | None] = ()) -> Asked:
    """BadRequest names what is wrong. `mac` and the addresses that it `has` are the port's, if there is one already."""
    for key in ("device_id", "device_owner"):
        if sent.get(key) not in (None, ""):
            raise BadRequest(f"{key}: {str(sent[key])[:80]!r}: servers get ports by Compute (servers/ID/os-interface)")
    if sent.get("extra_dhcp_opts"):
        raise BadRequest("extra_dhcp_opts: guests are told what their subnet has")
    facts: dict[str, Any] = {key: _words(sent, key) for key in ("name", "description") if sent.get(key) is not None}
    if sent.get("allowed_address_pairs") is not None:
        facts["pairs"] = _pairs(schema.items(sent, "allowed_address_pairs"), mac)
    if sent.get("port_security_enabled") is not None:
        facts["open"] = not schema.flag(sent, "port_security_enabled", default=True)
    if sent.get("admin_state_up") is not None:
        facts["down"] = not schema.flag(sent, "admin_state_up", default=True)
    inherits = "security_groups" in sent and sent["security_groups"] is None
    return Asked(facts, _groups(sent), _address(sent, network, has), _mac(sent, mac), inherits)


def check(facts: Row) -> None:
    """Conflict for what contradicts itself, as in Neutron."""
    if facts.get("open") and facts.get("groups"):
        raise Conflict("Port security must be enabled in order to have security groups on a port.")
    if facts.get("open") and facts.get("pairs"):
        raise Conflict("Port security must be enabled in order to have allowed address pairs on a port.")


def _words(sent: Row, key: str) -> str:
    return "" if sent[key] == "" else schema.text(sent, key, longest=_LONGEST)


def _mac(sent: Row, has: str | None) -> str | None:
    """One that is chosen, of a single station, in Ganeti's letters."""
    if sent.get("mac_address") in (None, "", has):
        return None
    text = schema.text(sent, "mac_address").lower().replace("-", ":")
    if not _MAC.fullmatch(text):
        raise BadRequest(f"mac_address: {text!r:.40} is no MAC address")
    return None if text == has else text


def _groups(sent: Row) -> tuple[str, ...] | None:
    if sent.get("security_groups") is None:
        return None
    found = schema.items(sent, "security_groups")
    if not all(isinstance(each, str) for each in found):
        raise BadRequest("security_groups: expected a list of ids")
    return tuple(dict.fromkeys(found))


def _pairs(wanted: list[Any], mac: str | None) -> list[str]:
    """Addresses and networks, in canonical form."""
    if len(wanted) > MOST_PAIRS:
        raise BadRequest(f"allowed_address_pairs: {len(wanted)}, at most {MOST_PAIRS} are allowed")
    found = []
    for each in wanted:
        pair = schema.member("allowed_address_pairs", each)
        text = schema.text(pair, "ip_address")
        if pair.get("mac_address") not in (None, mac):
            words = f"{pair['mac_address']!r:.40}: only the port's own MAC"
            raise BadRequest(f"allowed_address_pairs: mac_address: {words}")
        try:
            network = ipaddress.ip_network(text)
        except ValueError as err:
            raise BadRequest(f"allowed_address_pairs: ip_address: {text!r:.80}: {err}") from err
        if network.prefixlen == 0:
            raise BadRequest("allowed_address_pairs: ip_address: all addresses: set port_security_enabled to False")
        if any(network.version == never.version and network.overlaps(never) for never in _NEVER):
            raise BadRequest(f"allowed_address_pairs: ip_address: {network}: routers and groups are not a guest's")
        single = network.prefixlen == network.max_prefixlen
        found.append(str(network.network_address) if single else str(network))
    return list(dict.fromkeys(found))


def _address(sent: Row, network: Row, has: Collection[str | None]) -> str | None:
    wanted = [schema.member("fixed_ips", each) for each in schema.items(sent, "fixed_ips")]
    subnets = {subnet["id"]: subnet for subnet in netview.subnets_of(network)}
    chosen, families = [], []
    for each in wanted:
        ident, text = schema.text(each, "subnet_id", None), schema.text(each, "ip_address", None)
        if ident is None and text is None:
            raise BadRequest("fixed_ips: neither subnet_id nor ip_address")
        if ident is not None and ident not in subnets:
            raise BadRequest(f"fixed_ips: subnet_id: {ident:.80} is no subnet of network {network['id']}")
        family = subnets[ident]["ip_version"] if ident else None
        if text is not None and text in has:
            continue
        if text is not None:
            chosen.append(_in_subnet(text, network, family))
        families.append(4 if text is not None else family)
    if len(families) != len(set(families)):
        raise BadRequest("fixed_ips: Exceeded maximum amount of fixed ips per port: one of each subnet")
    if sent.get("fixed_ips") is not None and has and not wanted:
        raise Conflict("fixed_ips: a port keeps the address that it was made with")
    return chosen[0] if chosen else None


def _in_subnet(text: str, network: Row, family: int | None) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as err:
        raise BadRequest(f"fixed_ips: ip_address: {text!r:.80} is no IP address") from err
    if address.version != 4 or family == 6:
        raise BadRequest(f"fixed_ips: ip_address: {address}: an IPv6 address follows from the port's MAC")
    subnet = ipaddress.IPv4Network(network["subnet"], strict=False) if network["subnet"] else None
    if subnet is None or address not in subnet:
        raise BadRequest(f"fixed_ips: IP address {address} is not a valid IP for the network {network['id']}.")
    if address in (subnet.network_address, subnet.broadcast_address):
        raise BadRequest(f"fixed_ips: IP address {address} is not a valid IP for the network {network['id']}.")
    return str(address)
