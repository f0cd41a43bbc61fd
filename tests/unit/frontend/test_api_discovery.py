"""Version documents: for everybody, with and without a slash at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from frontend.settings import Front
from tests.unit.frontend.conftest import COMPUTE, MINE, Api, FakeRapi, serve

DOCUMENTS = {
    "/identity": 300,
    "/identity/v3": 200,
    "/compute": 200,
    "/compute/v2": 200,
    "/compute/v2.1": 200,
    "/image": 300,
    "/network": 200,
    "/network/v2.0": 200,
    "/volume": 300,
    "/volume/v3": 200,
}


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("path", "status"), DOCUMENTS.items())
@pytest.mark.parametrize("token", [None, "garbled"])
def test_document_needs_no_token(nobody: Api, path: str, status: int, slash: str, token: str | None) -> None:
    nobody.token = token
    answer = nobody.get(path + slash)
    assert answer.status_code == status
    assert answer.json


def versions(api: Api, path: str) -> list[dict[str, Any]]:
    found: Any = api.get(path).json["versions"]  # type: ignore[index]
    return found["values"] if isinstance(found, dict) else found  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", ["/identity", "/compute", "/image", "/network", "/volume"])
def test_every_self_link_can_be_fetched(nobody: Api, path: str) -> None:
    for version in versions(nobody, path):
        assert version["status"] in ("stable", "CURRENT", "SUPPORTED")
        (link,) = (each["href"] for each in version["links"] if each["rel"] == "self")
        assert link.startswith(f"http://localhost{path}/")
        if path != "/image":  # glance has no document of one version
            assert nobody.get(link).status_code == 200


def test_document_of_a_version_is_the_lists_own(nobody: Api) -> None:
    shown = nobody.get(COMPUTE).json["version"]  # type: ignore[index]
    assert shown == versions(nobody, "/compute")[1]
    assert (shown["min_version"], shown["version"]) == ("2.1", "2.26")
    assert versions(nobody, "/compute")[0]["id"] == "v2.0"


def test_document_of_block_storage(nobody: Api) -> None:
    (shown,) = versions(nobody, "/volume")
    assert versions(nobody, "/volume/v3/") == [shown]
    assert (shown["id"], shown["min_version"], shown["version"]) == ("v3.0", "3.0", "3.42")
    assert shown["media-types"]


def test_discovery_does_not_negotiate(nobody: Api) -> None:
    for path in (COMPUTE, f"{COMPUTE}/"):
        assert nobody.get(path, headers={"OpenStack-API-Version": "compute 2.96"}).status_code == 200


def test_catalog_is_built_from_the_host_that_was_asked(nobody: Api) -> None:
    answer = nobody.client.post(
        "/identity/v3/auth/tokens", json=password_body(), base_url="http://cloud.example:8080/"
    ).json
    urls = {each["type"]: each["endpoints"][0]["url"] for each in answer["token"]["catalog"]}  # type: ignore[index]
    assert urls == {
        "identity": "http://cloud.example:8080/identity",
        "compute": "http://cloud.example:8080/compute/v2.1",
        "image": "http://cloud.example:8080/image",
        "network": "http://cloud.example:8080/network",
        "volumev3": f"http://cloud.example:8080/volume/v3/{MINE}",
        "block-storage": f"http://cloud.example:8080/volume/v3/{MINE}",
    }


def test_public_url_beats_the_host(tmp_path: Path, rapi: FakeRapi) -> None:
    front = Front(database=f"sqlite:///{tmp_path}/x.db", secret_file=f"{tmp_path}/x", public_url="https://api.example/")
    api = serve(front, rapi)
    assert versions(api, "/identity")[0]["links"][0]["href"] == "https://api.example/identity/v3/"
    token = api.client.post("/identity/v3/auth/tokens", json=password_body()).json["token"]  # type: ignore[index]
    assert token["catalog"][1]["endpoints"][0]["url"] == "https://api.example/compute/v2.1"


def test_endpoints_have_what_clients_look_services_up_by(api: Api) -> None:
    for service in api.get("/identity/v3/auth/catalog").json["catalog"]:  # type: ignore[index]
        assert service["name"] in ("keystone", "nova", "glance", "neutron", "cinderv3", "cinder")
        (endpoint,) = service["endpoints"]
        assert endpoint["interface"] == "public"
        assert endpoint["region"] == endpoint["region_id"] == "RegionOne"


def password_body() -> dict[str, Any]:
    user = {"name": "alice", "domain": {"id": "default"}, "password": "correct horse"}
    return {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "mine", "domain": {"id": "default"}}},
        }
    }
