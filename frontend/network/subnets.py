"""POST, PUT and DELETE of subnets: Ganeti's network has one of each family, and is there with the first."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from flask import Response, jsonify

from frontend.database import turns
from frontend.effect.translate import Step
from frontend.network import (
    netbind,
    netjobs,
    netlink,
    netrows,
    netview,
    networkquota,
    networks,
    portstore,
    subnetask,
    subnetplaces,
    subnetpool,
    tenantnet,
    tenantnetworks,
)
from frontend.network import subnetfacts as facts
from frontend.network.subnetfacts import Subnet
from frontend.network.tenantnet import Row
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, NotFound
from ganeti_ext.errors import ExtError, RapiLost

log = logging.getLogger(__name__)

# Of a network's row, by the version.
_CIDR, GATEWAY = {4: "subnet", 6: "subnet6"}, {4: "gateway", 6: "gateway6"}


class Planned(NamedTuple):
    """What is to be done for a subnet."""

    row: Row
    """Its network's."""
    version: int
    steps: Sequence[Step]
    after: Row
    """The network's, when it is done."""

    def places(self) -> list[tuple[Row, int]]:
        """What Ganeti has only when it is done: a subnet that was there before, too, where the network is made anew."""
        anew = {each for each in _CIDR if self.version == 4 and self.row[_CIDR[each]]}
        return [(self.row, each) for each in sorted({self.version, *anew})]

    def shown(self) -> dict[str, Any]:
        return next(each for each in netview.subnets_of(self.after) if each["ip_version"] == self.version)


def create_subnet() -> tuple[Response, int]:
    """POST /subnets: jobs of Ganeti's, and it is there when this answers. Of many, all are made or none."""
    sent = schema.body()
    if "subnets" in sent:
        wanted = [schema.member("subnets", each) for each in schema.items(sent, "subnets")]
        return jsonify({"subnets": _made(wanted)}), 201
    (subnet,) = _made([schema.mapping(sent, "subnet")])
    return jsonify({"subnet": subnet}), 201


def change_subnet(subnet_id: str) -> Response:
    """PUT /subnets/ID: what it is called, its gateway, its pools, and what its guests are told."""
    sent = schema.mapping(schema.body(), "subnet")
    row, version = find(subnet_id)
    subnetask.check_fixed(sent)
    network = ipaddress.ip_network(row[_CIDR[version]], strict=False)
    gateway = before = row[GATEWAY[version]]
    if "gateway_ip" in sent:
        gateway = subnetask.gateway(sent, network)
    if gateway and gateway != before:
        _check_free(row, gateway)
    wanted = subnetask.asked(sent, network, gateway, facts.read(row["tags"], version))
    return jsonify({"subnet": say(row, version, wanted, gateway)})


def delete_subnet(subnet_id: str) -> tuple[str, int]:
    """DELETE /subnets/ID: without any, Ganeti has the network no more."""
    row, version = find(subnet_id)
    _take_away(row, version)
    return "", 204


def say(row: Row, version: int, wanted: Subnet, gateway: str | None) -> dict[str, Any]:
    """Make a subnet what it is to be; as it is shown then."""
    name, before, now = row["known_as"], row[GATEWAY[version]], facts.read(row["tags"], version)
    tagged = _tagged(row["tags"], version, wanted, _other(row, version))
    after = {**row, GATEWAY[version]: gateway, "tags": tagged}
    if before and not gateway:
        _make_anew(row, after)
        return Planned(row, version, (), after).shown()
    if version == 4:
        with context.database() as connection:
            kept = portstore.addresses(connection, row["id"])  # which stay apart as long as their ports
        was, to = ((by, _apart(row["subnet"], by, of) - kept) for by, of in ((before, now), (gateway, wanted)))
        steps = tenantnet.move(name, was, to)
    else:
        steps = [Step(tenantnet.modify(name, gateway6=gateway))] if gateway != before else []
    steps += tenantnet.retag(name, row["tags"], tagged)
    netjobs.carry_out(steps, row)
    return Planned(row, version, steps, after).shown()


def find(subnet_id: str) -> tuple[Row, int]:
    """The network of a subnet of the project's own, and the subnet's version; see tenantnetworks.own."""
    row, version = seen(subnet_id)
    return tenantnetworks.own(row["id"]), version


def seen(subnet_id: str) -> tuple[Row, int]:
    """The same of any subnet that the caller may see."""
    with context.database() as connection:
        rows = networks.all_rows(connection)
    for row in rows:
        for version in _CIDR:
            if row[_CIDR[version]] and netview.subnet_id(row, version) == subnet_id:
                return row, version
    raise NotFound(f"Subnet {subnet_id} could not be found.")


def _made(wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """New subnets, as they are shown. What cannot be is said before the first is made."""
    project = tenantnetworks.allowed()
    planned: list[Planned] = []
    known: dict[str, Row] = {}
    for sent in wanted:
        ident = schema.text(sent, "network_id")
        planned.append(_plan(known.get(ident) or netbind.bound(tenantnetworks.own(ident)), sent))
        known[ident] = planned[-1].after
    if not planned:
        raise BadRequest("subnets: there is none")
    made: list[Planned] = []
    with _reserved(project, [place for each in planned for place in each.places()], len(planned)):
        try:
            for each in planned:
                made.append(each)
                netjobs.carry_out(each.steps, each.row, told=functools.partial(_submitted, each.row))
        except ExtError as err:
            if not (isinstance(err, netjobs.Failed) and err.done):
                made.pop()  # of the last nothing is there
            for each in reversed(made):
                _undo(each)
            raise
    return [each.shown() for each in planned]


def _plan(row: Row, sent: Mapping[str, Any]) -> Planned:
    subnetask.check_absent(sent)
    network = subnetask.cidr(sent)
    version = network.version
    if row[_CIDR[version]]:
        raise Conflict(
            f"Network {row['id']} has a subnet of IPv{version} already, {row[_CIDR[version]]}: it may have one of IPv4 "
            "and one of IPv6, as Ganeti's networks do. Make another network."
        )
    gateway = subnetask.gateway(sent, network)
    subnet = subnetask.asked(sent, network, gateway, Subnet(mode=subnetask.mode(sent, network)))
    has = _other(row, version)
    before = row["tags"] if has else _first_tags(row)
    tagged = [tag for tag in _tagged(before, version, subnet, has) if tag != facts.HIDDEN4]
    tagged += [facts.HIDDEN4] if version == 6 and has is None else []
    after = {**row, _CIDR[version]: str(network), GATEWAY[version]: gateway, "tags": tagged}
    if version == 6 and has:
        added = Step(tenantnet.modify(row["known_as"], network6=str(network), gateway6=gateway))
        return Planned(row, version, [added, *tenantnet.retag(row["known_as"], before, tagged)], after)
    if has:
        tenantnetworks.check_unused(row)
    return Planned(row, version, [*(tenantnetworks.gone(row) if has else ()), *_there(after)], after)


def _first_tags(row: Row) -> list[str]:
    link = netbind.link(row)  # it has one from now on
    return tenantnet.first_tags(row, shares=netlink.taken(row) != link)


def _there(row: Row) -> list[Step]:
    """Ganeti gets the network."""
    subnet, link = facts.read(row["tags"], 4), netbind.link(row)
    apart = _apart(row["subnet"], row["gateway"], subnet) if row["subnet"] else set()
    connects = [Step(tenantnet.connect(row["known_as"], group, link)) for group in netjobs.groups(row)]
    return [Step(tenantnet.add(row, sorted(apart, key=ipaddress.IPv4Address))), *connects]


@contextlib.contextmanager
def _reserved(project: str, places: Sequence[tuple[Row, int]], more: int = 0) -> Iterator[None]:
    """Places in the project's quota for so many `more`, and for those that are made anew, until Ganeti has them or
    will not: nobody else takes these meanwhile. Each is a network's row, and the version.

    Where nobody knows what Ganeti will do, or it still is at it, that is seen later (subnetplaces.py).
    """
    with context.database() as connection:
        networkquota.check(connection, project, {"subnet": more})
        subnetplaces.ask(connection, places)
        connection.commit()
    try:
        yield
    except RapiLost:
        raise
    except ExtError:
        _release(project, places)
        raise
    with context.database() as connection:
        over = [place for place in places if subnetplaces.is_over(connection, *place)]
        some = netrows.visible(connection, project, {row["id"] for row, _ in over})
    there = {row["id"]: row for row in some}
    _release(project, [(row, version) for row, version in over if there.get(row["id"], {}).get(_CIDR[version])])


def _submitted(row: Row, job: int) -> None:
    subnetplaces.submitted(context.services().engine, row["id"], job)


def _release(project: str, places: Sequence[tuple[Row, int]]) -> None:
    with context.database() as connection:
        turns.take(connection, project)
        subnetplaces.settle(connection, [(row["id"], version) for row, version in places])
        connection.commit()


def _undo(made: Planned) -> None:
    row = made.row
    try:
        if _other(row, made.version) is None or made.version == 6:
            _take_away(made.after, made.version)
        else:  # it was made anew: as it was before
            netjobs.carry_out(tenantnetworks.gone(row), row, goes=True)
            netjobs.carry_out(_there(row), row)
    except ExtError as err:
        log.error("network %s: is not as it was before a request of which not all could be done: %s", row["id"], err)


def _take_away(row: Row, version: int) -> None:
    other = _other(row, version)
    if other is None:
        tenantnetworks.take_away(row)
        return
    tagged = facts.write(row["tags"], version, None, other)
    tagged += [facts.HIDDEN4] if version == 4 else []
    _make_anew(row, {**row, _CIDR[version]: None, GATEWAY[version]: None, "tags": tagged})


def _make_anew(row: Row, after: Row) -> None:
    """Ganeti changes no IPv4 of a network, and takes nothing away from it: it gets another one of the name."""
    tenantnetworks.check_unused(row)
    with _reserved(row["project_id"], [(row, version) for version in _CIDR if after[_CIDR[version]]]):
        steps = [*tenantnetworks.gone(row), *_there(after)]
        netjobs.carry_out(steps, row, told=functools.partial(_submitted, row))


def _check_free(row: Row, gateway: str) -> None:
    with context.database() as connection:
        if gateway in portstore.addresses(connection, row["id"]):
            raise Conflict(f"gateway_ip: {gateway} is in use: by a port.")
    if users := tenantnetworks.using(row, lambda nic: gateway in (nic.get("ip"), nic.get("ip6"))):
        raise Conflict(f"gateway_ip: {gateway} is in use: by server {users[0]}.")


def _other(row: Row, version: int) -> int | None:
    """The version of the network's other subnet."""
    return next((each for each in _CIDR if each != version and row[_CIDR[each]]), None)


def _tagged(known: Sequence[str], version: int, subnet: Subnet, other: int | None) -> list[str]:
    try:
        return facts.write(known, version, subnet, other)
    except ValueError as err:
        raise BadRequest(str(err)) from err


def _apart(cidr: str, gateway: str | None, subnet: Subnet) -> set[str]:
    try:
        return subnetpool.apart(ipaddress.IPv4Network(cidr, strict=False), gateway, subnet.pools)
    except ValueError as err:
        raise BadRequest(str(err)) from err
