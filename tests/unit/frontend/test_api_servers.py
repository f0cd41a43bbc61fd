"""Reading servers: shape, filters, pages, and whose they are."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.frontend.conftest import ALICE, BOB, COMPUTE, FOREIGN, HUGE, IMAGE, MINE, NET, SMALL, Api

SERVERS = f"{COMPUTE}/servers"


def names(api: Api, query: str = "", kind: str = "/detail") -> list[str]:
    answer = api.get(f"{SERVERS}{kind}{query}")
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json["servers"]]  # type: ignore[index]


def test_all_that_clients_read_of_a_server(api: Api) -> None:
    row = api.server(host="node1.example", created=1_795_000_000.9, updated=1_795_000_001.0)
    shown = api.get(f"{SERVERS}/{row['id']}").json["server"]  # type: ignore[index]
    assert shown["id"] == row["id"]
    assert (shown["name"], shown["status"]) == ("web-0", "ACTIVE")
    assert (shown["tenant_id"], shown["user_id"]) == (MINE, ALICE)
    assert shown["addresses"] == {
        "net1": [
            {
                "version": 4,
                "addr": "10.0.0.2",
                "OS-EXT-IPS:type": "fixed",
                "OS-EXT-IPS-MAC:mac_addr": "aa:00:00:00:00:01",
            }
        ]
    }
    assert shown["flavor"]["id"] == SMALL
    assert shown["image"]["id"] == IMAGE
    assert shown["image"]["links"][0]["rel"] == "bookmark"
    assert (shown["created"], shown["updated"]) == ("2026-11-18T11:06:40Z", "2026-11-18T11:06:41Z")
    assert re.fullmatch("[0-9a-f]{56}", shown["hostId"])
    assert "node1" not in str(shown)
    assert [link["rel"] for link in shown["links"]] == ["self", "bookmark"]
    assert shown["links"][0]["href"] == f"http://localhost{SERVERS}/{row['id']}"
    assert shown["metadata"] == {}
    assert shown["security_groups"] == [{"name": "default"}]
    assert (shown["OS-EXT-STS:task_state"], shown["OS-EXT-STS:vm_state"], shown["OS-EXT-STS:power_state"]) == (
        None,
        "active",
        1,
    )
    assert shown["OS-EXT-AZ:availability_zone"] == ""  # no comparison has told of nodes yet
    assert shown["os-extended-volumes:volumes_attached"] == []
    assert "fault" not in shown
    assert api.get(f"{SERVERS}/detail").json["servers"] == [shown]  # type: ignore[index]


def test_a_server_that_an_administrator_made(api: Api) -> None:
    row = api.server(flavor_id="custom", image_id="", user_id="", vcpus=3, ram=96, disk=7, metadata={"role": "db"})
    shown = api.get(f"{SERVERS}/{row['id']}").json["server"]  # type: ignore[index]
    assert (shown["flavor"]["id"], shown["image"], shown["metadata"]) == ("custom-3-96-7", "", {"role": "db"})
    flavor = api.get(f"{COMPUTE}/flavors/custom-3-96-7").json["flavor"]  # type: ignore[index]
    assert (flavor["vcpus"], flavor["ram"], flavor["disk"]) == (3, 96, 7)
    api.server(name="other", flavor_id="custom", vcpus=1)
    assert names(api, "?flavor=custom-3-96-7") == [row["name"]]
    assert api.get(f"{COMPUTE}/flavors/custom-3-96").status_code == 404
    assert "custom" not in api.get(f"{COMPUTE}/flavors").text


def test_short_list_has_id_name_and_links_alone(api: Api) -> None:
    api.server()
    (shown,) = api.get(SERVERS).json["servers"]  # type: ignore[index]
    assert set(shown) == {"id", "name", "links"}


def test_host_id_tells_equal_nodes_of_one_project(api: Api, nobody: Api) -> None:
    for project, host in ((MINE, "a"), (MINE, "a"), (MINE, "b"), (FOREIGN, "a")):
        api.server(project_id=project, host=host)
    bob = nobody.become("bob", "foreign")
    mine = [each["hostId"] for each in api.get(f"{SERVERS}/detail").json["servers"]]  # type: ignore[index]
    (foreign,) = (each["hostId"] for each in bob.get(f"{SERVERS}/detail").json["servers"])  # type: ignore[index]
    assert mine[1] == mine[2] != mine[0]
    assert foreign not in mine


def test_error_shows_its_fault(api: Api) -> None:
    row = api.server(status="ERROR", fault="no node has so much memory" + "." * 500, nics=[])
    shown = api.get(f"{SERVERS}/{row['id']}").json["server"]  # type: ignore[index]
    assert (shown["fault"]["code"], shown["fault"]["created"]) == (500, shown["updated"])
    assert shown["fault"]["message"].startswith("no node has so much memory")
    assert len(shown["fault"]["message"]) == 255
    assert shown["addresses"] == {}


def test_reboot_is_a_status_only_while_it_goes_on(api: Api) -> None:
    row = api.server(task="rebooting")
    path = f"{SERVERS}/{row['id']}"
    assert api.get(path).json["server"]["status"] == "REBOOT"  # type: ignore[index]
    assert names(api, "?status=REBOOT") == ["web-0"]
    assert names(api, "?status=ACTIVE") == []
    api.change(row["id"], task=None)
    assert api.get(path).json["server"]["status"] == "ACTIVE"  # type: ignore[index]
    assert names(api, "?status=REBOOT") == []


def test_foreign_server_is_as_unknown_as_none(api: Api) -> None:
    foreign = api.server(project_id=FOREIGN, user_id=BOB)["id"]
    gone = api.server(deleted=1.0)["id"]
    unknown = "ffffffff-0000-4000-8000-000000000000"
    for suffix, method, body in (
        ("", "GET", None),
        ("", "DELETE", None),
        ("/action", "POST", {"os-stop": None}),
        ("/ips", "GET", None),
        ("/os-security-groups", "GET", None),
        ("/os-volume_attachments", "GET", None),
    ):
        texts = set()
        for ident in (foreign, gone, unknown):
            answer = api.call(method, f"{SERVERS}/{ident}{suffix}", json=body)
            assert answer.status_code == 404
            texts.add(answer.text.replace(ident, "ID"))
        assert len(texts) == 1
        assert "could not be found" in texts.pop()
    assert names(api) == []
    assert api.rapi.calls == []


def test_marker_and_ports_tell_nothing_of_other_projects(api: Api) -> None:
    foreign = api.server(project_id=FOREIGN, user_id=BOB)["id"]
    assert api.get(f"{SERVERS}?marker={foreign}").status_code == 400
    assert api.get(f"/network/v2.0/ports?device_id={foreign}").json == {"ports": []}
    assert api.get("/network/v2.0/ports").json == {"ports": []}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?name=web", ["web-1", "web-0"]),
        ("?name=WEB-1", ["web-1"]),
        ("?name=^eb", []),
        ("?name=b-[0-9]%2B$", ["db-2", "web-1", "web-0"]),
        ("?name=^.*-1$", ["web-1"]),
        ("?name=00000000-0000-4000-8000-000000000000", []),
        ("?status=ACTIVE", ["web-1"]),
        ("?status=shutoff", ["web-0"]),
        ("?status=SHUTOFF&status=ERROR", ["db-2", "web-0"]),
        ("?status=NONSENSE", []),
        (f"?flavor={HUGE}", ["db-2"]),
        (f"?flavor=http://x/flavors/{HUGE}", ["db-2"]),
        (f"?image={IMAGE}", ["web-1", "web-0"]),
        ("?ip=10.0.0.3", ["web-1"]),
        ("?ip=^10\\.0\\.0\\.", ["db-2", "web-1", "web-0"]),
        ("?name=web&status=ACTIVE", ["web-1"]),
        ("?all_tenants=False&deleted=True&reservation_id=&host=node1&what=ever", ["db-2", "web-1", "web-0"]),
    ],
)
def test_filters(api: Api, query: str, expected: list[str]) -> None:
    api.server(status="SHUTOFF")
    api.server()
    api.server(name="db-2", status="ERROR", flavor_id=HUGE, image_id="other")
    api.server(name="web-9", project_id=FOREIGN)
    assert names(api, query) == expected
    assert names(api, query, kind="") == expected


@pytest.mark.parametrize(
    "query",
    ["?name=(a%2B)%2B$", "?name=[", "?name=" + "a" * 256, "?limit=-1", "?limit=x", "?limit=1.5", "?marker=none",
     "?changes-since=yesterday",
        "?changes-since=9999-99-99", "?limit=٣", "?ip=*"],
)  # fmt: skip
def test_filters_that_are_refused(api: Api, query: str) -> None:
    api.server()
    answer = api.get(f"{SERVERS}{query}")
    assert answer.status_code == 400
    assert query[1:].partition("=")[0] in answer.json["badRequest"]["message"]  # type: ignore[index]


def test_changes_since_shows_deleted_ones_too(api: Api) -> None:
    api.server(updated=1000.0)
    api.server(updated=2000.0)
    api.server(updated=3000.0, deleted=3000.0)
    assert names(api, "?changes-since=1970-01-01T00:33:20Z") == ["web-2", "web-1"]
    shown = api.get(f"{SERVERS}/detail?changes-since=1970-01-01T00:50:00").json["servers"]  # type: ignore[index]
    assert [each["status"] for each in shown] == ["DELETED"]
    assert names(api, "?changes-since=1970-01-01T00:33:20Z&status=ACTIVE") == ["web-1"]


def follow(api: Api, path: str) -> list[list[str]]:
    """Names on each page, by its `next` links."""
    pages = []
    while path:
        body: Any = api.get(path).json
        pages.append([each["name"] for each in body["servers"]])
        links = body.get("servers_links", [])
        path = links[0]["href"].removeprefix("http://localhost") if links else ""
    return pages


@pytest.mark.parametrize("query", ["", "&name=web", "&status=ACTIVE"])
def test_pages_hold_each_server_once(api: Api, query: str) -> None:
    for _ in range(5):
        api.server(created=1_700_000_000.0)  # at the same moment: the id decides
    assert follow(api, f"{SERVERS}/detail?limit=2{query}") == [["web-4", "web-3"], ["web-2", "web-1"], ["web-0"]]
    assert follow(api, f"{SERVERS}?limit=5{query}") == [["web-4", "web-3", "web-2", "web-1", "web-0"]]
    assert follow(api, f"{SERVERS}?limit=0{query}") == [[]]


def test_ports_follow_from_the_nics(api: Api) -> None:
    row = api.server(
        nics=[{"network": "net1", "ip": "10.0.0.9", "ip6": "fd00::9", "mac": "aa:00:00:00:00:09", "uuid": "nic-9"}]
    )
    (port,) = api.get(f"/network/v2.0/ports?device_id={row['id']}").json["ports"]  # type: ignore[index]
    subnets = {each["id"]: each["cidr"] for each in api.get("/network/v2.0/subnets").json["subnets"]}  # type: ignore[index]
    assert (port["id"], port["network_id"], port["device_id"]) == ("nic-9", NET, row["id"])
    assert {subnets[each["subnet_id"]]: each["ip_address"] for each in port["fixed_ips"]} == {
        "10.0.0.0/24": "10.0.0.9",
        "fd00::/64": "fd00::9",
    }
    assert api.get("/network/v2.0/ports/nic-9").json == {"port": port}


def test_parts_of_a_server(api: Api) -> None:
    path = f"{SERVERS}/{api.server()['id']}"
    assert api.get(f"{path}/os-volume_attachments").json == {"volumeAttachments": []}
    assert api.get(f"{path}/ips").json["addresses"]["net1"][0]["addr"] == "10.0.0.2"  # type: ignore[index]
    (group,) = api.get(f"{path}/os-security-groups").json["security_groups"]  # type: ignore[index]
    assert group["name"] == "default"
    assert group["tenant_id"] == MINE
