"""Bridges that tenants' networks have to themselves, and where networks are connected."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from frontend.database import db
from frontend.effect import owed
from frontend.effect.payer import Payer
from frontend.settings import Front, Settings
from ganeti_ext import tags as grammar
from ganeti_ext.errors import ConfigError
from tests.unit.frontend import cluster
from tests.unit.frontend.conftest import COMPUTE, IMAGE, MINE, SMALL, Api, serve
from tests.unit.frontend.pretended import Pretended
from tests.unit.frontend.tenantnets import NETWORKS, SUBNETS, make, subnet, with_subnet

OWN = "0bbbbbbb-3333-4000-8000-000000000003"


@pytest.fixture
def ganeti() -> Pretended:
    return Pretended()


@pytest.fixture
def api(front: Front, ganeti: Pretended) -> Api:
    nobody = serve(front, ganeti, Settings(front=replace(front, tenant_link="", tenant_links=("vlan8-vlan9", "red"))))
    ganeti.engine = nobody.engine
    return nobody.become("alice")


def links(ganeti: Pretended) -> list[str]:
    return [link for each in ganeti.networks.values() for _, _, link, _ in each.groups]


def said(answer: Any) -> str:
    ((_, fault),) = answer.get_json().items()
    return str(fault["message"])


def test_each_has_another_one(api: Api, ganeti: Pretended) -> None:
    for name in "abc":
        subnet(api, make(api, name))
    assert links(ganeti) == ["vlan8", "vlan9", "red"]
    assert all(grammar.PRIVATE_FILTERED not in each.tags for each in ganeti.networks.values())


def test_when_all_are_taken_there_is_none(api: Api, ganeti: Pretended) -> None:
    idents = [make(api, name) for name in "abcd"]
    for ident in idents[:3]:
        subnet(api, ident)
    answer = with_subnet(api, idents[3])
    assert (answer.status_code, "No tenant network is available" in said(answer)) == (409, True)
    assert len(ganeti.networks) == 3
    assert api.call("DELETE", f"{NETWORKS}/{idents[0]}").status_code == 204
    subnet(api, idents[3])
    assert sorted(links(ganeti)) == ["red", "vlan8", "vlan9"]


def test_not_one_that_an_administrator_has_taken(api: Api, ganeti: Pretended) -> None:
    ganeti.network("hand-made", "10.9.0.0/24", link="vlan8")
    subnet(api, make(api))
    assert links(ganeti) == ["vlan8", "vlan9"]


def test_it_keeps_it_when_its_subnet_is_another(api: Api, ganeti: Pretended) -> None:
    ident = make(api)
    first = subnet(api, ident)
    subnet(api, make(api, "other"))
    assert api.call("DELETE", f"{SUBNETS}/{first['id']}").status_code == 204
    subnet(api, ident, cidr="10.2.0.0/24")
    assert sorted(links(ganeti)) == ["vlan8", "vlan9"]


def test_of_one_whose_row_was_lost_ganeti_tells(api: Api, ganeti: Pretended) -> None:
    ident = make(api)
    subnet(api, ident)
    with api.engine.begin() as connection:
        connection.execute(delete(db.tenant_network))
    subnet(api, make(api, "other"))
    assert sorted(links(ganeti)) == ["vlan8", "vlan9"]
    found = api.get(f"{SUBNETS}?network_id={ident}").get_json()["subnets"][0]
    assert api.call("PUT", f"{SUBNETS}/{found['id']}", json={"subnet": {"gateway_ip": None}}).status_code == 200
    assert sorted(links(ganeti)) == ["vlan8", "vlan9"]


def test_two_at_once_have_two(api: Api, ganeti: Pretended) -> None:
    """Both have asked Ganeti before one of them has told anything."""
    idents, both, get = [make(api, name) for name in "ab"], threading.Barrier(2, timeout=10), ganeti.get

    def asked(path: str, query: Any = None) -> Any:
        found = get(path, query)
        if path == "networks":
            both.wait()
        return found

    ganeti.get = asked  # type: ignore[method-assign]
    made: list[int] = []
    threads = [
        threading.Thread(target=lambda i=ident: made.append(with_subnet(api, i).status_code)) for ident in idents
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (made, sorted(links(ganeti))) == ([201, 201], ["vlan8", "vlan9"])


@pytest.mark.parametrize("words", [("vlan9-vlan8",), ("vlan1-vlan9999",), ("vlan1-lan2",), ("a", "a"), ("v1-v3", "v2")])
def test_no_pool(words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="tenant_links"):
        Front(tenant_links=words)


def test_one_kind_of_isolation() -> None:
    with pytest.raises(ConfigError, match="tenant_link, too"):
        Front(tenant_link="br0", tenant_links=("vlan1",))


def test_no_server_before_it_is_connected(api: Api, ganeti: Pretended) -> None:
    ident = make(api)
    ganeti.fails = lambda operation, _: "no such bridge" if operation == "OP_NETWORK_CONNECT" else None
    name = f"blue.{ident}"
    body = {"network_name": name, "network": "10.1.0.0/28", "tags": [f"ganeti-ext:project:{MINE}"]}
    ganeti.submit("POST", "networks", body)
    assert api.get(f"{NETWORKS}/{ident}").get_json()["network"]["status"] == "DOWN"
    wish = {"name": "web", "imageRef": IMAGE, "flavorRef": SMALL, "networks": [{"uuid": ident}]}
    answer = api.call("POST", f"{COMPUTE}/servers", json={"server": wish})
    assert (answer.status_code, "no nodes" in said(answer)) == (409, True)
    ganeti.fails = lambda *_: None
    body = {"group_name": "default", "network_mode": "bridged", "network_link": "vlan8"}
    ganeti.submit("PUT", f"networks/{name}/connect", body)
    assert api.get(f"{NETWORKS}/{ident}").get_json()["network"]["status"] == "ACTIVE"
    assert api.call("POST", f"{COMPUTE}/servers", json={"server": wish}).status_code == 202


def tenants(**fields: Any) -> dict[str, Any]:
    known = {"name": f"blue.{OWN}", "tags": [f"ganeti-ext:project:{MINE}"], "map": "XX.....X"}
    return cluster.network(**{**known, **fields})


def test_a_group_that_was_added_later(api: Api, ganeti: Pretended, tmp_path: Any) -> None:
    (tmp_path / "other").mkdir()
    both = cluster.Both(tmp_path / "other")
    both.rapi.groups = [{"name": name, "node_cnt": 1} for name in ("default", "later")]
    both.rapi.networks = [tenants()]
    found = both.found()
    assert [str(each) for each in found if each.kind == "network-connect"] == [
        f"network-connect: connection blue.{OWN}: not connected to node group later, as to others by br0"
    ]
    assert "network-groups" not in {each.kind for each in found}
    assert len(both.reconciler.mend(found)) == 2  # the network itself, too
    assert both.reconciler.mend(both.found()) == []  # it is owed
    with both.engine.connect() as connection:
        (kept,) = db.rows(connection, select(db.owed))
    assert (kept["what"], kept["body"]) == (owed.CONNECT, f"blue.{OWN} later br0")
    ganeti.submit("POST", "networks", {"network_name": f"blue.{OWN}", "network": "10.1.0.0/28"})
    for groups, wanted in (([], 0), ([["default", "bridged", "br0", ""]], 1), ([["later", "bridged", "x", ""]], 0)):
        ganeti.networks[f"blue.{OWN}"].groups = [list(each) for each in groups]
        with api.engine.begin() as connection:
            connection.execute(insert(db.owed).values({**kept, "due": 0.0}))
        before = len(ganeti.calls)
        Payer(api.engine, ganeti, api.client.application.extensions["ganeti-ext"].vault, time.time).work()
        assert [call[:3] for call in ganeti.calls[before:]] == [
            ("PUT", f"networks/blue.{OWN}/connect",
             {"group_name": "later", "network_mode": "bridged", "network_link": "br0", "conflicts_check": False})
        ] * wanted  # fmt: skip
    with api.engine.connect() as connection:
        assert db.rows(connection, select(db.owed)) == []
    both.engine.dispose()


def test_one_that_is_connected_nowhere_is_only_told_of(tmp_path: Any) -> None:
    both = cluster.Both(tmp_path)
    both.rapi.networks = [tenants(group_list=[])]
    assert {"network-groups", "network-connect"} & {each.kind for each in both.found()} == {"network-groups"}
    both.engine.dispose()


def test_a_bridge_that_two_have(tmp_path: Any) -> None:
    both = cluster.Both(tmp_path)
    shared = tenants(uuid="u-2", name=f"red.{MINE}", tags=[f"ganeti-ext:project:{MINE}", "private-filtered"])
    both.rapi.networks = [tenants(), shared]
    assert [str(each) for each in both.found() if each.kind == "link-twice"] == [
        f"link-twice: network blue.{OWN}: its bridge br0 is also that of red.{MINE}"
    ]
    both.engine.dispose()


def test_where_it_is_connected_is_in_its_row(api: Api, ganeti: Pretended) -> None:
    subnet(api, make(api))
    with api.engine.begin() as connection:
        found = [row["groups"] for row in db.rows(connection, select(db.network)) if row["groups"]]
        connection.execute(update(db.network).values(groups=None))
    assert found == [[["default", "bridged", "vlan8"]]]
    assert api.get(NETWORKS).get_json()["networks"][0]["status"] == "ACTIVE"
