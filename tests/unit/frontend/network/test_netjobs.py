"""Chains of jobs on networks: whoever dies in between, they are submitted to their end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import insert, select

from frontend.database import db
from frontend.effect.payer import Payer
from tests.unit.frontend import ports, tenantnets
from tests.unit.frontend.conftest import NET, Api, FakeRapi
from tests.unit.frontend.tenantnets import NETWORKS, SUBNETS, Ganeti, make, subnet, with_subnet


class Killed(BaseException):
    """The process dies here."""


class Asked(FakeRapi):
    """Is asked for the jobs that were submitted."""

    def query(self, what: str, fields: Sequence[str], wanted: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        assert (what, tuple(fields), (wanted or [])[:2]) == ("job", ("id", "ops"), [">", "id"])
        assert wanted is not None
        first = self.job - len(self.calls) + 1
        known = [_job(first + number, *call) for number, call in enumerate(self.calls)]
        return [job for job in known if job["id"] > wanted[2]]


def _job(number: int, _method: str, path: str, body: Any, query: Any) -> dict[str, Any]:
    """As opcodes.py has them: of OpTagsSet it is the field `name`."""
    kind, *rest = path.split("/")
    named = rest[0] if rest else body["network_name"]
    key = "name" if path.endswith("/tags") else "network_name"
    assert kind == "networks"
    op = {key: named, "reason": [["gnt:user", query["reason"], 1]], "depends": (body or {}).get("depends")}
    return {"id": number, "ops": [op]}


@pytest.fixture
def rapi() -> FakeRapi:
    return Asked()


@pytest.fixture
def ganeti(api: Api) -> Ganeti:
    with api.engine.begin() as connection:
        for zone in ("default", "other"):
            row = {"offline": False, "drained": False, "vm_capable": True, "updated": 1.0}
            connection.execute(insert(db.node).values(name=f"n-{zone}", zone=zone, **row))
    return Ganeti(api)


def dies(api: Api, at: int) -> None:
    """Ganeti has done the job, and nobody hears its number."""
    last, do = api.rapi.job + at, api.rapi.on_submit

    def die(job: int) -> None:
        do(job)
        if job == last:
            raise Killed

    api.rapi.on_submit = die


def pay(api: Api, later: float = 1000.0) -> None:
    vault = api.client.application.extensions["ganeti-ext"].vault
    Payer(api.engine, api.rapi, vault, clock=lambda: time.time() + later).work()


def owed(api: Api) -> list[str]:
    with api.engine.connect() as connection:
        return list(connection.execute(select(db.owed.c.what)).scalars())


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_network_is_connected_everywhere_whoever_dies(api: Api, ganeti: Ganeti, at: int) -> None:
    ident = make(api)
    dies(api, at)
    with pytest.raises(Killed):
        with_subnet(api, ident)
    api.rapi.on_submit = ganeti.do
    pay(api, 0)
    assert (owed(api), len(api.rapi.calls)) == (["chain"], at)  # somebody may be at it
    pay(api)
    assert owed(api) == []
    verbs = [(method, path.split("/")[-1], (body or {}).get("group_name")) for method, path, body, _ in api.rapi.calls]
    assert verbs == [("POST", "networks", None), ("PUT", "connect", "default"), ("PUT", "connect", "other")]
    assert tenantnets.shown(api, f"{NETWORKS}/{ident}")["subnets"]


@pytest.mark.parametrize("at", [1, 2, 3])
def test_and_taken_away_everywhere(api: Api, ganeti: Ganeti, at: int) -> None:
    ident = make(api)
    made = subnet(api, ident)
    dies(api, at)
    with pytest.raises(Killed):
        api.call("DELETE", f"{SUBNETS}/{made['id']}")
    api.rapi.on_submit = ganeti.do
    pay(api)
    assert (owed(api), ganeti.networks) == ([], {})
    assert api.call("DELETE", f"{NETWORKS}/{ident}").status_code == 204


def test_two_chains_on_one_network_are_told_apart(api: Api, ganeti: Ganeti) -> None:
    ident = make(api)
    made = subnet(api, ident, name="a", dns_nameservers=["10.1.0.2"])
    api.call("PUT", f"{SUBNETS}/{made['id']}", json={"subnet": {"name": "b"}})
    dies(api, 1)
    with pytest.raises(Killed):
        api.call("PUT", f"{SUBNETS}/{made['id']}", json={"subnet": {"name": "c"}})
    api.rapi.on_submit = ganeti.do
    pay(api)
    (data,) = ganeti.networks.values()
    assert [tag for tag in data["tags"] if "name4" in tag] == ["ganeti-ext:name4:c"]


@pytest.mark.parametrize("at", [1, 2])
def test_a_port_is_reserved_and_kept_or_neither(api: Api, at: int) -> None:
    pools = ports.Pools(api)
    dies(api, at)
    with pytest.raises(Killed):
        api.call("POST", ports.PORTS, json={"port": {"network_id": NET}})
    api.rapi.on_submit = pools.do
    pay(api)
    (port,) = api.get(ports.PORTS).get_json()["ports"]
    assert ports.address(port) in pools.reserved["net1"]
    assert any(port["id"] in tag for tag in pools.tags["net1"])
    dies(api, at)
    with pytest.raises(Killed):
        api.call("DELETE", f"{ports.PORTS}/{port['id']}")
    api.rapi.on_submit = pools.do
    pay(api)
    assert (ports.address(port) in pools.reserved["net1"], pools.tags["net1"]) == (False, {"nfdhcpd"})
    assert api.call("DELETE", f"{ports.PORTS}/{port['id']}").status_code in (204, 409)
