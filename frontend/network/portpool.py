"""Ports that are made beforehand, in Ganeti: an address set apart in its own pool, and what is kept of them in tags."""

from __future__ import annotations

import ipaddress
import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any

from frontend.effect.translate import Call, Step
from frontend.network import (
    addressquota,
    netjobs,
    networkquota,
    networks,
    portkept,
    portpick,
    portstore,
    subnetfacts,
    subnetpool,
    tenantnet,
)
from frontend.web import context
from frontend.web.fault import BadRequest, Conflict, Forbidden, NotFound
from ganeti_ext.errors import ExtError, RapiLost

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

_TRIES = 5  # addresses, where others take them at the same moment


def set_apart(network: Row, wanted: str | None, said: Row, mac: str | None = None, *, kind: str = "port") -> Row:
    """The new row of a port; its address is reserved in Ganeti when this returns, and its tags are there.

    `wanted` and `mac` are what was chosen. A network that Ganeti does not have yet has no addresses, and the port is
    in the database alone. `kind` is what it counts as (networkquota.py).
    """
    if mac is not None:
        _check_mac(network, mac)
    if network["uuid"] is None:
        while not _added(row := _row(network, None, mac, tenantnet.mac_prefix(network["id"]), said), kind):
            _again(row, mac)
        return row
    rapi = context.rapi(network)
    passed: set[str] = set()
    for _ in range(_TRIES):
        told = rapi.get(f"networks/{network['known_as']}")
        address = _choose(network, told, wanted, passed)
        row = _row(network, address, mac, told.get("mac_prefix") or rapi.get("info")["mac_prefix"], said)
        _check_room(network, told, row)
        if not _added(row, kind):
            _again(row, mac)
            passed |= {address} if address else set()
            continue
        _keep(network, row)
        if address is None or address in apart(network) or not _is_somebodys(network, address):
            return row
        release(row)
        portstore.drop(row["id"])
        passed |= {address}
    raise Conflict(f"No more IP addresses available on network {network['id']}.")


def say(row: Row, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Keep these facts of a port; the row that it has then."""
    after = {**row, "facts": dict(facts)}
    if row["network"] and row["facts"] != after["facts"]:
        network = _network(row)
        if network is not None and network["uuid"]:
            name = network["known_as"]
            has = portkept.of_port(context.rapi(network).get(f"networks/{name}/tags"), row["id"])
            netjobs.carry_out(tenantnet.retag(name, has, portkept.kept(after)), network)
    said = portstore.say(row, facts)
    if said is None:
        _unsay(row)
        raise NotFound(f"Port {row['id']} could not be found.")
    return said


def release(row: Row, *, all_ended: bool = False) -> None:
    """Give the address back to Ganeti's pool, if it is of one; that the network is gone is as good.

    The tags go first: what is left without them by whoever dies in between is found (reconcile/difference_port.py).
    Those that it should have and has not may be on their way, by jobs that nobody waited for to the end: they are made,
    whether they come before or not, so that they can be taken away. `all_ended`: there are no such jobs.
    """
    network = _network(row)
    if network is None or network["uuid"] is None:
        return
    name = network["known_as"]
    has = portkept.of_port(context.rapi(network).get(f"networks/{name}/tags"), row["id"])
    late = set() if all_ended else set(portkept.kept(row)) - set(has)
    steps = [*tenantnet.retag(name, [], sorted(late)), *tenantnet.retag(name, [*has, *late], [])]
    if row["address"] and row["address"] not in apart(network):
        steps.append(Step(tenantnet.modify(name, remove_reserved_ips=[row["address"]])))
    netjobs.carry_out(steps, network, goes=True)


def give_back(row: Row) -> None:
    """There is no such port any more."""
    release(row)
    portstore.drop(row["id"])
    _unsay(row)


def _unsay(row: Row) -> None:
    """What somebody said of a port while it was given back is not kept in Ganeti, or it would be made anew of that.

    Whoever gives it back looks behind that, and whoever says something: one of them comes second.
    """
    network = _network(row)
    if network is None or network["uuid"] is None:
        return
    name = network["known_as"]
    try:
        has = portkept.of_port(context.rapi(network).get(f"networks/{name}/tags"), row["id"])
        netjobs.carry_out(tenantnet.retag(name, has, []), network, goes=True)
    except ExtError as err:
        log.warning("port %s: is given back, and whether Ganeti keeps words of it nobody knows: %s", row["id"], err)


def take_back(row: Row, *, all_ended: bool = False) -> None:
    """Of a request that failed: nothing of it is left, or the log says what."""
    try:
        release(row, all_ended=all_ended)
        portstore.drop(row["id"])
    except ExtError as err:
        log.error("port %s: stays, of a request that made none: %s", row["id"], err)


def apart(network: Row) -> set[str]:
    """The addresses of no pool of the subnet, which are set apart for whoever names them."""
    if not network["subnet"]:
        return set()
    pools = subnetfacts.read(network["tags"], 4).pools
    return subnetpool.apart(ipaddress.IPv4Network(network["subnet"], strict=False), network["gateway"], pools)


def _keep(network: Row, row: Row) -> None:
    """In Ganeti; when that cannot be, there is no such port."""
    name, address = network["known_as"], row["address"]
    reserved = [Step(tenantnet.modify(name, add_reserved_ips=[address]))]
    tags = Call("PUT", f"networks/{name}/tags", None, {"tag": portkept.kept(row)})
    steps = [*(reserved if address and address not in apart(network) else ()), Step(tags)]
    try:
        netjobs.carry_out(steps, network)
    except RapiLost:
        raise  # it may be reserved: whoever asked finds the port in the list, and may delete it
    except ExtError as err:
        if isinstance(err, netjobs.Failed) and err.done:
            take_back(row, all_ended=True)
        else:
            portstore.drop(row["id"])
        raise


def _network(row: Row) -> Row | None:
    with context.database() as connection:
        return networks.find(connection, row["network"])


def _check_mac(network: Row, mac: str) -> None:
    """A chosen one tells networks apart as any other."""
    if network["project_id"] is None:
        raise Forbidden(f"mac_address: network {network['id']} is the administrator's, and so are its MACs")
    prefix = tenantnet.mac_prefix(network["id"])
    if not mac.startswith(f"{prefix}:"):
        raise BadRequest(f"mac_address: {mac}: MACs of network {network['id']} begin with {prefix}")


def _again(row: Row, mac: str | None) -> None:
    """Another one will do, of a MAC that was not chosen."""
    if mac is None:
        return
    with context.database() as connection:
        if portstore.has_mac(connection, mac):
            raise Conflict(f"Unable to complete operation for network {row['network']}. The mac {mac} is in use.")


def _check_room(network: Row, told: Row, row: Row) -> None:
    has = portkept.size(told.get("tags") or ())
    if has + portkept.size(portkept.kept(row)) > portkept.ROOM:
        raise Conflict(
            f"Network {network['id']} can have no more ports that were made beforehand: what is kept of them takes "
            f"{has} octets of Ganeti's tags, and {portkept.ROOM} are possible."
        )


def _added(row: Row, kind: str) -> bool:
    """False when another port has its address or MAC; OverQuota when there may be no port more."""
    with context.database() as connection:
        public = addressquota.public([row["network"]]) if row["address"] else 0
        networkquota.check(connection, row["project_id"], {kind: 1}, public)
        return portstore.add(connection, row)


def _choose(network: Row, told: Row, wanted: str | None, passed: set[str]) -> str | None:
    if not network["subnet"]:
        return None
    with context.database() as connection:
        taken = portstore.addresses(connection, network["id"]) | passed
    if wanted is None:
        address = portpick.free(told, taken)
        if address is None:
            raise Conflict(f"No more IP addresses available on network {network['id']}.")
        return address
    if wanted in taken or not (portpick.is_free(told, wanted) or wanted in apart(network)):
        raise Conflict(f"IP address {wanted} already allocated, or reserved, in network {network['id']}")
    return wanted


def _is_somebodys(network: Row, address: str) -> bool:
    """Whether a server got the address while it was set apart: Ganeti lets an address be both."""
    rapi = context.rapi(network)
    if not rapi.get(f"networks/{network['known_as']}").get("inst_list"):
        return False
    # Without a filter: Ganeti's for lists fails where one of them has a null (Query/Filter.hs containsFilter).
    found = rapi.query("instance", ("nic.networks", "nic.ips"))
    return any((network["uuid"], address) in zip(each["nic.networks"], each["nic.ips"], strict=True) for each in found)


def _row(network: Row, address: str | None, mac: str | None, prefix: str, said: Row) -> dict[str, Any]:
    now = time.time()
    return {
        "id": str(uuid.uuid4()),
        "project_id": context.project_id(),
        "network": network["id"],
        "address": address,
        "mac": mac or portpick.mac(prefix),
        "facts": dict(said),
        "server_id": None,
        "job": None,
        "created": now,
        "updated": now,
    }
