"""The table of nodes, and what is shown of it: zones, hypervisors, services."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from frontend.compute import nodes, zones
from frontend.database import db
from frontend.web.fault import BadRequest
from tests.unit.frontend import updates
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.cluster import Both
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, Api


def listed(name: str, zone: str = "default", **more: Any) -> dict[str, Any]:
    """An entry of query/node."""
    plain = {"offline": False, "drained": False, "vm_capable": True, "ctotal": 8, "mtotal": 16000}
    return {"name": name, "group": zone, **plain, **more}


def known(both: Both) -> dict[str, dict[str, Any]]:
    with both.engine.connect() as connection:
        return {row["name"]: row for row in nodes.all_rows(connection)}


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path)


def test_a_comparison_keeps_the_nodes(both: Both) -> None:
    both.rapi.nodes = [listed("n1"), listed("n2", "rack 2", offline=True, ctotal=None, mtotal=None)]
    both.reconciler.run("timer")
    found = known(both)
    first = {"name": "n1", "zone": "default", "offline": False, "drained": False, "vm_capable": True}
    sizes = {"cpus": 8, "memory": 16000, "memory_free": None, "disk": None, "disk_free": None}
    assert found["n1"] == {"cluster": "", **first, **sizes, "updated": both.now}
    assert (found["n2"]["zone"], found["n2"]["offline"], found["n2"]["memory"]) == ("rack 2", True, None)
    began, both.now = both.now, both.now + 60
    both.rapi.nodes = [listed("n1"), listed("n3")]
    both.reconciler.run("timer")
    found = known(both)
    assert {name: row["updated"] - began for name, row in found.items()} == {"n1": 0.0, "n3": 60.0}


def test_what_a_node_does_not_tell_stays(both: Both) -> None:
    both.rapi.nodes = [listed("n1")]
    both.reconciler.run("timer")
    both.rapi.nodes = [listed("n1", drained=True, ctotal=None, mtotal=None)]
    both.reconciler.run("timer")
    assert (known(both)["n1"]["drained"], known(both)["n1"]["cpus"], known(both)["n1"]["memory"]) == (True, 8, 16000)


def test_the_log_has_what_changed_but_not_what_is_free(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "frontend.compute.nodes")
    told = []
    changes: tuple[dict[str, Any], ...] = ({"mfree": 9000}, {"mfree": 8000}, {"mfree": 8000, "drained": True})
    for more in changes:
        nodes.keep(both.engine, [listed("n1", **more)], both.now)
        told.append([record.getMessage() for record in caplog.records])
        caplog.clear()
    whole = "node n1: zone default, offline False, drained False, vm_capable True, cpus 8, memory 16000, disk None"
    assert told == [[whole], [], ["node n1: drained True"]]
    assert known(both)["n1"]["memory_free"] == 8000


def test_nobody_is_asked_while_a_node_is_silent(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    query = both.rapi.query

    def listen(what: str, fields: Any, wanted: Any = None) -> Any:
        if what == "node":
            asked.append(tuple(fields))
        return query(what, fields, wanted)

    monkeypatch.setattr(both.rapi, "query", listen)
    for status in ("running", "ERROR_nodedown"):
        both.rapi.instances = [{**updates.instance(), "status": status}]
        both.reconciler.compare()
    assert ["mtotal" in fields for fields in asked] == [True, False]


@pytest.fixture
def furnished(api: Api) -> Api:
    up = {"offline": False, "drained": False, "vm_capable": True, "updated": 1_700_000_000.0}
    with api.engine.begin() as connection:
        for row in (
            {"name": "node1", "zone": "default", **up, "cpus": 8, "memory": 16000},
            {"name": "node2", "zone": "default", **up, "drained": True, "cpus": 4, "memory": 8000},
            {"name": "other", "zone": "rack 2", **up, "offline": True, "cpus": None, "memory": None},
        ):
            connection.execute(insert(db.node).values(row))
    return api


def test_zones(furnished: Api, nobody: Api) -> None:
    found = [("default", True), ("rack 2", False)]
    shown = [{"zoneName": name, "zoneState": {"available": up}, "hosts": None} for name, up in found]
    assert furnished.get(f"{COMPUTE}/os-availability-zone").json == {"availabilityZoneInfo": shown}
    assert furnished.get(f"{COMPUTE}/os-availability-zone/detail").status_code == 403
    detail = administrator(nobody).get(f"{COMPUTE}/os-availability-zone/detail").json["availabilityZoneInfo"]  # type: ignore[index]
    assert [zone["zoneName"] for zone in detail] == ["default", "rack 2"]
    when = "2023-11-14T22:13:20.000000"
    assert detail[0]["hosts"] == {
        "node1": {"nova-compute": {"active": True, "available": True, "updated_at": when}},
        "node2": {"nova-compute": {"active": False, "available": True, "updated_at": when}},
    }
    assert detail[1]["hosts"]["other"]["nova-compute"]["available"] is False


def test_the_zone_of_a_new_server(furnished: Api) -> None:
    with furnished.engine.connect() as connection:
        assert zones.of(connection) == {("", "node1"): "default", ("", "node2"): "default", ("", "other"): "rack 2"}
        found = [zones.find(connection, {}, name).group for name in (None, "", "nova", "rack 2")]
        assert found == [None, None, None, "rack 2"]
        with pytest.raises(BadRequest, match="'rack 3'"):
            zones.find(connection, {}, "rack 3")


def test_hypervisors(furnished: Api, nobody: Api) -> None:
    first = furnished.server(host="node1", vcpus=2, ram=1000, disk=5)["id"]
    second = furnished.server(host="node1", vcpus=1, ram=500, disk=5, status="SHUTOFF", project_id=FOREIGN)["id"]
    furnished.server(host="node1", deleted=1.0)
    adam = administrator(nobody)
    short = adam.get(f"{COMPUTE}/os-hypervisors").json["hypervisors"]  # type: ignore[index]
    named = [(each["hypervisor_hostname"], each["state"], each["status"]) for each in short]
    assert named == [("node1", "up", "enabled"), ("node2", "up", "disabled"), ("other", "down", "disabled")]
    detail = adam.get(f"{COMPUTE}/os-hypervisors/detail").json["hypervisors"]  # type: ignore[index]
    node = detail[0]
    assert (node["vcpus"], node["vcpus_used"], node["running_vms"]) == (8, 3, 1)
    assert (node["memory_mb"], node["memory_mb_used"], node["free_ram_mb"]) == (16000, 1500, 14500)
    assert (detail[1]["service"]["disabled_reason"], detail[2]["vcpus"]) == ("drained", 0)
    assert adam.get(f"{COMPUTE}/os-hypervisors/{node['id']}").json == {"hypervisor": node}
    assert adam.get(f"{COMPUTE}/os-hypervisors/7").status_code == 404
    summed = adam.get(f"{COMPUTE}/os-hypervisors/statistics").json["hypervisor_statistics"]  # type: ignore[index]
    assert (summed["count"], summed["vcpus"], summed["memory_mb_used"]) == (2, 12, 1500)
    searched = adam.get(f"{COMPUTE}/os-hypervisors/node/search").json["hypervisors"]  # type: ignore[index]
    assert searched == short[:2]
    assert adam.get(f"{COMPUTE}/os-hypervisors/n1/search").status_code == 404
    with_servers = adam.get(f"{COMPUTE}/os-hypervisors/node1/servers").json["hypervisors"][0]["servers"]  # type: ignore[index]
    assert [each["uuid"] for each in with_servers] == [first, second]
    assert furnished.get(f"{COMPUTE}/os-hypervisors").status_code == 403


def test_services(furnished: Api, nobody: Api) -> None:
    adam = administrator(nobody)
    found = adam.get(f"{COMPUTE}/os-services").json["services"]  # type: ignore[index]
    assert [(each["host"], each["status"], each["state"], each["zone"]) for each in found] == [
        ("node1", "enabled", "up", "default"),
        ("node2", "disabled", "up", "default"),
        ("other", "disabled", "down", "rack 2"),
    ]
    assert adam.get(f"{COMPUTE}/os-services?host=node2").json["services"] == found[1:2]  # type: ignore[index]
    hosts = adam.get(f"{COMPUTE}/os-hosts?zone=rack 2").json
    assert hosts == {"hosts": [{"host_name": "other", "service": "compute", "zone": "rack 2"}]}
    assert len(adam.get(f"{COMPUTE}/os-hosts").json["hosts"]) == 3  # type: ignore[index]
    assert adam.get(f"{COMPUTE}/os-services?binary=nova-scheduler").json == {"services": []}
