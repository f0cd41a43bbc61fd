"""Addresses outside of a subnet's pools: a server may have one that it names, and nobody else gets it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from frontend.settings import Front, Settings
from tests.unit.frontend.conftest import COMPUTE, IMAGE, SMALL, Api, serve
from tests.unit.frontend.pretended import Pretended
from tests.unit.frontend.tenantnets import make, subnet

POOL = [{"start": "10.1.0.8", "end": "10.1.0.10"}]
PORTS = "/network/v2.0/ports"


@pytest.fixture
def ganeti() -> Pretended:
    return Pretended()


@pytest.fixture
def api(front: Front, ganeti: Pretended) -> Api:
    nobody = serve(front, ganeti, Settings(front=replace(front, tenant_link="br0")))
    ganeti.engine = nobody.engine
    ganeti.network("plain", "10.0.0.0/24", "nfdhcpd")
    return nobody.become("alice")


@pytest.fixture
def own(api: Api, ganeti: Pretended) -> str:
    ident = make(api)
    subnet(api, ident, allocation_pools=POOL)
    return ident


def boot(api: Api, *wanted: dict[str, str]) -> Any:
    wish = {"name": "web", "imageRef": IMAGE, "flavorRef": SMALL, "networks": list(wanted)}
    return api.call("POST", f"{COMPUTE}/servers", json={"server": wish})


def attach(api: Api, ident: str, network: str, address: str) -> Any:
    wish = {"net_id": network, "fixed_ips": [{"ip_address": address}]}
    return api.call("POST", f"{COMPUTE}/servers/{ident}/os-interface", json={"interfaceAttachment": wish})


def addresses(ganeti: Pretended) -> list[str]:
    return [nic["ip"] for each in ganeti.instances.values() for nic in each.nics]


def status(api: Api, answer: Any) -> str:
    return str(api.get(f"{COMPUTE}/servers/{answer.get_json()['server']['id']}").get_json()["server"]["status"])


def test_a_server_that_is_made(api: Api, ganeti: Pretended, own: str) -> None:
    assert status(api, boot(api, {"uuid": own, "fixed_ip": "10.1.0.12"})) == "ACTIVE"
    assert status(api, boot(api, {"uuid": own})) == "ACTIVE"
    assert addresses(ganeti) == ["10.1.0.12", "10.1.0.8"]
    assert status(api, boot(api, {"uuid": own, "fixed_ip": "10.1.0.12"})) == "ERROR"  # Ganeti's own pool tells
    assert addresses(ganeti) == ["10.1.0.12", "10.1.0.8"]


def test_a_server_that_runs(api: Api, ganeti: Pretended, own: str) -> None:
    ident = boot(api, {"uuid": own}).get_json()["server"]["id"]
    assert attach(api, ident, own, "10.1.0.12").status_code == 200
    assert attach(api, ident, own, "10.1.0.12").status_code == 409
    assert addresses(ganeti) == ["10.1.0.8", "10.1.0.12"]


def test_not_a_ports(api: Api, ganeti: Pretended, own: str) -> None:
    wish = {"network_id": own, "fixed_ips": [{"ip_address": "10.1.0.12"}]}
    assert api.call("POST", PORTS, json={"port": wish}).status_code == 201
    answer = boot(api, {"uuid": own, "fixed_ip": "10.1.0.12"})
    assert (answer.status_code, "10.1.0.12" in answer.text) == (409, True)
    ident = boot(api, {"uuid": own}).get_json()["server"]["id"]
    assert attach(api, ident, own, "10.1.0.12").status_code == 409
    assert addresses(ganeti) == ["10.1.0.8"]


def test_nor_the_gateways(api: Api, ganeti: Pretended, own: str) -> None:
    assert status(api, boot(api, {"uuid": own, "fixed_ip": "10.1.0.1"})) == "ERROR"
    assert addresses(ganeti) == []


def test_nor_does_it_open_anothers_pool(api: Api, ganeti: Pretended, own: str) -> None:
    """Ganeti looks at all of a server's addresses, or at none: its gateway would be the next one's."""
    plain = ganeti.networks["plain"].uuid
    answer = boot(api, {"uuid": own, "fixed_ip": "10.1.0.12"}, {"uuid": plain, "fixed_ip": "10.0.0.1"})
    assert (answer.status_code, "10.0.0.1" in answer.text, addresses(ganeti)) == (400, True, [])
    assert status(api, boot(api, {"uuid": own, "fixed_ip": "10.1.0.12"}, {"uuid": plain})) == "ACTIVE"
