"""Ports of a database that has lost them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from frontend.database import db
from frontend.network import portkept, porttag
from tests.unit.frontend import updates
from tests.unit.frontend.cluster import NOW, Both, network
from tests.unit.frontend.updates import MAC, PROJECT, instance

PORT = "0ccccccc-1111-4000-8000-000000000001"
APART = "10.0.0.0, 10.0.0.1, 10.0.0.2, 10.0.0.7"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path)
    yield made
    made.engine.dispose()


def rows(both: Both) -> list[dict[str, Any]]:
    with both.engine.connect() as connection:
        return db.rows(connection, select(db.port))


def named(*more: str) -> dict[str, Any]:
    made = instance()
    return {**made, "nic.names": [f"port-{PORT}"], "tags": [*made["tags"], *more]}


def test_a_port_that_a_server_has_is_made_again(both: Both) -> None:
    tags = porttag.wanted(f"port-{PORT}", {"pairs": ["10.8.0.0/16"]})
    both.rapi.instances, both.rapi.networks = [named(*tags)], [network(external_reservations=APART)]
    assert (
        f"port-missing: port {updates.NAME}: the database has no port {PORT}, whose address 10.0.0.2 is set apart"
        in (both.mended())
    )
    (row,) = rows(both)
    assert (row["id"], row["project_id"], row["network"]) == (PORT, PROJECT, "u-blue")
    assert (row["address"], row["mac"], row["facts"]) == ("10.0.0.2", MAC, {"pairs": ["10.8.0.0/16"]})


def test_port_security_is_told_by_the_tags(both: Both) -> None:
    tags = porttag.wanted(f"port-{PORT}", {"open": True})
    both.rapi.instances, both.rapi.networks = [named(*tags)], [network(external_reservations=APART)]
    both.mended()
    assert rows(both)[0]["facts"] == {"open": True}


@pytest.mark.parametrize(
    ("fields", "apart"),
    [({}, "10.0.0.0, 10.0.0.1, 10.0.0.7"), ({"nic.names": ["eth0"]}, APART), ({"tags": []}, APART)],
)
def test_a_nic_of_another_kind_is_none(both: Both, fields: dict[str, Any], apart: str) -> None:
    """One that was attached to a server that there was; one of an administrator's; one that is nobody's."""
    both.rapi.instances = [{**named(), **fields}]
    both.rapi.networks = [network(external_reservations=apart)]
    both.reconciler.mend(both.found())
    assert rows(both) == []


FREE = "0ccccccc-2222-4000-8000-000000000002"
KEPT = {"id": FREE, "project_id": PROJECT, "network": "u-blue", "address": "10.0.0.3", "mac": "02:00:0a:00:00:03"}


def empty(**fields: Any) -> dict[str, Any]:
    """A network that no instance is in."""
    return network(**{"map": "XX.....X", **fields})


def row(both: Both, **columns: Any) -> None:
    times: dict[str, Any] = {"server_id": None, "job": None, "facts": {}, "created": 1.0, "updated": 1.0}
    with both.engine.begin() as connection:
        connection.execute(insert(db.port).values({**KEPT, **times, **columns}))


@pytest.mark.parametrize("facts", [{}, {"name": "gate", "groups": [], "down": True}, {"floating": True, "port": PORT}])
def test_one_that_no_server_has_is_made_of_its_networks_tags(both: Both, facts: dict[str, Any]) -> None:
    tags = portkept.kept({**KEPT, "facts": facts})
    both.rapi.networks = [empty(tags=["nfdhcpd", *tags])]
    assert f"port-missing: port u-blue: the database has no port {FREE}" in "\n".join(both.mended())
    (made,) = rows(both)
    assert {name: made[name] for name in KEPT} == KEPT
    assert made["facts"] == facts
    with both.engine.connect() as connection:
        assert db.rows(connection, select(db.network))[0]["tags"] == ["nfdhcpd"]


def test_of_a_tenants_network_by_the_id_that_he_knows(both: Both) -> None:
    ident = "0bbbbbbb-3333-4000-8000-000000000003"
    tags = [f"ganeti-ext:project:{PROJECT}", *portkept.kept({**KEPT, "facts": {}})]
    both.rapi.networks = [empty(name=f"blue.{ident}", tags=tags)]
    both.mended()
    assert rows(both)[0]["network"] == ident


def test_what_the_tags_of_a_servers_instance_say_goes_before(both: Both) -> None:
    mine = {**KEPT, "id": PORT, "address": "10.0.0.2", "mac": MAC, "facts": {"name": "gate", "pairs": ["10.9.0.0/16"]}}
    tags = porttag.wanted(f"port-{PORT}", {"pairs": ["10.8.0.0/16"]})
    both.rapi.instances = [named(*tags)]
    both.rapi.networks = [network(external_reservations=APART, tags=portkept.kept(mine))]
    both.mended()
    assert rows(both)[0]["facts"] == {"name": "gate", "pairs": ["10.8.0.0/16"]}


def test_one_whose_address_was_given_back_goes(both: Both) -> None:
    row(both)
    both.rapi.networks = [empty()]
    assert f"port-stale: port u-blue: the address 10.0.0.3 of port {FREE} is not set apart" in both.mended()
    assert rows(both) == []


@pytest.mark.parametrize(
    ("columns", "fields"),
    [
        ({"updated": NOW - 60.0}, {}),
        ({}, {"external_reservations": "10.0.0.0, 10.0.0.3"}),
        ({}, {"tags": portkept.kept({**KEPT, "facts": {}})}),
        ({"address": None}, {}),
        ({"network": None}, {}),
        ({"network": "u-red"}, {}),
    ],
)
def test_others_stay(both: Both, columns: dict[str, Any], fields: dict[str, Any]) -> None:
    """Just being made; of an older release; kept by Ganeti; without an address; words of a NIC; of a network that is
    not Ganeti's yet."""
    row(both, **columns)
    both.rapi.networks = [empty(**fields)]
    both.reconciler.mend(both.found())
    assert len(rows(both)) == 1


def test_damaged_tags_are_none(both: Both) -> None:
    mac, said = "02-00-0a-00-00-03", f"ganeti-ext:said:{FREE}"
    whole = f"ganeti-ext:port:{FREE}:{mac}:10.0.0.3:{PROJECT}"
    bad = ["ganeti-ext:port:x", f"ganeti-ext:port:{FREE}:{mac}:10.0.0.300:{PROJECT}", f"ganeti-ext:port:{FREE}"]
    both.rapi.networks = [empty(tags=bad)]
    both.mended()
    assert rows(both) == []
    both.rapi.networks = [empty(tags=[whole, f"{said}.1:*7B*7D", f"{said}.x:1"])]
    both.mended()
    assert rows(both)[0]["facts"] == {}
