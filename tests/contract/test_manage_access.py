"""ganeti-ext-manage: who gets in."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, insert
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.identity import accounts, attempts
from tests.contract.manage_site import Manage, site


@pytest.fixture
def manage() -> Iterator[Manage]:
    with site() as made:
        made.ok("project-create", "blue")
        made.ok("user-create", "ann", "--project", "blue", "--role", "member", stdin="x\n")
        yield made


@pytest.fixture
def engine(manage: Manage) -> Iterator[Engine]:
    found = create_engine(f"sqlite:///{manage.folder}/front.db")
    yield found
    found.dispose()


def ann(manage: Manage) -> str:
    return str(manage.rows(db.user)[0]["id"])


def test_a_user_is_let_in_no_more_and_again(manage: Manage) -> None:
    manage.ok("user-disable", "ann")
    assert manage.rows(db.user)[0]["enabled"] is False
    manage.ok("user-enable", ann(manage))
    assert manage.rows(db.user)[0]["enabled"] is True
    assert "user 'bob': there is none" in manage.refused("user-disable", "bob")


def test_a_user_of_the_federation_has_no_password(manage: Manage) -> None:
    manage.ok("user-create", "eva@uni.example", "--project", "blue", "--role", "reader", "--federated")
    eva = next(row for row in manage.rows(db.user) if row["name"] == "eva@uni.example")
    assert (eva["password_hash"], eva["seen"] is None) == (accounts.NO_PASSWORD, False)
    assert "is the federation's" in manage.refused("user-password", "eva@uni.example", stdin="x\n")


def test_a_role_is_taken_back(manage: Manage) -> None:
    manage.ok("user-grant", "ann", "--project", "blue", "--role", "reader")
    manage.ok("user-revoke", "ann", "--project", "blue", "--role", "member")
    assert [row["role"] for row in manage.rows(db.membership)] == ["reader"]
    again = manage.refused("user-revoke", "ann", "--project", "blue", "--role", "member")
    assert "user 'ann' is no member of project 'blue'" in again


def test_application_credentials(manage: Manage, engine: Engine) -> None:
    project = manage.rows(db.project)[0]["id"]
    row = {"user_id": ann(manage), "project_id": project, "secret_hash": "h", "unrestricted": False, "created": 1.0}
    with engine.begin() as connection:
        values = {"id": "c1", "name": "robot", "roles": ["member", "reader"], "expires": None, **row}
        connection.execute(insert(db.application_credential).values(values))
    line = ["c1", "robot", "ann", "blue", "member,reader", "-"]
    assert [each.split() for each in manage.ok("credential-list").splitlines()[1:]] == [line]
    assert manage.ok("credential-list", "--user", "ann").splitlines()[1].split() == line
    assert "user 'bob': there is none" in manage.refused("credential-list", "--user", "bob")
    manage.ok("credential-delete", "c1")
    assert manage.rows(db.application_credential) == []
    assert "there is none of that id" in manage.refused("credential-delete", "c1")


def test_locks_are_shown_and_released(manage: Manage, engine: Engine) -> None:
    now = time.time()
    user = f"user:{ann(manage)}"
    keys = [(user, 1), ("address:192.0.2.7", 5), ("credential:c1", 5), ("unknown:9", 5)]
    attempts.count(engine, keys, now, 900.0)
    shown = {line.split()[0]: line.split()[1:] for line in manage.ok("lock-list").splitlines()[1:]}
    assert shown[user][:2] == ["ann", "1"]
    assert shown[user][2] == time.strftime("%Y-%m-%d", time.localtime(now + 900))
    assert shown["address:192.0.2.7"] == ["-", "1", "-"]
    for key in ("ann", "192.0.2.7", "c1"):
        manage.ok("lock-release", key)
    assert [row["key"] for row in manage.rows(db.attempt)] == ["unknown:9"]
    assert "no wrong passwords are counted" in manage.refused("lock-release", "ann")
    manage.ok("lock-release", "--all")
    assert manage.rows(db.attempt) == []
    assert "required" in manage.refused("lock-release", code=2)
