"""Identity on PostgreSQL: wrong passwords counted together, federated users, credentials, tokens taken back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.identity import attempts, federated
from frontend.identity.settings_identity import Federation
from frontend.settings import Front
from tests.contract.services import PostgreSql
from tests.unit.frontend.conftest import ALICE, COMPUTE, MINE, Api, FakeRapi, serve


@pytest.fixture
def api(postgresql: PostgreSql, tmp_path: Path) -> Iterator[Api]:
    made = serve(Front(database=postgresql.database(), secret_file=f"{tmp_path}/secret"), FakeRapi())
    yield made
    made.engine.dispose()


def rows(engine: Engine, table: Any) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return db.rows(connection, select(table))


def at_once(number: int, work: Any) -> None:
    start, errors = threading.Barrier(number), []

    def run() -> None:
        start.wait()
        try:
            work()
        except Exception as err:  # noqa: BLE001 (told below)
            errors.append(err)

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_no_guess_is_lost_and_the_last_one_locks(api: Api) -> None:
    locked: list[str] = []
    keys = [("user:x", 20), ("address:y", 1000)]

    def guess() -> None:
        for _ in range(5):
            locked.extend(attempts.count(api.engine, keys, 1000.0, 60.0))

    at_once(4, guess)
    found = {row["key"]: (row["count"], row["until"]) for row in rows(api.engine, db.attempt)}
    assert found == {"user:x": (20, 1060.0), "address:y": (20, None)}
    assert locked == ["user:x"]
    assert attempts.count(api.engine, keys, 1061.0, 60.0) == []
    assert {row["count"] for row in rows(api.engine, db.attempt)} == {1}


def test_a_users_first_logins_at_once_are_one_user(api: Api) -> None:
    wanted = frozenset({("mine", "member"), ("new", "reader")})
    settings = Federation(make_projects=True)
    at_once(4, lambda: federated.welcome(api.engine, settings, "ada", wanted, 1000.0))
    (ada,) = [row for row in rows(api.engine, db.user) if row["name"] == "ada"]
    held = [row for row in rows(api.engine, db.membership) if row["user_id"] == ada["id"]]
    assert sorted((row["role"], row["federated"]) for row in held) == [("member", True), ("reader", True)]


def test_a_credential_from_its_making_to_its_end(api: Api) -> None:
    alice = api.become("alice")
    path = f"/identity/v3/users/{ALICE}/application_credentials"
    made = alice.call("POST", path, json={"application_credential": {"name": "robot"}}).json["application_credential"]  # type: ignore[index]
    again = alice.call("POST", path, json={"application_credential": {"name": "robot"}})
    assert again.status_code == 409
    said = {"id": made["id"], "secret": made["secret"]}
    auth = {"identity": {"methods": ["application_credential"], "application_credential": said}}
    answer = api.client.post("/identity/v3/auth/tokens", json={"auth": auth})
    assert answer.json["token"]["project"]["id"] == MINE  # type: ignore[index]
    robot = Api(api.client, api.engine, api.rapi)
    robot.token = answer.headers["X-Subject-Token"]
    assert robot.get(f"{COMPUTE}/servers").status_code == 200
    assert robot.call("DELETE", "/identity/v3/auth/tokens", headers={"X-Subject-Token": robot.token}).status_code == 204
    assert robot.get(f"{COMPUTE}/servers").status_code == 401
    assert alice.call("DELETE", f"{path}/{made['id']}").status_code == 204
    assert rows(api.engine, db.application_credential) == []
