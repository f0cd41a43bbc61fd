"""What holds for every route: who may call it, and that reads never go to Ganeti."""

from __future__ import annotations

import shutil
import time
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import insert, update

from frontend.database import db
from frontend.network import groupview
from frontend.network.netview import default_group_id
from frontend.routes import ACCESS, ADMIN, MEMBER, OPEN, READER, ROUTES, USER
from frontend.settings import Front
from frontend.volume.volumeview import attachment_id
from tests.unit.frontend import strangers
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import ALICE, COMPUTE, FOREIGN, IMAGE, MINE, NET, SMALL, TINY, Api, FakeRapi, serve

GROUP = "0fffffff-0000-4000-8000-00000000000f"
NIC = {"network": "net1", "ip": "10.0.0.77", "ip6": None, "mac": "aa:00:00:00:00:77", "uuid": strangers.NIC}


class NoRapi:
    """Every use of it is a failure of the test."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a read used the remote API: {name}")


def furnish(api: Api) -> None:
    """A server of alice's, and one of each other thing that a URL may name."""
    row = api.server(metadata={"os_distro": "debian"}, facts={"label": "blue"})
    asked = {"server_id": row["id"], "action": "create", "user_id": ALICE, "project_id": MINE, "jobs": []}
    key = {"type": "ssh", "public_key": "ssh-ed25519 AAAA", "fingerprint": "00"}
    group = {"id": GROUP, "project_id": MINE, "user_id": ALICE, "name": "apart", "policy": "anti-affinity"}
    robot = {"id": "robot", "user_id": ALICE, "project_id": MINE, "name": "robot", "secret_hash": "x", "roles": []}
    with api.engine.begin() as connection:
        connection.execute(insert(db.application_credential).values(created=1.0, unrestricted=False, **robot))
        connection.execute(insert(db.request).values(id="req-1", began=1.0, **asked))
        connection.execute(insert(db.keypair).values(user_id=ALICE, name="laptop", created=1.0, **key))
        connection.execute(insert(db.server_group).values(created=1.0, **group))
        labels = ["ganeti-ext:label:blue", "ganeti-ext:label4:blue"]
        connection.execute(update(db.network).where(db.network.c.id == NET).values(tags=["nfdhcpd", *labels]))
        connection.execute(update(db.flavor).where(db.flavor.c.id == SMALL).values(extra_specs={"hint": "x"}))
        connection.execute(update(db.flavor).where(db.flavor.c.id == TINY).values(public=False))
        up = {"offline": False, "drained": False, "vm_capable": True}
        connection.execute(insert(db.node).values(name="node1", zone="default", updated=1.0, **up))
        connection.execute(insert(db.flavor_access).values(flavor_id=TINY, project_id=MINE))
        offer = {"id": strangers.TRANSFER, "volume_id": strangers.VOLUME, "project_id": MINE, "name": "offer"}
        connection.execute(insert(db.volume_transfer).values(**offer, key_hash="x", created=1.0))
        used = {"began": "a", "cpu_ns": 1, "memory_kib": 1, "read": 1, "written": 1, "nics": []}
        connection.execute(insert(db.sample).values(server_id=row["id"], at=time.time(), **used))
        said = {"project_id": MINE, "created": 1.0, "updated": 1.0}
        kept = {"id": strangers.FLOATING, "network": NET, "address": "10.0.0.9", "mac": "aa:00:00:00:00:09"}
        connection.execute(insert(db.port).values(**kept, **said, facts={"floating": True, "label": "blue"}))
        connection.execute(insert(db.port).values(id=row["nics"][0]["uuid"], **said, facts={"label": "blue"}))
    whose = {"project_id": MINE, "user_id": ALICE, "name": "data", "metadata": {"os_distro": "debian"}}
    held = {"server_id": row["id"], "device": "/dev/vdb", "attached": 1.0}
    strangers.add_volume(api.engine, strangers.VOLUME, **whose, **held)
    strangers.add_snapshot(api.engine, strangers.SNAPSHOT, volume_id=strangers.VOLUME, **whose)


class Made(NamedTuple):
    """A folder to copy, with a database and the secret that the tokens are signed with."""

    folder: Path
    tokens: dict[str, str | None]


class Strange(NamedTuple):
    """`bob` is of another project than the server `row`; `alice` is the token of one of its own."""

    api: Api
    row: dict[str, Any]
    bob: Api
    alice: str


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, seeded: Path) -> Made:
    """All that `furnish` puts in, and an administrator; who may call with which token."""
    folder = tmp_path_factory.mktemp("furnished")
    shutil.copy(seeded, folder / "front.db")
    api = serve(Front(database=f"sqlite:///{folder}/front.db", secret_file=f"{folder}/secret"), FakeRapi())
    furnish(api)
    unscoped, reader, member = api.become("alice", None), api.become("rita"), api.become("alice")
    tokens = {"unscoped": unscoped.token, "reader": reader.token, "member": member.token}
    tokens["admin"] = administrator(api).token
    api.engine.dispose()
    return Made(folder, tokens)


@pytest.fixture(scope="module")
def reading(furnished: Made, tmp_path_factory: pytest.TempPathFactory) -> Api:
    """One for all reads, which change nothing, and have nobody to ask."""
    return serve(copied(furnished, tmp_path_factory.mktemp("reading")), NoRapi())


@pytest.fixture(scope="module")
def asked(furnished: Made, tmp_path_factory: pytest.TempPathFactory) -> Api:
    """The API over a database with all that, which `whole` makes new."""
    return serve(copied(furnished, tmp_path_factory.mktemp("asked")), FakeRapi())


@pytest.fixture
def whole(asked: Api, furnished: Made) -> Api:
    """As it was made, whatever the test before has done to it."""
    asked.engine.dispose()
    shutil.copy(furnished.folder / "front.db", str(asked.engine.url.database))
    asked.rapi.calls.clear()
    return asked


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory, seeded: Path) -> Strange:
    """A server of the project's, a stranger to it, and the token of its owner."""
    folder = tmp_path_factory.mktemp("strange")
    shutil.copy(seeded, folder / "front.db")
    api = serve(Front(database=f"sqlite:///{folder}/front.db", secret_file=f"{folder}/secret"), FakeRapi())
    row = api.server(name="very-own-name", nics=[NIC])
    return Strange(api, row, api.become("bob", "foreign"), api.become("alice").token or "")


def copied(furnished: Made, folder: Path) -> Front:
    """The settings for a database of its own with all that."""
    shutil.copytree(furnished.folder, folder, dirs_exist_ok=True)
    return Front(database=f"sqlite:///{folder}/front.db", secret_file=f"{folder}/secret")


def bearing(api: Api, token: str | None) -> Api:
    """The API, called with this token."""
    other = Api(api.client, api.engine, api.rapi)
    other.token = token
    return other


def filled(api: Api, url: str) -> str:
    """The route's address with ids of things that there are."""
    server = api.rows()[0]
    ids = {
        "flavor_id": TINY if "os-flavor-access" in url else SMALL,
        "project_id": MINE,
        "user_id": ALICE,
        "domain_id": "default",
        "credential_id": "robot",
        "role_id": "member",
        "provider": "federation",
        "protocol": "openid",
        "server_id": server["id"],
        "image_id": IMAGE,
        "network_id": NET,
        "port_id": server["nics"][0]["uuid"],
        "floatingip_id": strangers.FLOATING,
        "group_id": default_group_id(MINE),
        "alias": "none",
        "keypair_name": "laptop",
        "server_group_id": GROUP,
        "spec": "volume_backend_name" if "/types/" in url else "hint",
        "extension": "os-keypairs",
        "key": "os_distro",
        "tag": "blue",
        "member_id": MINE,
        "network": "net1",
        "request_id": "req-1",
        "hypervisor_id": str(zlib.crc32(b"node1") & 0x7FFFFFFF),
        "pattern": "node",
        "tenant": MINE,
        "volume_id": strangers.VOLUME,
        "snapshot_id": strangers.SNAPSHOT,
        "transfer_id": strangers.TRANSFER,
        "attachment_id": attachment_id({"id": strangers.VOLUME, "server_id": server["id"]}),
        "absent_id": "absent",
        "type_id": "cow",
        "class_name": "default",
        "host_name": "ganeti@cow",
        "rule_id": groupview.group(MINE, "default", "unprotected")["security_group_rules"][0]["id"],
    }
    if "<subnet_id>" in url:
        ids["subnet_id"] = api.become("alice").get("/network/v2.0/subnets").json["subnets"][0]["id"]  # type: ignore[index]
    for name, value in ids.items():
        url = url.replace(f"<{name}>", value)
    assert "<" not in url
    return url


READS = [url for method, url, _, _ in ROUTES if method == "GET"]


@pytest.mark.parametrize("url", READS)
def test_reads_never_call_ganeti(reading: Api, furnished: Made, url: str) -> None:
    alice = bearing(reading, furnished.tokens["admin" if ACCESS[f"GET {url}"] == ADMIN else "member"])
    headers = {"X-Subject-Token": alice.token or "", "OpenStack-API-Version": "compute latest, volume latest"}
    answer = alice.get(filled(reading, url), headers=headers)
    # There is no consumer here: that is a fault of the health, and of nothing else.
    # Nor is there an image store; the image is public, and has no members, as the type is everybody's.
    unusual = {
        "<alias>": (404,),
        "health": (503,),
        "file": (503,),
        "<member_id>": (404,),
        "<absent_id>": (404,),
        "os-volume-type-access": (404,),
    }
    usual = (404,) if "OS-FEDERATION" in url else (200, 204, 300)  # there is no federation here
    usual = (501,) if "/manageable_" in url else usual
    assert answer.status_code in unusual.get(url.rpartition("/")[2], usual), answer.text


@pytest.mark.parametrize(("method", "url", "access"), [(method, url, access) for method, url, _, access in ROUTES])
def test_who_may_call(whole: Api, furnished: Made, method: str, url: str, access: str) -> None:
    nobody = whole
    path = filled(nobody, url)
    statuses = {"nobody": nobody.call(method, path).status_code}
    for who in ("unscoped", "reader", *(["member"] if access == ADMIN else [])):
        statuses[who] = bearing(nobody, furnished.tokens[who]).call(method, path).status_code
    barred = {name for name, status in statuses.items() if status in (401, 403)}
    assert (
        barred
        == {
            OPEN: set(),
            USER: {"nobody"},
            READER: {"nobody", "unscoped"},
            MEMBER: {"nobody", "unscoped", "reader"},
            ADMIN: {"nobody", "unscoped", "reader", "member"},
        }[access]
    )
    assert nobody.rapi.calls == []


@pytest.mark.parametrize("url", READS)
def test_stranger_sees_nothing_of_the_project(strange: Strange, url: str) -> None:
    row = strange.row
    answer = strange.bob.get(filled(strange.api, url), headers={"X-Subject-Token": strange.alice})
    for told in ("very-own-name", str(row["instance"]), MINE, "10.0.0.77", "aa:00:00:00:00:77"):
        assert told not in answer.text.replace(answer.request.path, "").replace(f"project: {MINE}", "")
    # An id that the stranger wrote himself may come back in the words that refuse it.
    assert answer.text.count(row["id"]) <= (answer.status_code == 404)


def test_flavors(api: Api) -> None:
    def names(path: str) -> list[str]:
        return [each["name"] for each in api.get(f"{COMPUTE}/{path}").json["flavors"]]  # type: ignore[index]

    assert names("flavors/detail?is_public=None") == ["tiny", "huge", "small"]
    assert names("flavors?minRam=512") == ["huge", "small"]
    assert names("flavors?minDisk=6") == []
    assert names("flavors/detail?is_public=False") == []
    assert names("flavors?limit=1") == ["tiny"]
    page = api.get(f"{COMPUTE}/flavors?limit=1").json
    assert page is not None
    following = api.get(page["flavors_links"][0]["href"])
    assert [each["name"] for each in following.json["flavors"]] == ["huge"]  # type: ignore[index]
    shown = api.get(f"{COMPUTE}/flavors/{SMALL}").json["flavor"]  # type: ignore[index]
    assert (shown["vcpus"], shown["ram"], shown["disk"], shown["swap"]) == (1, 512, 5, "")
    assert shown["links"][0]["href"].endswith(f"/flavors/{SMALL}")
    assert api.get(f"{COMPUTE}/flavors/{SMALL}/os-extra_specs").json == {"extra_specs": {}}
    assert api.get(f"{COMPUTE}/flavors?marker=none").status_code == 400


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", True),
        ("?name=debian", True),
        ("?name=debia", False),
        (f"?id=in:{IMAGE},other", True),
        ("?id=in:other", False),
        ("?status=active", True),
        ("?status=queued", False),
        ("?visibility=public", True),
        ("?visibility=private", False),
        ("?os_hidden=True", False),
        ("?os_hidden=false", True),
        ("?size_min=1", True),
        ("?size_max=1", False),
        ("?size_max=999999999999", True),
        ("?tag=x", False),
        ("?limit=0", False),
        (f"?owner={FOREIGN}", False),
    ],
)
def test_image_filters(api: Api, query: str, found: bool) -> None:
    answer = api.get(f"/image/v2/images{query}")
    assert [each["id"] for each in answer.json["images"]] == ([IMAGE] if found else [])  # type: ignore[index]
    assert "next" not in (answer.json or {})


def test_image(api: Api, nobody: Api) -> None:
    shown = api.get(f"/image/v2/images/{IMAGE}").json
    assert shown is not None
    assert (shown["name"], shown["status"], shown["visibility"]) == ("debian", "active", "public")
    assert (shown["size"], shown["min_disk"], shown["min_ram"], shown["disk_format"]) == (2 << 30, 3, 256, "raw")
    assert shown["os_distro"] == "debian"
    assert shown["created_at"].endswith("Z")
    bob = nobody.become("bob", "foreign")
    assert len(bob.get("/image/v2/images").json["images"]) == 2  # type: ignore[index]
    first = bob.get("/image/v2/images?limit=1").json
    assert first is not None
    assert first["next"].startswith("/v2/images?")
    second = bob.get("/image" + first["next"]).json
    assert second is not None
    assert {first["images"][0]["id"], second["images"][0]["id"]} == {
        each["id"]
        for each in bob.get("/image/v2/images").json["images"]  # type: ignore[index]
    }


def test_networks(api: Api) -> None:
    def get(path: str) -> Any:
        return api.get(f"/network/v2.0/{path}").json

    (network,) = get("networks")["networks"]
    assert (network["id"], network["name"], network["status"]) == (NET, "net1", "ACTIVE")
    assert get(f"networks/{NET}") == {"network": network}
    assert get("networks?name=net1&status=ACTIVE&shared=True")["networks"] == [network]
    assert get("networks?name=net")["networks"] == []
    assert get("networks?router:external=True")["networks"] == []
    assert get("networks?fields=id&fields=name")["networks"] == [{"id": NET, "name": "net1"}]
    four, six = get("subnets")["subnets"]
    assert network["subnets"] == [four["id"], six["id"]]
    assert (four["cidr"], four["gateway_ip"], four["ip_version"]) == ("10.0.0.0/24", "10.0.0.1", 4)
    assert four["enable_dhcp"] is True
    assert (six["cidr"], six["gateway_ip"], six["ip_version"]) == ("fd00::/64", None, 6)
    assert four["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    assert four["dns_nameservers"] == four["host_routes"] == []
    assert get(f"subnets/{six['id']}")["subnet"] == six
    assert get("subnets?ip_version=6")["subnets"] == [six]
    for empty in ("floatingips", "routers"):
        assert get(empty) == {empty: []}


def test_the_default_security_group(api: Api, nobody: Api) -> None:
    (group,) = api.get("/network/v2.0/security-groups?name=default").json["security_groups"]  # type: ignore[index]
    query = f"security_group_id={group['id']}"  # the profiles have rules, too
    rules = api.get(f"/network/v2.0/security-group-rules?{query}").json["security_group_rules"]  # type: ignore[index]
    assert group["security_group_rules"] == rules
    assert len({rule["id"] for rule in rules}) == 4
    assert api.get(f"/network/v2.0/security-groups/{group['id']}").json == {"security_group": group}
    bob = nobody.become("bob", "foreign")
    assert bob.get(f"/network/v2.0/security-groups/{group['id']}").status_code == 404
