"""POST /servers: what is told to the guest, and what nobody else hears of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import insert

from frontend.compute import seeding
from frontend.database import db
from frontend.database.vault import Vault
from frontend.settings import Front
from ganeti_ext import seed, tags
from tests.unit.frontend.conftest import ALICE, BOB, Api, FakeRapi, serve
from tests.unit.frontend.test_api_create import SERVERS, refused, wish

USER_DATA = base64.b64encode(b"#cloud-config\nhush-data").decode()
FILES = [{"path": "/etc/motd", "contents": base64.b64encode(b"hush-file").decode()}, {"path": "a", "contents": ""}]
TOLD: Mapping[str, Any] = {
    "key_name": "laptop",
    "user_data": USER_DATA,
    "personality": FILES,
    "adminPass": "hush-pass",
    "config_drive": True,
}


@pytest.fixture(autouse=True)
def keys(api: Api) -> None:
    with api.engine.begin() as connection:
        for user, name in ((ALICE, "laptop"), (BOB, "bobs")):
            row = {"type": "ssh", "public_key": f"ssh-ed25519 AAAA {name}", "fingerprint": "f", "created": 1.0}
            connection.execute(insert(db.keypair).values(user_id=user, name=name, **row))


def told(api: Api, **asked: Any) -> dict[str, Any]:
    """The seed of a new server."""
    answer = api.call("POST", SERVERS, json=wish(**asked))
    assert answer.status_code == 202, answer.text
    return seed.decode(api.rapi.calls[-1][2]["osparams_secret"]["seed"])


def test_all_that_a_guest_can_be_told(api: Api) -> None:
    found = told(api, name="Wéb 1", **TOLD)
    (row,) = api.rows()
    assert found == {
        "host": "w-b-1",
        "id": row["id"],
        "key": vault(api).seed_key(row["id"]),
        "keys": ["ssh-ed25519 AAAA laptop"],
        "password": "hush-pass",
        "files": [["/etc/motd", FILES[0]["contents"]], ["/a", ""]],
        "user_data": USER_DATA,
    }
    assert (row["facts"]["key"], row["facts"]["config"]) == ("laptop", "1")
    facts = tags.decode(api.rapi.calls[0][2]["tags"])
    assert (facts["key"], facts["config"]) == ("laptop", "1")


def vault(api: Api) -> Vault:
    found: Vault = api.client.application.extensions["ganeti-ext"].vault
    return found


def test_secrets_stand_nowhere_but_in_the_secret_parameter(api: Api) -> None:
    answer = api.call("POST", SERVERS, json=wish(**TOLD))
    assert answer.json["server"]["adminPass"] == "hush-pass"  # type: ignore[index]
    body = dict(api.rapi.calls[0][2])
    body.pop("osparams_secret")
    with api.engine.connect() as connection:
        kept = {table.name: connection.execute(table.select()).fetchall() for table in db.metadata.sorted_tables}
    shown = api.get(f"{SERVERS}/detail").text
    for text in (json.dumps(body), repr(kept), shown):
        for secret in ("hush", USER_DATA, FILES[0]["contents"]):
            assert secret not in text


def test_a_password_is_made_for_who_gives_none(api: Api) -> None:
    passwords = []
    for given in (None, ""):
        answer = api.call("POST", SERVERS, json=wish(adminPass=given))
        password = answer.json["server"]["adminPass"]  # type: ignore[index]
        assert seed.decode(api.rapi.calls[-1][2]["osparams_secret"]["seed"])["password"] == password
        assert len(password) == 16
        assert password.isalnum()
        passwords.append(password)
    assert len(set(passwords)) == 2


@pytest.mark.parametrize(
    ("asked", "has_seed"),
    [
        ({}, False),
        ({"config_drive": "False", "personality": [], "user_data": "", "adminPass": ""}, False),
        *(({name: TOLD[name]}, True) for name in TOLD),
    ],
)
def test_where_only_those_have_a_disk_who_need_one(
    front: Front, rapi: FakeRapi, asked: dict[str, Any], has_seed: bool
) -> None:
    changed = Front(database=front.database, secret_file=front.secret_file, seed="needed")
    api = serve(changed, rapi).become("alice")
    answer = api.call("POST", SERVERS, json=wish(**asked))
    assert answer.status_code == 202
    body = rapi.calls[0][2]
    assert len(body["disks"]) == 1 + has_seed
    # Nobody is told a password that nobody sets.
    assert ("osparams_secret" in body, "adminPass" in answer.json["server"]) == (has_seed, has_seed)  # type: ignore[index]
    assert ("config" in api.rows()[0]["facts"]) == has_seed


def test_another_users_key_is_as_unknown_as_none(api: Api) -> None:
    texts = {refused(api, wish(key_name=name)).replace(name, "NAME") for name in ("bobs", "none")}
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"personality": [{"path": f"/{i}", "contents": ""} for i in range(6)]}, "6 files, at most 5"),
        ({"personality": [{"path": "/x", "contents": base64.b64encode(bytes(10241)).decode()}]}, "/x: 10241 octets"),
        ({"metadata": {str(number): "" for number in range(129)}}, "exceeds 128: 129"),
    ],
)
def test_more_than_nova_takes_is_forbidden(api: Api, changes: dict[str, Any], words: str) -> None:
    assert words in refused(api, wish(**changes), 403)


def test_facts_of_a_server(api: Api) -> None:
    asked = {
        "accessIPv4": "192.0.2.7",
        "accessIPv6": "::babe:202:202",
        "description": "my own",
        "OS-DCF:diskConfig": "AUTO",
    }
    headers = {"OpenStack-API-Version": "compute 2.19"}
    answer = api.call("POST", SERVERS, json=wish(**asked), headers=headers)
    assert answer.json["server"]["OS-DCF:diskConfig"] == "AUTO"  # type: ignore[index]
    (row,) = api.rows()
    given = {"ip4": "192.0.2.7", "ip6": "::babe:202:202", "description": "my own", "autodisk": "1"}
    assert row["facts"] == {**given, "config": "1"}
    assert api.call("POST", SERVERS, json=wish(description="old client")).status_code == 202
    assert "description" not in api.rows()[1]["facts"]


def test_a_change_is_opened_by_the_servers_own_seed_alone(api: Api) -> None:
    found = told(api, name="web")
    changed = seeding.update(vault(api), found["id"], {"password": "new", "host": "Näme"})
    assert seed.unseal(found["key"], changed["update"]) == {"password": "new", "host": "n-me"}
    other = told(api)
    with pytest.raises(ValueError, match="another key"):
        seed.unseal(other["key"], changed["update"])


def test_the_request_is_noted(api: Api) -> None:
    api.call("POST", SERVERS, json=wish(max_count=2))
    with api.engine.connect() as connection:
        rows = db.rows(connection, db.request.select())
    assert {(row["action"], row["server_id"], tuple(row["jobs"])) for row in rows} == {
        ("create", row["id"], (row["job"],)) for row in api.rows()
    }
