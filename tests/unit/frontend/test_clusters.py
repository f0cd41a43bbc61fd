"""Several clusters behind one front, Ganeti pretended in each: where new things go, and where jobs do."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import TestResponse

from frontend.cluster import standing
from frontend.database import db
from frontend.effect import awaited
from frontend.settings import Front
from tests.unit.frontend import twoclusters
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, IMAGE, MINE, NET, SMALL
from tests.unit.frontend.twoclusters import NET2, SECOND, Two

two = twoclusters.two
VOLUME = "/volume/v3"
OWN = "0ddddddd-0000-4000-8000-00000000000a"


def create(two: Two, **wishes: Any) -> TestResponse:
    body = {"name": "web", "flavorRef": SMALL, "imageRef": IMAGE, **wishes}
    return two.api.call("POST", f"{COMPUTE}/servers", json={"server": body})


def made(two: Two, answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    return two.api.row(answer.json["server"]["id"])  # type: ignore[index]


def why(answer: TestResponse) -> str:
    (fault,) = answer.json.values()  # type: ignore[union-attr]
    return str(fault["message"])


def test_a_server_goes_where_most_is_free_and_its_default_network_is_that_clusters(two: Two) -> None:
    row = made(two, create(two))
    assert (row["cluster"], row["job"], len(two.home.calls)) == (SECOND, 501, 0)
    (call,) = two.second.calls
    assert call[2]["nics"][0]["network"] == NET2


def test_what_was_promised_since_the_last_reading_is_not_free_any_more(two: Two) -> None:
    new = {"cluster": SECOND, "ram": 1900, "project_id": FOREIGN}
    two.api.server(**new, created=time.time() + 1)  # since it was read
    two.api.server(**new, created=time.time() - 9, status="BUILD")  # has taken nothing yet
    assert made(two, create(two))["cluster"] == ""


def test_the_weight_counts(two: Two) -> None:
    two.set(SECOND, weight=0.1)
    assert made(two, create(two))["cluster"] == ""


@pytest.mark.parametrize("values", [{"state": "drained"}, {"state": "offline"}, {"silent": 1.0}])
def test_a_cluster_that_is_not_open_or_does_not_answer_gets_none(two: Two, values: dict[str, Any]) -> None:
    two.set(SECOND, **values)
    assert made(two, create(two))["cluster"] == ""


def test_pins_say_where_alone(two: Two) -> None:
    two.pin("")
    assert made(two, create(two))["cluster"] == ""
    two.set("", state="drained")
    answer = create(two)
    assert (answer.status_code, why(answer)) == (
        400,
        "No valid host was found. Cluster one.example takes no new servers.",
    )
    two.set("", state="open", silent=1.0)
    answer = create(two)
    assert answer.status_code == 503
    assert "one.example does not answer now" in why(answer)


def test_a_network_binds_its_servers(two: Two) -> None:
    row = made(two, create(two, networks=[{"uuid": NET}]))
    assert row["cluster"] == ""
    answer = create(two, networks=[{"uuid": NET}, {"uuid": NET2}])
    assert answer.status_code == 400
    assert f"network {NET2} is of another cluster than image {IMAGE}, network {NET}" in why(answer)


def test_none_has_room(two: Two) -> None:
    two.set("", state="drained")
    with two.engine.begin() as connection:
        connection.execute(db.node.update().values(memory_free=500))
    answer = create(two)
    assert (answer.status_code, why(answer)) == (400, "No valid host was found. There are not enough hosts available.")
    assert (two.home.calls, two.second.calls, two.api.rows()) == ([], [], [])


def test_zones_are_clusters_and_their_groups(two: Two) -> None:
    zones = two.api.get(f"{COMPUTE}/os-availability-zone").json["availabilityZoneInfo"]  # type: ignore[index]
    assert [each["zoneName"] for each in zones] == ["default", "one.example", SECOND, f"{SECOND}/default"]
    for zone, cluster in (("default", ""), ("one.example", ""), (SECOND, SECOND), (f"{SECOND}/default", SECOND)):
        row = made(two, create(two, availability_zone=zone))
        assert row["cluster"] == cluster
        two.api.change(row["id"], deleted=1.0)
    answer = create(two, availability_zone=SECOND, networks=[{"uuid": NET}])
    assert answer.status_code == 400
    assert f"availability zone {SECOND} is of another cluster" in why(answer)


def test_an_image_in_the_storage_of_one_cluster_binds(two: Two) -> None:
    two.set(SECOND, storage=SECOND)
    assert made(two, create(two))["cluster"] == ""
    answer = create(two, availability_zone=SECOND)
    assert answer.status_code == 400
    two.put(db.cluster_image, storage=SECOND, image_id=IMAGE)
    assert made(two, create(two, availability_zone=SECOND))["cluster"] == SECOND


def test_jobs_go_to_the_cluster_of_their_object(two: Two) -> None:
    here, there = two.api.server(), two.api.server(cluster=SECOND)
    for row in (here, there):
        answer = two.api.call("POST", f"{COMPUTE}/servers/{row['id']}/action", json={"reboot": {"type": "HARD"}})
        assert answer.status_code == 202, answer.text
    assert [call[1] for call in two.home.calls] == [f"instances/{here['instance']}/reboot"]
    assert [call[1] for call in two.second.calls] == [f"instances/{there['instance']}/reboot"]


def test_nothing_is_changed_where_nobody_answers_and_all_is_read(two: Two) -> None:
    row = two.api.server(cluster=SECOND)
    two.set(SECOND, silent=1.0)
    for method, path, body in (("DELETE", "", None), ("POST", "/action", {"reboot": {"type": "HARD"}})):
        answer = two.api.call(method, f"{COMPUTE}/servers/{row['id']}{path}", json=body)
        assert (answer.status_code, "does not answer now" in why(answer)) == (503, True)
    two.set(SECOND, silent=None, state="offline")
    answer = two.api.call("DELETE", f"{COMPUTE}/servers/{row['id']}")
    assert (answer.status_code, "is offline" in why(answer)) == (409, True)
    assert (two.second.calls, two.second.asked) == ([], [])
    assert two.api.get(f"{COMPUTE}/servers/{row['id']}").status_code == 200


def test_a_volume_goes_with_what_it_is_made_of_and_to_servers_of_its_cluster(two: Two) -> None:
    volume = {"size": 1, "availability_zone": SECOND}
    answer = two.api.call("POST", f"{VOLUME}/{MINE}/volumes", json={"volume": volume})
    assert answer.status_code == 202, answer.text
    (row,) = two.rows(db.volume)
    assert (row["cluster"], len(two.home.calls), bool(two.second.calls)) == (SECOND, 0, True)
    with two.engine.begin() as connection:
        connection.execute(db.volume.update().values(status="available", task=None))
    wish = {"volumeAttachment": {"volumeId": row["id"]}}
    server = two.api.server()
    refused = two.api.call("POST", f"{COMPUTE}/servers/{server['id']}/os-volume_attachments", json=wish)
    assert refused.status_code == 400
    assert "is of another cluster than server" in why(refused)
    with_it = [{"uuid": row["id"], "source_type": "volume", "destination_type": "volume", "boot_index": -1},
               {"uuid": IMAGE, "source_type": "image", "destination_type": "local", "boot_index": 0}]  # fmt: skip
    two.set(SECOND, weight=0)
    assert made(two, create(two, block_device_mapping_v2=with_it))["cluster"] == SECOND


def test_nics_are_of_the_network_of_their_name_in_their_cluster(two: Two) -> None:
    nic = {"network": "net1", "ip": "10.9.0.7", "ip6": None, "mac": "aa:00:00:00:00:07",
           "uuid": "0ccccccc-0000-4000-8000-000000000007"}  # fmt: skip
    there, here = two.api.server(cluster=SECOND, nics=[nic]), two.api.server()
    ports = two.api.get("/network/v2.0/ports").json["ports"]  # type: ignore[index]
    found = {port["device_id"]: port["network_id"] for port in ports}
    assert found == {there["id"]: NET2, here["id"]: NET}
    shown = two.api.get(f"{COMPUTE}/servers/{there['id']}/os-interface").json["interfaceAttachments"]  # type: ignore[index]
    assert [each["net_id"] for each in shown] == [NET2]


def test_health_and_metrics_tell_of_each(two: Two) -> None:
    assert two.api.get("/health?parts=clusters").json["parts"]["clusters"]["ok"] is True  # type: ignore[index]
    two.set(SECOND, silent=time.time() - 61)
    with two.engine.connect() as connection:
        found = standing.read(connection)
        families = {family.name: family.samples for family in standing.metrics(found)}
    ok, words, numbers = standing.judged(found, 300, 60, time.time())
    assert (ok, words) == (False, "2, of which 1 do not answer, and 0 could not be compared of late")
    assert numbers == {"clusters": 2, "offline": 0, "silent": 1, "not_compared": 0}
    up = {sample.labels["cluster"]: sample.value for sample in families["ganeti_ext_consumer_cluster_up"]}
    assert up == {"one.example": 1.0, SECOND: 0.0}
    two.set(SECOND, state="offline")
    with two.engine.connect() as connection:
        assert standing.judged(standing.read(connection), 300, 60, time.time())[0] is True


def test_administrators_see_the_nodes_of_all(two: Two) -> None:
    here, there = two.api.server(host="node1", ram=100), two.api.server(host="node1", ram=300, cluster=SECOND)
    adam = administrator(two.nobody)
    found = adam.get(f"{COMPUTE}/os-hypervisors/detail").json["hypervisors"]  # type: ignore[index]
    assert [(each["hypervisor_hostname"], each["memory_mb_used"]) for each in found] == [
        ("node1", 100),
        (f"node1@{SECOND}", 300),
    ]
    assert len({each["id"] for each in found}) == 2
    by_host = adam.get(f"{COMPUTE}/os-hypervisors/{SECOND}/servers").json["hypervisors"]  # type: ignore[index]
    assert [each["uuid"] for each in by_host[0]["servers"]] == [there["id"]]
    services = adam.get(f"{COMPUTE}/os-services").json["services"]  # type: ignore[index]
    assert [(each["host"], each["zone"]) for each in services] == [
        ("node1", "default"),
        (f"node1@{SECOND}", f"{SECOND}/default"),
    ]
    shown = adam.get(f"{COMPUTE}/servers/{there['id']}").json["server"]  # type: ignore[index]
    assert shown["OS-EXT-SRV-ATTR:host"] == f"node1@{SECOND}"
    assert shown["OS-EXT-AZ:availability_zone"] == f"{SECOND}/default"
    assert here["id"] != there["id"]


def test_a_tenants_network_is_bound_by_its_hint_or_its_first_subnet(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaited, "PATIENCE", 0.0)
    two = Two(replace(front, tenant_link="br0"), monkeypatch)
    two.set(SECOND, link="br9")

    def made(**wishes: Any) -> TestResponse:
        return two.api.call("POST", "/network/v2.0/networks", json={"network": {"name": "own", **wishes}})

    def subnet(network: str) -> int:
        wish = {"network_id": network, "cidr": "10.1.0.0/24", "ip_version": 4}
        return two.api.call("POST", "/network/v2.0/subnets", json={"subnet": wish}).status_code

    hinted = made(availability_zone_hints=["one.example"]).json["network"]["id"]  # type: ignore[index]
    free = made().json["network"]["id"]  # type: ignore[index]
    assert made(availability_zone_hints=["three.example"]).status_code == 404
    assert {row["id"]: row["cluster"] for row in two.rows(db.tenant_network)} == {hinted: "", free: None}
    two.tenant_network(OWN, SECOND)  # where the project has one, its next one is to be, too
    two.api.server(cluster=SECOND)
    assert subnet(free) == 201
    assert {row["id"]: row["cluster"] for row in two.rows(db.tenant_network)}[free] == SECOND
    assert [call[1].split("/")[-1] for call in two.second.calls] == ["networks", "connect"]
    assert two.second.calls[1][2]["network_link"] == "br9"
    assert subnet(hinted) == 201
    assert two.home.calls[1][2]["network_link"] == "br0"
    zones = two.api.get("/network/v2.0/availability_zones").json["availability_zones"]  # type: ignore[index]
    assert [each["name"] for each in zones] == ["one.example", SECOND]
    shown = two.api.get(f"/network/v2.0/networks/{OWN}").json["network"]  # type: ignore[index]
    assert shown["availability_zones"] == [SECOND]
    placed = create(two, networks=[{"uuid": OWN}], availability_zone="one.example")
    assert placed.status_code == 400
