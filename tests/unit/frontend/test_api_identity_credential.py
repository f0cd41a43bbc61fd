"""Application credentials: made, shown, used, ended."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from werkzeug.test import TestResponse

from frontend.database import db
from frontend.identity import appcred
from tests.unit.frontend.conftest import ALICE, BOB, COMPUTE, FOREIGN, MINE, PASSWORD, Api

MINE_ALL = f"/identity/v3/users/{ALICE}/application_credentials"
TOKENS = "/identity/v3/auth/tokens"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontend.identity.appcred.generate_password_hash", _cheap)


def _cheap(secret: str) -> str:
    from werkzeug.security import generate_password_hash  # noqa: PLC0415

    return generate_password_hash(secret, "pbkdf2:sha256:1")


def make(api: Api, **wish: Any) -> dict[str, Any]:
    answer = api.call("POST", MINE_ALL, json={"application_credential": {"name": "robot", **wish}})
    assert answer.status_code == 201, answer.text
    return answer.json["application_credential"]  # type: ignore[index,no-any-return]


def login(api: Api, said: dict[str, Any], scope: Any = None) -> TestResponse:
    auth: dict[str, Any] = {"identity": {"methods": ["application_credential"], "application_credential": said}}
    if scope is not None:
        auth["scope"] = scope
    return api.client.post(TOKENS, json={"auth": auth})


def use(api: Api, made: dict[str, Any]) -> Api:
    answer = login(api, {"id": made["id"], "secret": made["secret"]})
    assert answer.status_code == 201, answer.text
    other = Api(api.client, api.engine, api.rapi)
    other.token = answer.headers["X-Subject-Token"]
    return other


def test_the_secret_is_told_once_and_kept_nowhere(api: Api) -> None:
    made = make(api)
    assert len(made["secret"]) >= 43
    shown = api.get(f"{MINE_ALL}/{made['id']}").json["application_credential"]  # type: ignore[index]
    assert shown == {key: value for key, value in made.items() if key != "secret"}
    assert made["secret"] not in api.get(MINE_ALL).text
    with api.engine.connect() as connection:
        assert made["secret"] not in str(db.rows(connection, select(db.application_credential)))
    assert shown == {
        "id": made["id"],
        "name": "robot",
        "description": None,
        "user_id": ALICE,
        "project_id": MINE,
        "system": None,
        "roles": [{"id": "member", "name": "member", "domain_id": None}],
        "unrestricted": False,
        "expires_at": None,
        "links": {"self": f"http://localhost{MINE_ALL}/{made['id']}"},
    }


def test_what_openstackclient_sends_for_nothing_is_nothing(api: Api) -> None:
    made = make(api, roles=[], secret=None, access_rules=[], expires_at=None, description=None, unrestricted=False)
    assert made["secret"]
    assert [role["name"] for role in made["roles"]] == ["member"]


@pytest.mark.parametrize("user", [{"id": ALICE}, {"name": "alice", "domain": {"id": "default"}}])
def test_a_token_by_id_or_by_name(api: Api, user: dict[str, Any]) -> None:
    made = make(api, secret="my own secret")
    for said in ({"id": made["id"]}, {"name": "robot", "user": user}):
        answer = login(api, {**said, "secret": "my own secret"})
        assert answer.status_code == 201
        token = answer.json["token"]  # type: ignore[index]
        assert token["project"]["id"] == MINE
        assert token["methods"] == ["application_credential"]
        assert token["application_credential"] == {"id": made["id"], "name": "robot", "restricted": True}
        assert token["catalog"]
    assert use(api, made).get(f"{COMPUTE}/servers").status_code == 200


def test_no_token_whatever_is_wrong(api: Api) -> None:
    made = make(api)
    for said, status in (
        ({"id": made["id"], "secret": "wrong"}, 401),
        ({"id": "x" * 32, "secret": made["secret"]}, 401),
        ({"name": "robot", "user": {"id": BOB}, "secret": made["secret"]}, 401),
        ({"name": "other", "user": {"id": ALICE}, "secret": made["secret"]}, 401),
        ({"name": "robot", "secret": made["secret"]}, 400),
        ({"id": made["id"]}, 400),
        ({"id": made["id"], "secret": 7}, 400),
    ):
        assert login(api, said).status_code == status, said
    ident = {"id": made["id"], "secret": made["secret"]}
    assert login(api, ident, {"project": {"id": FOREIGN}}).status_code == 401
    assert login(api, ident, {"project": {"id": MINE}}).status_code == 201


def test_it_is_for_its_project_alone(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(insert(db.membership).values(user_id=ALICE, project_id=FOREIGN, role="member"))
    made = make(api)
    robot = use(api, made)
    for scope, status in (({"project": {"id": FOREIGN}}, 401), ({"project": {"id": MINE}}, 201), (None, 201)):
        auth: dict[str, Any] = {"identity": {"methods": ["token"], "token": {"id": robot.token}}}
        answer = api.client.post(TOKENS, json={"auth": {**auth, **({"scope": scope} if scope else {})}})
        assert answer.status_code == status
        if status == 201:
            token = answer.json["token"]  # type: ignore[index]
            assert token["project"]["id"] == MINE
            assert token["methods"] == ["application_credential", "token"]
            assert token["application_credential"]["id"] == made["id"]


def test_its_roles_are_some_of_the_users_and_are_lost_with_them(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(insert(db.membership).values(user_id=ALICE, project_id=MINE, role="reader"))
    reader = use(api, make(api, roles=[{"name": "reader"}]))
    assert reader.get(f"{COMPUTE}/servers").status_code == 200
    assert reader.call("POST", f"{COMPUTE}/servers", json={}).status_code == 403
    assert [role["name"] for role in make(api, name="by id", roles=[{"id": "member"}])["roles"]] == ["member"]
    both = make(api, name="both")
    assert [role["name"] for role in both["roles"]] == ["member", "reader"]
    with api.engine.begin() as connection:
        connection.execute(delete(db.membership).where(db.membership.c.role == "reader"))
    assert reader.get(f"{COMPUTE}/servers").status_code == 401
    assert use(api, both).get(f"{COMPUTE}/servers").status_code == 200


@pytest.mark.parametrize(
    ("wish", "named"),
    [
        ({"roles": [{"name": "admin"}]}, "'admin'"),
        ({"roles": [{}]}, "roles"),
        ({"roles": ["member"]}, "roles"),
        ({"roles": "member"}, "roles"),
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"secret": 7}, "secret"),
        ({"secret": "x" * 5000}, "secret"),
        ({"description": ["x"]}, "description"),
        ({"unrestricted": "yes"}, "unrestricted"),
        ({"access_rules": [{"path": "/", "method": "GET", "service": "compute"}]}, "access_rules"),
        ({"expires_at": "tomorrow"}, "tomorrow"),
        ({"expires_at": "2020-01-01T00:00:00"}, "has passed"),
        ({"expires_at": 7}, "expires_at"),
    ],
)
def test_wishes_that_are_refused_by_name(api: Api, wish: dict[str, Any], named: str) -> None:
    answer = api.call("POST", MINE_ALL, json={"application_credential": {"name": "robot", **wish}})
    assert answer.status_code == 400
    assert named in answer.json["error"]["message"]  # type: ignore[index]
    assert api.get(MINE_ALL).json["application_credentials"] == []  # type: ignore[index]


def test_names_are_a_users_own(api: Api, nobody: Api) -> None:
    make(api)
    again = api.call("POST", MINE_ALL, json={"application_credential": {"name": "robot"}})
    assert again.status_code == 409
    bob = nobody.become("bob", "foreign")
    path = f"/identity/v3/users/{BOB}/application_credentials"
    assert bob.call("POST", path, json={"application_credential": {"name": "robot"}}).status_code == 201


def test_lists_by_name(api: Api) -> None:
    make(api)
    make(api, name="second")
    found = api.get(MINE_ALL).json
    assert [each["name"] for each in found["application_credentials"]] == ["robot", "second"]  # type: ignore[index]
    assert set(found["links"]) == {"self", "next", "previous"}  # type: ignore[index]
    for name, count in (("second", 1), ("third", 0)):
        assert len(api.get(f"{MINE_ALL}?name={name}").json["application_credentials"]) == count  # type: ignore[index]


def test_no_more_than_there_may_be(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appcred, "MOST", 1)
    make(api)
    answer = api.call("POST", MINE_ALL, json={"application_credential": {"name": "second"}})
    assert answer.status_code == 403


@pytest.mark.parametrize("zone", ["", "Z", "+02:00"])
def test_it_ends_when_it_was_to_end_and_its_tokens_too(api: Api, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    end = datetime.now(UTC) + timedelta(hours=1)
    said = (end + timedelta(hours=2 if zone == "+02:00" else 0)).replace(tzinfo=None).isoformat() + zone
    made = make(api, expires_at=said)
    assert made["expires_at"] == end.replace(tzinfo=None).isoformat(timespec="microseconds")
    robot = use(api, made)
    assert robot.get(f"{COMPUTE}/servers").status_code == 200
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3601)
    assert robot.get(f"{COMPUTE}/servers").status_code == 401
    assert login(api, {"id": made["id"], "secret": made["secret"]}).status_code == 401


def test_its_tokens_end_with_it_and_outlive_a_new_password(api: Api) -> None:
    made = make(api)
    robot = use(api, made)
    with api.engine.begin() as connection:
        connection.execute(update(db.user).where(db.user.c.id == ALICE).values(password_hash=_cheap("new")))
    assert robot.get(f"{COMPUTE}/servers").status_code == 200
    again = Api(api.client, api.engine, api.rapi)
    again.token = again.login("alice", "mine", "new").headers["X-Subject-Token"]
    assert again.call("DELETE", f"{MINE_ALL}/{made['id']}").status_code == 204
    assert robot.get(f"{COMPUTE}/servers").status_code == 401
    assert again.get(f"{MINE_ALL}/{made['id']}").status_code == 404
    assert login(api, {"id": made["id"], "secret": made["secret"]}).status_code == 401


def test_its_tokens_end_with_the_user(api: Api) -> None:
    made = make(api)
    robot = use(api, made)
    with api.engine.begin() as connection:
        connection.execute(update(db.user).where(db.user.c.id == ALICE).values(enabled=False))
    assert robot.get(f"{COMPUTE}/servers").status_code == 401
    assert login(api, {"id": made["id"], "secret": made["secret"]}).status_code == 401


def test_a_restricted_one_manages_no_others(api: Api) -> None:
    made = make(api)
    robot = use(api, made)
    wish = {"application_credential": {"name": "more"}}
    assert robot.call("POST", MINE_ALL, json=wish).status_code == 403
    assert robot.call("DELETE", f"{MINE_ALL}/{made['id']}").status_code == 403
    assert robot.get(MINE_ALL).status_code == 200
    free = use(api, make(api, name="free", unrestricted=True))
    assert free.call("POST", MINE_ALL, json=wish).status_code == 201
    assert free.call("DELETE", f"{MINE_ALL}/{made['id']}").status_code == 204


def test_none_without_a_project(nobody: Api) -> None:
    free = nobody.become("alice", None)
    assert free.call("POST", MINE_ALL, json={"application_credential": {"name": "x"}}).status_code == 403
    assert free.get(MINE_ALL).status_code == 200


def test_others_are_not_there(api: Api, nobody: Api) -> None:
    made = make(api)
    bob = nobody.become("bob", "foreign")
    own = f"/identity/v3/users/{BOB}/application_credentials"
    for method, path in (
        ("GET", MINE_ALL),
        ("GET", f"{MINE_ALL}/{made['id']}"),
        ("DELETE", f"{MINE_ALL}/{made['id']}"),
        ("GET", f"{own}/{made['id']}"),
        ("DELETE", f"{own}/{made['id']}"),
    ):
        assert bob.call(method, path).status_code == 404
    assert bob.call("POST", MINE_ALL, json={"application_credential": {"name": "x"}}).status_code == 404
    assert use(api, made).get(f"{COMPUTE}/servers").status_code == 200


def test_an_admin_sees_and_ends_everybodys(api: Api, nobody: Api) -> None:
    made = make(api)
    with api.engine.begin() as connection:
        connection.execute(insert(db.membership).values(user_id=BOB, project_id=FOREIGN, role="admin"))
    admin = nobody.become("bob", "foreign")
    assert admin.get(MINE_ALL).json["application_credentials"][0]["id"] == made["id"]  # type: ignore[index]
    assert admin.call("POST", MINE_ALL, json={"application_credential": {"name": "x"}}).status_code == 404
    assert admin.call("DELETE", f"{MINE_ALL}/{made['id']}").status_code == 204


def test_password_still_logs_in(api: Api) -> None:
    make(api)
    assert api.login("alice", "mine", PASSWORD).status_code == 201
