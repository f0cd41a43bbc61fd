"""What a tenant says of his server: name, description, addresses, metadata, labels; and how each version shows it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert
from werkzeug.test import TestResponse

from frontend.database import db
from ganeti_ext import tags
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, MINE, Api

SERVERS = f"{COMPUTE}/servers"
# api-ref, "Update Server": what the answer of 2.1 has, and no more (tempest refuses it).
REDUCED = {
    *("id", "name", "status", "image", "flavor", "user_id", "tenant_id", "created", "updated", "progress", "metadata"),
    *("links", "addresses", "hostId", "OS-DCF:diskConfig", "accessIPv4", "accessIPv6"),
}


class Tenant:
    """Calls on one server of alice's, with a microversion."""

    def __init__(self, api: Api, version: str = "2.26", **row: Any) -> None:
        self.api, self.version, self.ident = api, version, api.server(**row)["id"]

    def call(self, method: str, path: str = "", body: Any = None) -> TestResponse:
        headers = {"OpenStack-API-Version": f"compute {self.version}"}
        return self.api.call(method, f"{SERVERS}/{self.ident}{path}", headers=headers, json=body)

    def ok(self, method: str, path: str = "", body: Any = None) -> Any:
        answer = self.call(method, path, body)
        assert answer.status_code == 200, answer.text
        return answer.json

    def added(self) -> list[str]:
        return [tag for method, _, _, query in self.api.rapi.calls if method == "PUT" for tag in query["tag"]]


def test_name_addresses_and_description(api: Api) -> None:
    tenant = Tenant(api)
    asked = {"name": "  Íñstáñcé ", "accessIPv4": "1.1.1.1", "accessIPv6": "0:0::babe:dc0c:1602", "description": "mine"}
    answered = tenant.ok("PUT", "", {"server": asked})["server"]
    assert answered["name"] == "Íñstáñcé"
    shown = tenant.ok("GET")["server"]
    told = {name: shown[name] for name in ("name", "accessIPv4", "accessIPv6", "description")}
    assert told == {
        "name": "Íñstáñcé",
        "accessIPv4": "1.1.1.1",
        "accessIPv6": "::babe:dc0c:1602",
        "description": "mine",
    }
    assert tags.decode(tenant.added()) == {
        "name": "Íñstáñcé",
        "ip4": "1.1.1.1",
        "ip6": "::babe:dc0c:1602",
        "description": "mine",
    }
    tenant.ok("PUT", "", {"server": {"accessIPv4": "", "accessIPv6": None, "description": None}})
    shown = tenant.ok("GET")["server"]
    assert (shown["accessIPv4"], shown["accessIPv6"], shown["description"]) == ("", "", None)


def test_an_update_of_nothing_changes_nothing(api: Api) -> None:
    tenant = Tenant(api, "2.1")
    answered = tenant.ok("PUT", "", {"server": {}})["server"]
    assert answered.keys() == REDUCED
    assert answered["addresses"] == {"net1": [{"version": 4, "addr": "10.0.0.2"}]}
    assert api.rapi.calls == []


def test_what_tempest_says_of_the_disk_is_remembered(api: Api) -> None:
    tenant = Tenant(api)
    for said in ("AUTO", "MANUAL"):
        assert tenant.ok("PUT", "", {"server": {"OS-DCF:diskConfig": said}})["server"]["OS-DCF:diskConfig"] == said


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "server: is missing"),
        ({"server": []}, "server: expected an object"),
        ({"server": {"name": ""}}, "name: must not be blank"),
        ({"server": {"name": "  "}}, "name: must not be blank"),
        ({"server": {"name": None}}, "name: is missing"),
        ({"server": {"name": "x" * 256}}, "name: 256 characters"),
        ({"server": {"name": "a\nb"}}, "cannot be printed"),
        ({"server": {"accessIPv4": "1.1.1.1.1"}}, "accessIPv4: '1.1.1.1.1' is no IPv4 address"),
        ({"server": {"accessIPv4": 16843009}}, "accessIPv4: 16843009 is no IPv4 address"),
        ({"server": {"accessIPv6": "notvalid"}}, "accessIPv6: 'notvalid' is no IPv6 address"),
        ({"server": {"description": "x" * 256}}, "description: expected at most 255"),
        ({"server": {"description": 5}}, "description: expected at most 255"),
        ({"server": {"OS-DCF:diskConfig": "auto"}}, "expected AUTO or MANUAL, got 'auto'"),
    ],
)
def test_updates_that_are_refused(api: Api, body: Any, words: str) -> None:
    answer = Tenant(api).call("PUT", "", body)
    assert answer.status_code == 400
    assert words in answer.json["badRequest"]["message"]  # type: ignore[index]
    assert api.rapi.calls == []


def test_before_2_19_there_is_no_description(api: Api) -> None:
    tenant = Tenant(api, "2.18", facts={"description": "old"})
    assert "description" not in tenant.ok("PUT", "", {"server": {"description": "new"}})["server"]
    assert api.rapi.calls == []


@pytest.mark.parametrize(
    ("version", "more"),
    [
        ("2.1", set()),
        ("2.8", set()),
        ("2.9", {"locked"}),
        ("2.19", {"locked", "description"}),
        ("2.25", {"locked", "description"}),
        ("2.26", {"locked", "description", "tags"}),
    ],
)
def test_each_version_shows_what_it_knows(api: Api, version: str, more: set[str]) -> None:
    given = {"locked": "1", "description": "mine", "label": "a,b", "key": "laptop", "config": "1", "autodisk": "1"}
    tenant = Tenant(api, version, facts=given)
    answered, shown = tenant.ok("PUT", "", {"server": {}})["server"], tenant.ok("GET")["server"]
    assert answered.keys() == REDUCED | more
    assert shown.keys() & {"locked", "description", "tags", "host_status"} == more
    assert shown["key_name"] == "laptop"
    assert (shown["config_drive"], shown["OS-DCF:diskConfig"]) == ("True", "AUTO")
    assert {name: shown[name] for name in more} == {
        name: value
        for name, value in {"locked": True, "description": "mine", "tags": ["a", "b"]}.items()
        if name in more
    }
    (listed,) = tenant.api.get(f"{SERVERS}/detail", headers={"OpenStack-API-Version": f"compute {version}"}).json[
        "servers"
    ]  # type: ignore[index]
    assert listed == shown


@pytest.mark.parametrize(("version", "count"), [("2.1", 3), ("2.3", 10), ("2.15", 10), ("2.16", 11), ("2.26", 11)])
def test_only_an_administrator_is_shown_the_node(api: Api, nobody: Api, version: str, count: int) -> None:
    row = api.server(host="node1", facts={"reservation": "r-1"}, power="ACTIVE")
    with api.engine.begin() as connection:
        up = {"offline": False, "drained": False, "vm_capable": True, "updated": 1.0}
        connection.execute(insert(db.node).values(name="node1", zone="rack 2", **up))
    headers = {"OpenStack-API-Version": f"compute {version}"}
    plain = api.get(f"{SERVERS}/{row['id']}", headers=headers).json["server"]  # type: ignore[index]
    assert "node1" not in str(plain)
    assert row["instance"] not in str(plain)
    assert plain["OS-EXT-AZ:availability_zone"] == "rack 2"
    full = administrator(nobody).get(f"{SERVERS}/{row['id']}", headers=headers).json["server"]  # type: ignore[index]
    extra = {name: full[name] for name in full.keys() - plain.keys()}
    assert len(extra) == count
    assert (extra["OS-EXT-SRV-ATTR:host"], extra["OS-EXT-SRV-ATTR:instance_name"]) == ("node1", row["instance"])
    assert extra.get("OS-EXT-SRV-ATTR:reservation_id", "r-1") == "r-1"
    assert extra.get("host_status", "UP") == "UP"


def test_metadata(api: Api) -> None:
    tenant = Tenant(api, "2.1", metadata={"key1": "value1", "key2": "value2"})
    tenant.api.rapi.tags[tenant.api.rows()[0]["instance"]] = tags.encode_metadata({"key1": "value1", "key2": "value2"})
    assert tenant.ok("GET", "/metadata") == {"metadata": {"key1": "value1", "key2": "value2"}}
    merged = {"key1": "alt1", "key2": "value2", "key3": "value3"}
    assert tenant.ok("POST", "/metadata", {"metadata": {"key1": "alt1", "key3": "value3"}}) == {"metadata": merged}
    assert tenant.ok("POST", "/metadata", {"metadata": {}}) == {"metadata": merged}
    assert tenant.ok("GET", "/metadata/key3") == {"meta": {"key3": "value3"}}
    assert tenant.ok("PUT", "/metadata/nova", {"meta": {"nova": "ü"}}) == {"meta": {"nova": "ü"}}
    answer = tenant.call("DELETE", "/metadata/key2")
    assert (answer.status_code, answer.text) == (204, "")
    assert tenant.ok("GET", "/metadata") == {"metadata": {"key1": "alt1", "key3": "value3", "nova": "ü"}}
    assert tenant.ok("PUT", "/metadata", {"metadata": {"only": "1"}}) == {"metadata": {"only": "1"}}
    assert tenant.ok("GET")["server"]["metadata"] == {"only": "1"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/metadata", {}, 400),
        ("POST", "/metadata", {"metadata": None}, 400),
        ("POST", "/metadata", {"metadata": []}, 400),
        ("POST", "/metadata", {"metadata": {"": "x"}}, 400),
        ("PUT", "/metadata", {"meta1": "data1"}, 400),
        ("PUT", "/metadata", {"metadata": {"": "data1"}}, 400),
        ("PUT", "/metadata", {"metadata": {"k" * 256: "x"}}, 400),
        ("PUT", "/metadata", {"metadata": {"k": "x" * 256}}, 400),
        ("PUT", "/metadata", {"metadata": {"k": None}}, 400),
        ("PUT", "/metadata", {"metadata": {str(number): "" for number in range(129)}}, 403),
        ("POST", "/metadata", {"metadata": {str(number): "" for number in range(128)}}, 403),
        ("PUT", "/metadata/key", {"meta": {"testkey": "x"}}, 400),
        ("PUT", "/metadata/key", {"meta": {"key": "x", "other": "y"}}, 400),
        ("PUT", "/metadata/key", {"meta": {}}, 400),
        ("PUT", "/metadata/key", {}, 400),
        ("GET", "/metadata/none", None, 404),
        ("DELETE", "/metadata/none", None, 404),
    ],
)
def test_metadata_that_is_refused(api: Api, method: str, path: str, body: Any, status: int) -> None:
    assert Tenant(api, metadata={"role": "db"}).call(method, path, body).status_code == status
    assert api.rapi.calls == []


def test_a_locked_server_keeps_its_metadata(api: Api, nobody: Api) -> None:
    tenant = Tenant(api, metadata={"role": "db"}, facts={"locked": "1"})
    for method, path, body in (
        ("POST", "/metadata", {"metadata": {"a": "b"}}),
        ("PUT", "/metadata", {"metadata": {"a": "b"}}),
        ("PUT", "/metadata/a", {"meta": {"a": "b"}}),
        ("DELETE", "/metadata/role", None),
    ):
        assert tenant.call(method, path, body).status_code == 409
    assert api.rapi.calls == []
    path = f"{SERVERS}/{tenant.ident}/metadata"
    assert administrator(nobody).call("PUT", path, json={"metadata": {"a": "b"}}).status_code == 200


def test_labels(api: Api) -> None:
    tenant = Tenant(api)
    assert tenant.ok("GET", "/tags") == {"tags": []}
    answer = tenant.call("PUT", "/tags/blue")
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"http://localhost{SERVERS}/{tenant.ident}/tags/blue"
    assert tenant.call("PUT", "/tags/blue").status_code == 204
    assert tenant.call("PUT", "/tags/größe 1").status_code == 201
    assert tenant.ok("GET", "/tags") == {"tags": ["blue", "größe 1"]}
    assert (tenant.call("GET", "/tags/blue").status_code, tenant.call("GET", "/tags/red").status_code) == (204, 404)
    assert tenant.call("DELETE", "/tags/red").status_code == 404
    assert tenant.call("DELETE", "/tags/blue").status_code == 204
    assert tenant.ok("GET", "/tags") == {"tags": ["größe 1"]}
    assert tenant.ok("PUT", "/tags", {"tags": ["a", "b", "a"]}) == {"tags": ["a", "b"]}
    assert tenant.ok("GET")["server"]["tags"] == ["a", "b"]
    assert tenant.call("DELETE", "/tags").status_code == 204
    assert tenant.ok("GET", "/tags") == {"tags": []}
    assert [tags.decode([tag])["label"] for tag in tenant.added()] == ["blue", "blue,größe 1", "größe 1", "a,b"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tags", {}),
        ("/tags", {"tags": "a"}),
        ("/tags", {"tags": [""]}),
        ("/tags", {"tags": [5]}),
        ("/tags", {"tags": ["a,b"]}),
        ("/tags", {"tags": ["a/b"]}),
        ("/tags", {"tags": ["x" * 61]}),
        ("/tags", {"tags": [str(number) for number in range(51)]}),
        ("/tags/" + "x" * 61, None),
        ("/tags/a,b", None),
    ],
)
def test_labels_that_are_refused(api: Api, path: str, body: Any) -> None:
    assert Tenant(api).call("PUT", path, body).status_code == 400
    assert api.rapi.calls == []


def test_a_server_has_fifty_labels(api: Api) -> None:
    tenant = Tenant(api, facts={"label": ",".join(map(str, range(50)))})
    assert tenant.call("PUT", "/tags/more").status_code == 400
    assert tenant.call("PUT", "/tags/49").status_code == 204


def test_before_2_26_there_are_no_labels(api: Api) -> None:
    tenant = Tenant(api, "2.25", facts={"label": "a"})
    for method, path in (
        ("GET", "/tags"),
        ("PUT", "/tags"),
        ("DELETE", "/tags"),
        ("GET", "/tags/a"),
        ("PUT", "/tags/b"),
    ):
        assert tenant.call(method, path, {"tags": []}).status_code == 404
    assert api.rapi.calls == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "", {"server": {"name": "new"}}),
        ("PUT", "/metadata", {"metadata": {"a": "b"}}),
        ("PUT", "/tags/a", None),
    ],
)
def test_what_is_being_built_cannot_be_changed_yet(api: Api, method: str, path: str, body: Any) -> None:
    tenant = Tenant(api, status="BUILD", task="spawning")
    answer = tenant.call(method, path, body)
    assert answer.status_code == 409
    assert "is being built" in answer.json["conflictingRequest"]["message"]  # type: ignore[index]


def test_parts_to_read(api: Api) -> None:
    tenant = Tenant(api, "2.1")
    addresses = [{"version": 4, "addr": "10.0.0.2"}]
    assert tenant.ok("GET", "/ips") == {"addresses": {"net1": addresses}}
    assert tenant.ok("GET", "/ips/net1") == {"net1": addresses}
    assert tenant.call("GET", "/ips/invalid").status_code == 404
    (interface,) = tenant.ok("GET", "/os-interface")["interfaceAttachments"]
    (port,) = api.get(f"/network/v2.0/ports?device_id={tenant.ident}").json["ports"]  # type: ignore[index]
    assert interface == {
        "port_id": port["id"],
        "net_id": port["network_id"],
        "mac_addr": port["mac_address"],
        "port_state": "ACTIVE",
        "fixed_ips": port["fixed_ips"],
    }
    assert tenant.ok("GET", f"/os-interface/{port['id']}") == {"interfaceAttachment": interface}
    assert tenant.call("GET", "/os-interface/none").status_code == 404


def ask(
    api: Api, ident: str, began: float, jobs: list[int], server: str, action: str = "reboot", project: str = MINE
) -> None:
    row = {
        "id": ident,
        "server_id": server,
        "action": action,
        "user_id": "a-alice",
        "project_id": project,
        "jobs": jobs,
    }
    with api.engine.begin() as connection:
        connection.execute(insert(db.request).values(began=began, message=None, **row))


def test_what_was_asked_of_a_server_and_how_it_went(api: Api) -> None:
    tenant, other = Tenant(api, "2.1"), api.server()["id"]
    ask(api, "req-1", 1_700_000_000.25, [7], tenant.ident, "create")
    ask(api, "req-1", 1_700_000_000.25, [8], other, "create")
    ask(api, "req-2", 1_700_000_009.0, [9, 10], tenant.ident)
    done = {"cluster": "c", "op_index": 0, "kind": "instance", "name": "x", "rank": 4, "updated": 1.0}
    with api.engine.begin() as connection:
        for job, status, ended, server in (
            (9, "error", 1_700_000_011.5, tenant.ident),
            (10, "running", None, tenant.ident),
            (8, "success", 2.0, other),
            (11, "success", 2.0, tenant.ident),
        ):
            told = {"job": job, "status": status, "ended": ended, "server_id": server, "message": "node7 is away"}
            connection.execute(
                insert(db.action).values(operation="OP_INSTANCE_REBOOT", began=1_700_000_010.0, **told, **done)
            )
    listed = tenant.ok("GET", "/os-instance-actions")["instanceActions"]
    assert [each["request_id"] for each in listed] == ["req-2", "req-1"]
    assert listed[1] == {
        "action": "create",
        "instance_uuid": tenant.ident,
        "request_id": "req-1",
        "user_id": "a-alice",
        "project_id": MINE,
        "start_time": "2023-11-14T22:13:20.250000",
        "message": None,
    }
    assert tenant.ok("GET", "/os-instance-actions/req-1")["instanceAction"] == {**listed[1], "events": []}
    shown = tenant.ok("GET", "/os-instance-actions/req-2")["instanceAction"]
    assert shown["events"] == [
        {
            "event": "instance_reboot",
            "start_time": "2023-11-14T22:13:30.000000",
            "finish_time": finish,
            "result": result,
            "traceback": None,
        }
        for finish, result in ((None, None), ("2023-11-14T22:13:31.500000", "Error"))
    ]
    assert tenant.call("GET", "/os-instance-actions/req-3").status_code == 404
    assert api.get(f"{SERVERS}/{other}/os-instance-actions/req-2").status_code == 404


@pytest.mark.parametrize(("version", "status"), [("2.20", 404), ("2.21", 200)])
def test_what_was_asked_of_a_server_that_is_gone(api: Api, version: str, status: int) -> None:
    tenant = Tenant(api, version, deleted=5.0)
    ask(api, "req-1", 1.0, [], tenant.ident, "delete")
    assert tenant.call("GET", "/os-instance-actions").status_code == status
    assert tenant.call("GET", "/os-instance-actions/req-1").status_code == status


def test_nobody_sees_what_others_asked(api: Api) -> None:
    tenant = Tenant(api, "2.26", project_id=FOREIGN)
    ask(api, "req-1", 1.0, [], tenant.ident, project=FOREIGN)
    assert tenant.call("GET", "/os-instance-actions/req-1").status_code == 404
    assert tenant.call("GET", "/os-instance-actions").status_code == 404


def test_a_request_is_found_by_the_id_of_its_answer(api: Api) -> None:
    tenant = Tenant(api, "2.1")
    answer = tenant.call("POST", "/action", {"reboot": {"type": "HARD"}})
    ident = answer.headers["x-compute-request-id"]
    shown = tenant.ok("GET", f"/os-instance-actions/{ident}")["instanceAction"]
    assert (shown["action"], shown["instance_uuid"]) == ("reboot", tenant.ident)
