"""Tokens: who gets one, what it says, when it ends."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from werkzeug.security import generate_password_hash

from frontend.database import db
from frontend.identity import tokens
from frontend.identity.tokens import Proof
from frontend.settings import Front
from frontend.web.fault import Unauthorized
from ganeti_ext.errors import ConfigError
from tests.unit.frontend.conftest import ALICE, BOB, COMPUTE, FOREIGN, MINE, PASSWORD, Api, FakeRapi, serve

TOKENS = "/identity/v3/auth/tokens"


def test_token_says_who_where_and_until_when(nobody: Api) -> None:
    answer = nobody.login("alice", "mine")
    assert answer.status_code == 201
    assert answer.headers["X-Subject-Token"]
    token = answer.json["token"]  # type: ignore[index]
    assert token["user"] == {
        "id": ALICE,
        "name": "alice",
        "domain": {"id": "default", "name": "Default"},
        "password_expires_at": None,
    }
    assert token["project"] == {"id": MINE, "name": "mine", "domain": {"id": "default", "name": "Default"}}
    assert token["roles"] == [{"id": "member", "name": "member"}]
    assert token["methods"] == ["password"]
    types = {service["type"] for service in token["catalog"]}
    assert types == {"identity", "compute", "image", "network", "volumev3", "block-storage"}
    issued, expires = (parsed(token[key]) for key in ("issued_at", "expires_at"))
    assert expires - issued == 12 * 3600


def parsed(stamp: str) -> float:
    return time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%S.000000Z"))


@pytest.mark.parametrize(
    ("user", "project", "password"),
    [
        ("alice", "mine", "wrong"),
        ("nobody", "mine", PASSWORD),
        ("eve", "mine", PASSWORD),  # disabled
        ("bob", "mine", PASSWORD),  # no role there
        ("alice", "nothing", PASSWORD),
    ],
)
def test_no_token_and_the_same_words_whatever_is_wrong(nobody: Api, user: str, project: str, password: str) -> None:
    answer = nobody.login(user, project, password)
    assert answer.status_code == 401
    assert answer.json == {
        "error": {
            "code": 401,
            "message": "The request you have made requires authentication.",
            "title": "Unauthorized",
        }
    }
    assert "X-Subject-Token" not in answer.headers
    assert answer.headers["WWW-Authenticate"] == 'Keystone uri="http://localhost/identity"'


def test_unknown_user_costs_a_comparison_too(nobody: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def compare(hashed: str, _: str) -> bool:
        compared.append(hashed)
        return False

    monkeypatch.setattr("frontend.identity.accounts.check_password_hash", compare)
    for name in ("alice", "nobody", "eve"):
        nobody.login(name, "mine")
    assert len(compared) == 3
    dummy = nobody.client.application.extensions["ganeti-ext"].dummy_hash
    assert compared[1] == dummy
    # Of the method that passwords get by default, hence of their cost.
    assert dummy.split("$")[0] == generate_password_hash("x").split("$")[0]


def auth(identity: dict[str, Any], scope: Any = None) -> dict[str, Any]:
    return {"auth": {"identity": identity, **({"scope": scope} if scope is not None else {})}}


def password(user: dict[str, Any]) -> dict[str, Any]:
    return {"methods": ["password"], "password": {"user": user}}


@pytest.mark.parametrize(
    ("user", "scope", "status"),
    [
        ({"id": ALICE, "password": PASSWORD}, {"project": {"id": MINE}}, 201),
        ({"name": "alice", "domain": {"name": "Default"}, "password": PASSWORD}, {"project": {"id": MINE}}, 201),
        ({"name": "alice", "domain": {"name": "other"}, "password": PASSWORD}, {"project": {"id": MINE}}, 401),
        ({"id": ALICE, "password": PASSWORD}, {"project": {"name": "mine", "domain": {"id": "x"}}}, 401),
        ({"id": ALICE, "password": PASSWORD}, {"project": {"id": FOREIGN}}, 401),
        ({"id": ALICE, "password": PASSWORD}, {"domain": {"id": "default"}}, 401),
        ({"id": ALICE, "password": PASSWORD}, {"system": {"all": True}}, 401),
        ({"id": ALICE, "password": PASSWORD}, None, 201),
        ({"id": ALICE, "password": PASSWORD}, {"project": {}}, 401),
        ({"id": ALICE, "password": 7}, None, 400),
        ({"password": PASSWORD}, None, 400),
        ({"name": ["alice"], "password": PASSWORD}, None, 400),
    ],
)
def test_ways_to_say_who_and_where(nobody: Api, user: dict[str, Any], scope: Any, status: int) -> None:
    assert nobody.client.post(TOKENS, json=auth(password(user), scope)).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"auth": []},
        {"auth": {}},
        {"auth": {"identity": {"methods": ["password"]}}},
        {"auth": {"identity": {"methods": "password"}}},
        {"auth": {"identity": {"methods": ["totp"], "totp": {}}}},
        {"auth": {"identity": {"methods": [{}]}}},
    ],
)
def test_bodies_that_are_none(nobody: Api, body: dict[str, Any]) -> None:
    answer = nobody.client.post(TOKENS, json=body)
    assert answer.status_code == 400
    assert answer.json["error"]["message"]  # type: ignore[index]


def test_unscoped_token_sees_projects_and_no_servers(nobody: Api) -> None:
    free = nobody.become("alice", None)
    assert [each["id"] for each in free.get("/identity/v3/auth/projects").json["projects"]] == [MINE]  # type: ignore[index]
    assert free.get(f"{COMPUTE}/servers").status_code == 403
    answer = free.get(TOKENS, headers={"X-Subject-Token": free.token or ""})
    assert "project" not in answer.json["token"]  # type: ignore[index]


def test_token_for_a_token_ends_no_later(nobody: Api) -> None:
    free = nobody.become("alice", None)
    signer = nobody.client.application.extensions["ganeti-ext"].signer
    first = signer.read(free.token)
    body = auth({"methods": ["token"], "token": {"id": free.token}}, {"project": {"id": MINE}})
    answer = nobody.client.post(TOKENS, json=body)
    assert answer.status_code == 201
    second = signer.read(answer.headers["X-Subject-Token"])
    assert second.project_id == MINE
    assert second.expires <= first.expires
    assert second.methods == ("password", "token")
    late = signer.issue(Proof(ALICE, first.mark, ("token",), until=int(time.time()) + 5), MINE)[1]
    assert late.expires - late.issued <= 5


def test_garbled_token_gets_no_token(nobody: Api) -> None:
    body = auth({"methods": ["token"], "token": {"id": "garbled"}}, {"project": {"id": MINE}})
    assert nobody.client.post(TOKENS, json=body).status_code == 401


def test_show_and_delete_own_token(api: Api) -> None:
    headers = {"X-Subject-Token": api.token or ""}
    shown = api.get(TOKENS, headers=headers)
    assert shown.status_code == 200
    assert shown.headers["X-Subject-Token"] == api.token
    assert shown.json["token"]["project"]["id"] == MINE  # type: ignore[index]
    assert api.call("HEAD", TOKENS, headers=headers).status_code == 200
    assert api.call("DELETE", TOKENS, headers=headers).status_code == 204
    assert api.get(TOKENS, headers=headers).status_code == 401


def test_a_token_that_was_taken_back_is_no_more_and_others_are(api: Api, nobody: Api) -> None:
    other = nobody.become("alice")
    for _ in range(2):  # the second time it is not there
        answer = other.call("DELETE", TOKENS, headers={"X-Subject-Token": api.token or ""})
    assert answer.status_code == 404
    for method, path in (("GET", f"{COMPUTE}/servers"), ("GET", "/identity/v3/auth/projects")):
        assert api.call(method, path).status_code == 401
        assert other.call(method, path).status_code == 200
    body = auth({"methods": ["token"], "token": {"id": api.token}})
    assert nobody.client.post(TOKENS, json=body).status_code == 401


def test_what_was_taken_back_is_forgotten_when_it_would_have_ended(
    api: Api, nobody: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.call("DELETE", TOKENS, headers={"X-Subject-Token": api.token or ""})
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 13 * 3600)
    late = nobody.become("alice")
    assert late.call("DELETE", TOKENS, headers={"X-Subject-Token": late.token or ""}).status_code == 204
    with api.engine.connect() as connection:
        kept = [row["expires"] for row in db.rows(connection, select(db.revocation))]
    assert len(kept) == 1
    assert kept[0] > now + 24 * 3600


def test_others_tokens_are_not_found(api: Api, nobody: Api) -> None:
    other = nobody.become("bob", "foreign")
    for subject in (other.token or "", "garbled"):
        for method in ("GET", "DELETE"):
            answer = api.call(method, TOKENS, headers={"X-Subject-Token": subject})
            assert answer.status_code == 404
    assert api.get(TOKENS).status_code == 404


@pytest.mark.parametrize("token", [None, "", "garbled", "a.b.c", "é", "x" * 5000])
def test_no_entry_without_a_token(nobody: Api, token: str | None) -> None:
    nobody.token = token
    answer = nobody.get(f"{COMPUTE}/servers")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


def test_every_changed_character_ends_the_token(api: Api, nobody: Api) -> None:
    good = api.token or ""
    for place in range(0, len(good) - 1, 7):
        nobody.token = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
        assert nobody.get(f"{COMPUTE}/flavors").status_code == 401


def test_token_is_over_after_its_hours(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api.get(f"{COMPUTE}/flavors").status_code == 200
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 12 * 3600 + 1)
    assert api.get(f"{COMPUTE}/flavors").status_code == 401


def test_token_ends_with_the_user_his_password_or_his_role(api: Api, nobody: Api) -> None:
    for change in (
        update(db.user).where(db.user.c.id == ALICE).values(enabled=False),
        update(db.user).where(db.user.c.id == ALICE).values(enabled=True, password_hash="pbkdf2:sha256:1$new$00"),
    ):
        with api.engine.begin() as connection:
            connection.execute(change)
        assert api.get(f"{COMPUTE}/servers").status_code == 401
    bob = nobody.become("bob", "foreign")
    with api.engine.begin() as connection:
        connection.execute(delete(db.membership).where(db.membership.c.user_id == BOB))
    assert bob.get(f"{COMPUTE}/servers").status_code == 401


def test_projects_users_and_the_domain(api: Api) -> None:
    def names(path: str) -> list[str]:
        return [each["name"] for each in api.get(path).json["projects"]]  # type: ignore[index]

    assert names("/identity/v3/projects") == ["mine"]
    assert names("/identity/v3/projects?name=mine") == ["mine"]
    assert names("/identity/v3/projects?name=foreign") == []
    assert names(f"/identity/v3/users/{ALICE}/projects") == ["mine"]
    assert api.get(f"/identity/v3/users/{BOB}/projects").status_code == 404
    assert api.get(f"/identity/v3/users/{BOB}").status_code == 404
    assert api.get(f"/identity/v3/users/{ALICE}").json["user"]["name"] == "alice"  # type: ignore[index]
    assert api.get(f"/identity/v3/projects/{MINE}").json["project"]["name"] == "mine"  # type: ignore[index]
    foreign, unknown = (api.get(f"/identity/v3/projects/{ident}") for ident in (FOREIGN, "x" * 36))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.text.replace(FOREIGN, "") == unknown.text.replace("x" * 36, "")
    assert api.get("/identity/v3/domains/default").json["domain"]["name"] == "Default"  # type: ignore[index]
    assert api.get("/identity/v3/domains/other").status_code == 404


def test_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    found: list[str] = []
    start = threading.Barrier(8)

    def load() -> None:
        start.wait()
        found.append(tokens.load_secret(str(path)))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["secret"]


def test_secret_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("x" * 64)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="mode 0640"):
        tokens.load_secret(str(path))
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(ConfigError, match="5 characters"):
        tokens.load_secret(str(path))
    with pytest.raises(ConfigError, match="nowhere"):
        tokens.load_secret(str(tmp_path / "nowhere" / "secret"))


def test_token_of_another_secret() -> None:
    text = tokens.Signer("a" * 32, 1).issue(Proof("u", "m", ("password",)), None)[0]
    with pytest.raises(Unauthorized):
        tokens.Signer("b" * 32, 1).read(text)


def test_workers_read_each_others_tokens(front: Front, rapi: FakeRapi) -> None:
    one, two = serve(front, rapi), serve(front, rapi)
    two.token = one.become("alice").token
    assert two.get(f"{COMPUTE}/servers").status_code == 200
