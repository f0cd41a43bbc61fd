"""Guesses of passwords: how many are looked at, whose, from where, and for how long."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from frontend.app import create_app
from frontend.database import db
from frontend.identity import accounts, attempts, lockout
from frontend.identity.settings_identity import Identity
from frontend.settings import Front, Settings
from frontend.web import context
from tests.unit.frontend.conftest import ALICE, COMPUTE, MINE, Api

TOKENS = "/identity/v3/auth/tokens"
LIMITS = Identity(attempts=3, address_attempts=8, attempt_minutes=10)


@pytest.fixture
def limits() -> Identity:
    return LIMITS


@pytest.fixture
def guessed(front: Front, rapi: Any, limits: Identity, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setattr("frontend.app._dummy_hash", lambda: generate_password_hash("x", "pbkdf2:sha256:1"))
    app = create_app(Settings(front=front, identity=limits), rapi)
    return Api(app.test_client(), app.extensions["ganeti-ext"].engine, rapi)


def say(api: Api, name: str, password: str, address: str | None = None) -> TestResponse:
    auth = {
        "identity": {"methods": ["password"], "password": {"user": {"name": name, "domain": {"id": "default"}}}},
        "scope": {"project": {"id": MINE}},
    }
    auth["identity"]["password"]["user"]["password"] = password  # type: ignore[index]
    headers = {"X-Forwarded-For": address} if address else {}
    return api.client.post(TOKENS, json={"auth": auth}, headers=headers)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + seconds)


def counted(api: Api) -> dict[str, int]:
    with api.engine.connect() as connection:
        return {row["key"]: row["count"] for row in db.rows(connection, select(db.attempt))}


RIGHT = "correct horse"


def test_a_user_is_locked_for_a_while_and_the_right_password_too(guessed: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    before = guessed.become("alice")
    for _ in range(3):
        assert say(guessed, "alice", "wrong").status_code == 401
    locked = say(guessed, "alice", RIGHT)
    assert locked.status_code == 401
    assert locked.json == say(guessed, "nobody", "x").json
    assert say(guessed, "rita", RIGHT).status_code == 201
    assert before.get(f"{COMPUTE}/servers").status_code == 200  # what was got before goes on
    later(monkeypatch, 10 * 60 - 60)
    assert say(guessed, "alice", RIGHT).status_code == 401
    later(monkeypatch, 120)
    assert say(guessed, "alice", RIGHT).status_code == 201


def test_a_locked_users_passwords_are_not_looked_at(guessed: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        say(guessed, "alice", "wrong")
    looked: list[Any] = []
    monkeypatch.setattr("frontend.identity.accounts.check_password_hash", lambda *said: looked.append(said))
    say(guessed, "alice", RIGHT)
    assert looked == []


def test_by_id_and_by_name_it_is_the_same_user(guessed: Api) -> None:
    auth = {"identity": {"methods": ["password"], "password": {"user": {"id": ALICE, "password": "wrong"}}}}
    for _ in range(3):
        guessed.client.post(TOKENS, json={"auth": auth})
    assert say(guessed, "alice", RIGHT).status_code == 401


def test_the_right_password_begins_anew(guessed: Api) -> None:
    for _ in range(3):
        for password in ("wrong", "wrong", RIGHT):
            last = say(guessed, "alice", password)
        assert last.status_code == 201
    assert counted(guessed) == {}


def test_wrong_passwords_count_for_a_while_alone(guessed: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        say(guessed, "alice", "wrong")
    later(monkeypatch, 10 * 60 + 1)
    for _ in range(2):
        say(guessed, "alice", "wrong")
    assert say(guessed, "alice", RIGHT).status_code == 201


def test_who_does_not_exist_is_locked_alike(guessed: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else what is never locked would be nobody."""
    looked: list[str] = []

    def look(hashed: str, _: str) -> bool:
        looked.append(hashed)
        return False

    monkeypatch.setattr("frontend.identity.accounts.check_password_hash", look)
    said: dict[str, list[tuple[Any, ...]]] = {}
    work: dict[str, list[int]] = {}
    for name in ("alice", "nobody", "eve"):  # eve is disabled
        for _ in range(5):
            looked.clear()
            answer = say(guessed, name, "wrong")
            said.setdefault(name, []).append((answer.status_code, answer.text))
            work.setdefault(name, []).append(len(looked))
    assert said["alice"] == said["nobody"] == said["eve"]
    assert work["alice"] == work["nobody"] == work["eve"] == [1, 1, 1, 0, 0]


def test_what_is_kept_of_an_unknown_name_is_not_the_name(guessed: Api) -> None:
    say(guessed, "hunter2 typed in the wrong place", "x")
    (key,) = counted(guessed)
    assert key.startswith("unknown:")
    assert "hunter2" not in key


def test_an_address_that_guesses_everybodys(guessed: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        assert say(guessed, f"user{number}", "wrong", "192.0.2.7").status_code == 401
    full = say(guessed, "alice", RIGHT, "192.0.2.7")
    assert full.status_code == 429
    assert 590 <= int(full.headers["Retry-After"]) <= 600
    assert say(guessed, "alice", RIGHT, "192.0.2.8").status_code == 201
    later(monkeypatch, 601)
    assert say(guessed, "alice", RIGHT, "192.0.2.7").status_code == 201


def test_an_addresss_own_right_password_does_not_begin_anew(guessed: Api) -> None:
    for number in range(8):
        say(guessed, f"user{number}", "wrong", "192.0.2.7")
        last = say(guessed, "alice", RIGHT, "192.0.2.7").status_code
    assert last == 429


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.7", None, "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),  # no proxy of ours: anybody may say so
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "10.9.9.9, 198.51.100.1", "198.51.100.1"),  # the first is what the client made up
        ("127.0.0.1", "10.9.9.9, 198.51.100.1, ::1", "198.51.100.1"),
        ("", "198.51.100.1", "198.51.100.1"),  # a Unix socket
        ("127.0.0.1", None, None),
        ("127.0.0.1", "unknown", None),
        ("127.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ],
)
def test_where_a_request_is_from(peer: str, forwarded: str | None, address: str | None) -> None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    with Flask("x").test_request_context(headers=headers, environ_base={"REMOTE_ADDR": peer}):
        assert lockout.client_address(("127.0.0.1", "::1")) == address


def test_a_credentials_secret_is_guessed_as_little(guessed: Api) -> None:
    row = {"user_id": ALICE, "project_id": MINE, "roles": ["member"], "unrestricted": False, "created": 0.0}
    hashed = generate_password_hash("own", "pbkdf2:sha256:1")
    with guessed.engine.begin() as connection:
        for ident in ("one", "two"):
            values = {"id": ident, "name": ident, "secret_hash": hashed, **row}
            connection.execute(insert(db.application_credential).values(values))

    def ask(said: dict[str, Any]) -> int:
        auth = {"identity": {"methods": ["application_credential"], "application_credential": said}}
        return guessed.client.post(TOKENS, json={"auth": auth}).status_code

    for _ in range(3):
        assert ask({"name": "one", "user": {"name": "alice"}, "secret": "wrong"}) == 401
    assert ask({"id": "one", "secret": "own"}) == 401
    assert ask({"id": "two", "secret": "own"}) == 201
    assert say(guessed, "alice", RIGHT).status_code == 201
    for _ in range(5):
        assert ask({"id": "three", "secret": "own"}) == 401
    assert sorted(counted(guessed).values()) == [3, 3]


@pytest.mark.parametrize("limits", [Identity(attempts=0, address_attempts=0)])
def test_without_limits_nothing_is_counted(guessed: Api) -> None:
    for _ in range(12):
        say(guessed, "alice", "wrong", "192.0.2.7")
    assert say(guessed, "alice", RIGHT, "192.0.2.7").status_code == 201
    assert counted(guessed) == {}


def test_all_workers_count_together(guessed: Api, front: Front, rapi: Any) -> None:
    other = create_app(Settings(front=front, identity=LIMITS), rapi).test_client()
    for number in range(3):
        say(guessed if number % 2 else Api(other, guessed.engine, rapi), "alice", "wrong")
    assert say(guessed, "alice", RIGHT).status_code == 401


def test_no_guess_is_lost_between_workers(guessed: Api) -> None:
    start = threading.Barrier(8)

    def add() -> None:
        start.wait()
        for _ in range(5):
            attempts.count(guessed.engine, [("user:x", 100), ("address:y", 100)], 1000.0, 60.0)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(guessed) == {"user:x": 40, "address:y": 40}


def test_a_flood_of_names_does_not_fill_the_table(guessed: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MOST", 4)
    locked = attempts.count(guessed.engine, [("user:locked", 1)], 1000.0, 60.0)
    for number in range(10):
        attempts.count(guessed.engine, [(f"user:{number}", 5)], 1001.0 + number, 60.0)
    assert locked == ["user:locked"]
    assert set(counted(guessed)) == {"user:locked", "user:7", "user:8", "user:9"}
    attempts.count(guessed.engine, [("user:new", 5)], 2000.0, 60.0)
    assert set(counted(guessed)) == {"user:new"}


def test_a_user_without_a_password_of_his_own_has_none_that_fits(guessed: Api) -> None:
    row = {"id": "f", "name": "fed", "password_hash": accounts.NO_PASSWORD, "enabled": True}
    with guessed.engine.begin() as connection:
        connection.execute(insert(db.user).values(row))
    for password in ("", accounts.NO_PASSWORD):
        with guessed.client.application.app_context():
            dummy = context.services().dummy_hash
        assert not accounts.password_fits(row, password, dummy)
    assert say(guessed, "fed", accounts.NO_PASSWORD).status_code == 401
