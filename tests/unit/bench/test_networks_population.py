"""Who has networks and ports in the measured databases."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.api.population import ident
from bench.networks import population
from bench.networks.population import BIG, FEW_NETWORKS, FEW_PORTS, ROOM, SMALL
from frontend.database import db
from frontend.network import tenantnet

NETS = population.nets(100)


def test_every_port_is_in_one_place_and_both_tenants_have_theirs() -> None:
    servers, made = list(population.servers(NETS, 1000)), list(population.made(NETS, 1000))
    nics = [nic for row in servers for nic in row["nics"]]
    assert len(nics) == len(made) == 500
    assert len({nic["uuid"] for nic in nics} | {row["id"] for row in made}) == 1000
    assert len({nic["mac"] for nic in nics} | {row["mac"] for row in made}) == 1000
    assert len({nic["ip"] for nic in nics} | {row["address"] for row in made}) == 1000
    whose = Counter(row["project_id"] for row in [*servers, *made])
    small = ident("project", SMALL)
    assert whose == {ident("project", BIG): 1000 - FEW_PORTS, small: FEW_PORTS}
    assert sum(net.project == small for net in NETS) == FEW_NETWORKS


def test_networks_are_as_ganeti_has_those_of_tenants() -> None:
    mirrored, own = zip(*population.networks(NETS), strict=True)
    project = ident("project", SMALL)
    mine = [row for row in own if row["project_id"] == project]
    known = tenantnet.visible(mirrored, mine, project)
    assert [(row["id"], row["name"], row["uuid"]) for row in known] == [
        (net.id, net.name, net.uuid) for net in NETS[-FEW_NETWORKS:]
    ]
    assert population.mac(NETS[0].id) == tenantnet.mac_prefix(NETS[0].id)


def test_rows_have_the_columns_of_their_tables() -> None:
    mirrored, own = next(population.networks(NETS))
    server, made = next(population.servers(NETS, 1000)), next(population.made(NETS, 1000))
    for table, row in ((db.network, mirrored), (db.tenant_network, own), (db.server, server), (db.port, made)):
        needed = {each.name for each in table.columns if not each.nullable and each.server_default is None}
        assert needed <= row.keys() <= set(table.columns.keys()), table.name


@pytest.mark.parametrize(
    ("networks", "ports"), [(FEW_NETWORKS, 100), (100, FEW_PORTS), (20, 10 * ROOM + FEW_PORTS + 1)]
)
def test_what_cannot_be_is_an_error(networks: int, ports: int) -> None:
    with pytest.raises(ValueError, match=f"{ports} ports in {networks} networks"):
        population.spread(networks, ports)
