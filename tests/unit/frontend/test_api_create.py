"""POST /servers: what is asked of Ganeti, what is refused, and what stays behind."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import delete, insert

from frontend.database import db
from frontend.database.vault import Vault
from frontend.network.netview import default_group_id
from frontend.settings import Front
from ganeti_ext import tags
from ganeti_ext.errors import RapiError, RapiUnavailable
from tests.unit.frontend.conftest import (
    ALICE,
    COMPUTE,
    FOREIGN,
    HUGE,
    IMAGE,
    MINE,
    NET,
    SECRET_IMAGE,
    SMALL,
    TINY,
    Api,
    FakeRapi,
    serve,
)

SERVERS = f"{COMPUTE}/servers"


def wish(**changes: Any) -> dict[str, Any]:
    return {"server": {"name": "web", "flavorRef": SMALL, "imageRef": IMAGE, **changes}}


def refused(api: Api, body: dict[str, Any], status: int = 400) -> str:
    answer = api.call("POST", SERVERS, json=body)
    assert answer.status_code == status, answer.text
    assert api.rapi.calls == []
    assert api.rows() == []
    (fault,) = (answer.json or {}).values()
    assert fault["code"] == status
    return str(fault["message"])


def test_metadata_is_kept_in_the_tags(api: Api) -> None:
    said = {"role": "db", "who": "Zoë & co", "note": "x" * 255, "none": ""}
    ident = api.call("POST", SERVERS, json=wish(metadata=said)).json["server"]["id"]  # type: ignore[index]
    ((_, _, body, _),) = api.rapi.calls
    assert tags.metadata(body["tags"]) == said
    assert api.get(f"{SERVERS}/{ident}").json["server"]["metadata"] == said  # type: ignore[index]


def test_one_job_and_one_row(api: Api) -> None:
    answer = api.call("POST", SERVERS, json=wish(name="wéb 1"))
    assert answer.status_code == 202
    shown = answer.json["server"]  # type: ignore[index]
    assert set(shown) == {"id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"}
    assert answer.headers["Location"] == shown["links"][0]["href"] == f"http://localhost{SERVERS}/{shown['id']}"
    ((method, path, body, query),) = api.rapi.calls
    assert (method, path, query) == ("POST", "instances", None)
    assert body["instance_name"] == f"gx-{shown['id']}"
    assert body["disks"][0]["size"] == 5 * 1024
    assert body["nics"] == [{"network": NET, "ip": "pool"}]
    facts = tags.decode(body["tags"])
    assert facts == {
        "server": shown["id"],
        "created": facts["created"],
        "project": MINE,
        "user": ALICE,
        "name": "wéb 1",
        "flavor": SMALL,
        "image": IMAGE,
        "config": "1",
    }
    (row,) = api.rows()
    assert (row["id"], row["instance"], row["created"]) == (shown["id"], f"gx-{shown['id']}", float(facts["created"]))
    assert (row["status"], row["task"], row["job"], row["name"]) == ("BUILD", "spawning", 101, "wéb 1")
    assert (row["project_id"], row["user_id"], row["vcpus"], row["ram"], row["disk"]) == (MINE, ALICE, 1, 512, 5)
    seen = api.get(f"{SERVERS}/{shown['id']}").json["server"]  # type: ignore[index]
    assert (seen["status"], seen["OS-EXT-STS:task_state"], seen["addresses"]) == ("BUILD", "spawning", {})


PLAIN_DEVICE = {
    "source_type": "image",
    "destination_type": "local",
    "boot_index": "0",
    "uuid": IMAGE,
    "delete_on_termination": True,
}


@pytest.mark.parametrize(
    "extra",
    [
        {"min_count": 1, "max_count": 1, "networks": [], "block_device_mapping_v2": [PLAIN_DEVICE]},
        {"networks": [{"uuid": NET}], "security_groups": [{"name": "default"}], "tags": []},
        {
            "networks": None,
            "metadata": {},
            "config_drive": False,
            "user_data": "",
            "key_name": None,
            "personality": None,
        },
        {
            "config_drive": "",
            "adminPass": None,
            "accessIPv4": "",
            "description": 7,
            "hostname": "x",
            "unheard": {"a": []},
        },
        {"imageRef": "", "block_device_mapping_v2": [PLAIN_DEVICE]},
        {"os:scheduler_hints": {}, "OS-DCF:diskConfig": "AUTO", "min_count": "1", "max_count": None},
        {"security_groups": [{"name": default_group_id(MINE)}], "availability_zone": "nova"},
        {"flavorRef": f"http://x/compute/v2.1/flavors/{SMALL}", "imageRef": f"http://x/images/{IMAGE}"},
    ],
)
def test_what_the_clients_send_besides(api: Api, extra: dict[str, Any]) -> None:
    assert api.call("POST", SERVERS, json=wish(**extra)).status_code == 202
    assert api.rapi.calls[0][2]["nics"] == [{"network": NET, "ip": "pool"}]
    assert api.rapi.calls[0][2]["disks"][0]["origin"] == IMAGE


def test_given_address(api: Api) -> None:
    assert api.call("POST", SERVERS, json=wish(networks=[{"uuid": NET, "fixed_ip": "10.0.0.99"}])).status_code == 202
    assert api.rapi.calls[0][2]["nics"] == [{"network": NET, "ip": "10.0.0.99"}]
    answer = api.call("POST", SERVERS, json=wish(networks=[{"uuid": NET, "fixed_ip": "10.9.0.99"}]))
    assert answer.status_code == 400
    assert "10.9.0.99" in answer.text


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"flavorRef": "f-none"}, "Flavor f-none"),
        ({"flavorRef": None}, "flavorRef: is missing"),
        ({"flavorRef": {}}, "flavorRef: expected a string"),
        ({"imageRef": "i-none"}, "Image i-none"),
        ({"imageRef": SECRET_IMAGE}, f"Image {SECRET_IMAGE} could not be found"),
        ({"imageRef": ""}, "Boot sequence for the instance"),
        ({"networks": [{"uuid": "n-none"}]}, "Network n-none"),
        ({"networks": [{"port": "p"}]}, "Port p could not be found"),
        ({"networks": [{}]}, "uuid: is missing"),
        ({"networks": ["x"]}, "list of objects"),
        ({"networks": "auto"}, "networks: expected a list"),
        ({"networks": [{"uuid": NET}] * 9}, "at most 8"),
        ({"name": ""}, "name: must not be blank"),
        ({"name": "  "}, "name: must not be blank"),
        ({"name": "x" * 256}, "name: 256 characters"),
        ({"name": None}, "name: is missing"),
        ({"name": 7}, "name: expected a string, got 7"),
        ({"name": "a\u0000b"}, "a string with a NUL"),
        ({"name": "a\ud800b"}, "half a surrogate pair"),
        ({"flavorRef": TINY}, "128 MiB of memory"),
        ({"min_count": True}, "min_count: expected a whole number from 1 to 1000, got true"),
        ({"min_count": 0}, "min_count"),
        ({"min_count": "x"}, "min_count"),
        ({"min_count": 3, "max_count": 2}, "min_count: 3 is more than max_count, 2"),
        ({"max_count": -1}, "max_count"),
        ({"max_count": 2, "networks": [{"uuid": NET, "fixed_ip": "10.0.0.99"}]}, "fixed_ip: 2 servers"),
        ({"return_reservation_id": "perhaps"}, "return_reservation_id: expected true or false"),
        ({"OS-DCF:diskConfig": "SOME"}, "OS-DCF:diskConfig: expected AUTO or MANUAL, got 'SOME'"),
        ({"user_data": "Zm9"}, "user_data: is not base64"),
        ({"user_data": "Zm9v!"}, "user_data: is not base64"),
        ({"user_data": "A" * 65536}, "user_data: expected at most 65535"),
        ({"user_data": 7}, "user_data: expected at most 65535"),
        ({"key_name": "k"}, "Invalid key_name provided: k could not be found"),
        ({"key_name": 7}, "key_name: expected a string"),
        ({"personality": [{"path": "/x", "contents": "Zm9"}]}, "personality: /x: contents: is not base64"),
        ({"personality": [{"path": "/x"}]}, "personality: /x: contents: expected a string"),
        ({"personality": [{"path": "/" * 256, "contents": ""}]}, "path: 256 characters"),
        ({"personality": [{"contents": ""}]}, "path: is missing"),
        ({"personality": "x"}, "personality: expected a list"),
        ({"config_drive": "maybe"}, "config_drive: expected true or false"),
        ({"adminPass": 7}, "adminPass: expected a string"),
        ({"adminPass": "a\nb"}, "adminPass: 'a"),
        ({"accessIPv4": "fd00::1"}, "accessIPv4: 'fd00::1' is no IPv4 address"),
        ({"accessIPv4": 7}, "accessIPv4: 7 is no IPv4 address"),
        ({"accessIPv6": "10.0.0.1"}, "accessIPv6: '10.0.0.1' is no IPv6 address"),
        ({"networks": [{"uuid": NET, "fixed_ip": "fd00::5"}]}, "fixed_ip: fd00::5: an IPv6 address follows"),
        ({"security_groups": [{"name": "default"}] * 2}, "security_groups: default is named twice"),
        ({"os:scheduler_hints": {"group": "g-none"}}, "group"),
        ({"os:scheduler_hints": {"same_host": "s"}}, "os:scheduler_hints: same_host"),
        ({"metadata": ["a"]}, "metadata: expected an object"),
        ({"metadata": {"a": 1}}, "metadata: a: expected at most 255 printable characters, got 1"),
        ({"metadata": {"a": "b" * 256}}, "metadata: a: expected at most 255 printable"),
        ({"metadata": {"a": "\n"}}, "metadata: a: expected at most 255 printable"),
        ({"metadata": {"": "b"}}, "metadata: ''"),
        ({"metadata": {"a" * 256: "b"}}, "256 characters, at most 255"),
        ({"security_groups": [{"name": "web"}]}, "Security group web"),
        ({"security_groups": ["web"]}, "list of objects"),
        ({"availability_zone": "az2"}, "az2"),
        ({"block_device_mapping_v2": [{**PLAIN_DEVICE, "source_type": "volume"}]}, "block_device_mapping_v2"),
        ({"block_device_mapping_v2": [{**PLAIN_DEVICE, "uuid": SECRET_IMAGE}]}, "block_device_mapping_v2"),
        ({"block_device_mapping_v2": [3]}, "list of objects"),
    ],
)
def test_what_is_wrong_is_named(api: Api, changes: dict[str, Any], named: str) -> None:
    assert named in refused(api, wish(**changes))


def test_private_image_is_as_unknown_as_none(api: Api) -> None:
    unknown = SECRET_IMAGE[:-1] + "9"
    texts = {refused(api, wish(imageRef=ident)).replace(ident, "ID") for ident in (SECRET_IMAGE, unknown)}
    assert len(texts) == 1


def test_flavor_with_too_small_a_disk(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(insert(db.flavor).values(id="f-thin", name="thin", vcpus=1, ram=512, disk=2))
    assert "a disk of 2048 MiB" in refused(api, wish(flavorRef="f-thin"))


def test_quota_says_what_and_how_much(api: Api) -> None:
    answer = refused(api, wish(flavorRef=HUGE), 403)
    assert answer == "Quota exceeded for cores: Requested 5, but already used 0 of 4"
    for _ in range(3):
        api.server(project_id=FOREIGN)  # others' servers do not count
        api.server(deleted=1.0)
    for _ in range(3):
        assert api.call("POST", SERVERS, json=wish()).status_code == 202
    last = api.call("POST", SERVERS, json=wish())
    assert last.status_code == 403
    assert last.json["forbidden"]["message"] == (  # type: ignore[index]
        "Quota exceeded for instances: Requested 1, but already used 3 of 3"
    )
    assert len(api.rapi.calls) == 3


def test_quota_of_memory(api: Api) -> None:
    api.server(ram=3585)
    answer = api.call("POST", SERVERS, json=wish())
    assert answer.json["forbidden"]["message"] == (  # type: ignore[index]
        "Quota exceeded for ram: Requested 512 MiB, but already used 3585 of 4096 MiB"
    )


def test_creates_at_one_moment_do_not_pass_the_quota_together(api: Api) -> None:
    start = threading.Barrier(6)
    codes: list[int] = []

    def create() -> None:
        client = Api(api.client.application.test_client(), api.engine, api.rapi)
        client.token = api.token
        start.wait()
        codes.append(client.call("POST", SERVERS, json=wish()).status_code)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [202, 202, 202, 403, 403, 403]
    assert len(api.rows()) == 3


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RapiUnavailable("RAPI node1.secret:5080: refused"), 503),
        (RapiError("RAPI POST /2/instances: no such user gx-api", 401), 503),
        (RapiError("RAPI POST /2/instances: queue full", 429), 503),
        (RapiError("RAPI POST /2/instances: node1.secret is odd", 500), 500),
        (RapiError("RAPI POST /2/instances: unknown parameter", 400), 500),
    ],
)
def test_ganeti_says_no_and_nothing_stays(api: Api, error: Exception, status: int) -> None:
    api.rapi.fails = error
    answer = api.call("POST", SERVERS, json=wish())
    assert answer.status_code == status
    assert "secret" not in answer.text
    assert "RAPI" not in answer.text
    assert answer.headers.get("Retry-After") == ("10" if status == 503 else None)
    assert api.rows() == []
    assert api.owed() == []


def test_the_request_is_kept_where_nobody_can_read_it(api: Api) -> None:
    ident = api.call("POST", SERVERS, json=wish(name="very-special")).json["server"]["id"]  # type: ignore[index]
    (kept,) = api.owed()
    assert (kept["server_id"], kept["what"], kept["job"], kept["tries"]) == (ident, "create", 101, 0)
    assert "very-special" not in kept["body"]
    vault = api.client.application.extensions["ganeti-ext"].vault
    assert vault.unlock(kept["body"]) == api.rapi.calls[0][2]
    with pytest.raises(ValueError, match="another secret"):
        Vault("x" * 64).unlock(kept["body"])


def test_consumer_that_was_faster_knows_more(api: Api) -> None:
    def heard(job: int) -> None:
        instance = api.rapi.calls[-1][2]["instance_name"]
        api.server(id=instance.removeprefix("gx-"), status="ACTIVE", job=job, name="as heard")

    api.rapi.on_submit = heard
    answer = api.call("POST", SERVERS, json=wish())
    assert answer.status_code == 202
    (row,) = api.rows()
    assert (row["id"], row["status"], row["name"]) == (answer.json["server"]["id"], "ACTIVE", "as heard")  # type: ignore[index]


def test_without_a_default_network_one_must_be_named(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(insert(db.network).values(id="n2", name="net2", subnet=None, tags=[], updated=1.0))
    assert "no default network" in refused(api, wish())
    assert api.call("POST", SERVERS, json=wish(networks=[{"uuid": "n2"}, {"uuid": NET}])).status_code == 202
    assert api.rapi.calls[0][2]["nics"] == [{"network": "n2"}, {"network": NET, "ip": "pool"}]


def test_no_network_at_all(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(delete(db.network))
    assert "no default network" in refused(api, wish())


@pytest.mark.parametrize("named", ["net1", NET])
def test_default_network_by_name_or_uuid(front: Front, rapi: FakeRapi, named: str) -> None:
    changed = Front(database=front.database, secret_file=front.secret_file, default_network=named)
    api = serve(changed, rapi).become("alice")
    with api.engine.begin() as connection:
        connection.execute(insert(db.network).values(id="n2", name="net2", subnet=None, tags=[], updated=1.0))
    assert api.call("POST", SERVERS, json=wish()).status_code == 202
    assert rapi.calls[0][2]["nics"] == [{"network": NET, "ip": "pool"}]


def test_reader_changes_nothing(nobody: Api) -> None:
    rita = nobody.become("rita")
    row = nobody.server()
    for method, path, body in (
        ("POST", SERVERS, wish()),
        ("DELETE", f"{SERVERS}/{row['id']}", None),
        ("POST", f"{SERVERS}/{row['id']}/action", {"os-stop": None}),
    ):
        answer = rita.call(method, path, json=body)
        assert answer.status_code == 403
        assert "role" in answer.json["forbidden"]["message"]  # type: ignore[index]
    assert rita.get(f"{SERVERS}/{row['id']}").status_code == 200
    assert nobody.rapi.calls == []
