"""Keystone in place of our own users: what of its middleware's answers becomes what.

The real middleware against what Keystone answers: tests/contract/test_keystone.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from frontend.app import create_app
from frontend.database import db
from frontend.identity import identity_source
from frontend.identity.settings_identity import Identity, Keystone
from frontend.settings import Front, Settings
from ganeti_ext.errors import ConfigError
from tests.unit.frontend.conftest import COMPUTE, MINE, Api

ACCESS = Keystone(url="http://127.0.0.1:5000", user="ganeti", password="pa55", project="service")
PROJECT = "5" * 32


class Middleware:
    """keystonemiddleware's AuthProtocol: lets known tokens through, and says in the environment whose they are."""

    made: dict[str, Any] = {}
    tokens: dict[str, dict[str, Any]] = {}

    def __init__(self, app: Any, conf: dict[str, Any]) -> None:
        self._app = app
        Middleware.made = conf

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        token = self.tokens.get(environ.get("HTTP_X_AUTH_TOKEN", ""))
        if token is None:
            start_response("401 Unauthorized", [("WWW-Authenticate", "Keystone")])
            return [b"no"]
        environ["keystone.token_info"] = {"token": token}
        found: Iterable[bytes] = self._app(environ, start_response)
        return found


def token(**changes: Any) -> dict[str, Any]:
    return {
        "user": {"id": "u" * 32, "name": "kim", "domain": {"id": "default", "name": "Default"}},
        "project": {"id": PROJECT, "name": "lab", "domain": {"id": "default", "name": "Default"}},
        "roles": [{"id": "1", "name": "Member"}],
        "methods": ["password"],
        "audit_ids": ["a"],
        **changes,
    }


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    auth_token = SimpleNamespace(AuthProtocol=Middleware)
    monkeypatch.setitem(sys.modules, "keystonemiddleware", SimpleNamespace(auth_token=auth_token))
    monkeypatch.setitem(sys.modules, "keystonemiddleware.auth_token", auth_token)
    Middleware.tokens = {"good": token()}
    yield


@pytest.fixture
def site(front: Front, rapi: Any) -> Api:
    settings = Settings(front=front, identity=Identity(source="keystone"), keystone=ACCESS)
    app = create_app(settings, rapi)
    api = Api(app.test_client(), app.extensions["ganeti-ext"].engine, rapi)
    api.token = "good"
    return api


def test_its_tokens_are_ours(site: Api) -> None:
    assert site.get(f"{COMPUTE}/servers").status_code == 200
    site.token = "bad"
    assert site.get(f"{COMPUTE}/servers").status_code == 401
    site.token = None
    assert site.get(f"{COMPUTE}/servers").status_code == 401


def test_nothing_that_a_client_sends_is_taken_for_the_middlewares(site: Api) -> None:
    headers = {"X-Identity-Status": "Confirmed", "X-User-Id": "u", "X-Project-Id": MINE, "X-Roles": "admin",
               "keystone.token_info": "x"}  # fmt: skip
    site.token = None
    for path in (f"{COMPUTE}/servers", f"{COMPUTE}/servers/", f"{COMPUTE}/os-keypairs"):
        assert site.get(path, headers=headers).status_code == 401


def test_discovery_asks_for_no_token(site: Api) -> None:
    site.token = None
    for path in ("/compute", "/compute/", COMPUTE, "/image", "/network"):
        assert site.get(path).status_code in (200, 300)


def test_identity_is_not_ours(site: Api) -> None:
    for path in ("/identity", "/identity/v3", "/identity/v3/auth/tokens", "/identity/v3/projects"):
        assert site.get(path).status_code == 404
    assert site.login("alice", "mine").status_code == 404


def test_a_project_is_made_when_it_is_there_for_the_first_time(site: Api) -> None:
    for _ in range(2):
        assert site.get(f"{COMPUTE}/servers").status_code == 200
    Middleware.tokens["clash"] = token(project={"id": "6" * 32, "name": "mine"})
    site.token = "clash"
    assert site.get(f"{COMPUTE}/servers").status_code == 200
    with site.engine.connect() as connection:
        names = {row["id"]: row["name"] for row in db.rows(connection, select(db.project))}
    assert names[PROJECT] == "lab"
    assert names["6" * 32] == f"mine ({'6' * 32})"
    assert names[MINE] == "mine"


@pytest.mark.parametrize(
    ("changes", "status", "writes"),
    [
        ({}, 200, True),
        ({"roles": [{"name": "reader"}]}, 200, False),
        ({"roles": [{"name": "admin"}]}, 200, True),
        ({"roles": []}, 403, False),
        ({"roles": [{"name": "auditor"}]}, 403, False),
        ({"project": None}, 403, False),
        ({"user": {"id": "x" * 64, "name": "kim"}}, 200, True),
    ],
)
def test_roles_and_scopes(site: Api, changes: dict[str, Any], status: int, writes: bool) -> None:
    Middleware.tokens["good"] = token(**changes)
    assert site.get(f"{COMPUTE}/servers").status_code == status
    answer = site.call("POST", f"{COMPUTE}/servers", json={"server": {}})
    assert answer.status_code == (400 if writes else 403)


def test_another_projects_servers_do_not_show(site: Api) -> None:
    row = site.server()
    assert site.get(f"{COMPUTE}/servers/{row['id']}").status_code == 404
    Middleware.tokens["good"] = token(project={"id": MINE, "name": "mine"})
    assert site.get(f"{COMPUTE}/servers/{row['id']}").status_code == 200


def test_what_the_middleware_is_told(site: Api) -> None:
    told = Middleware.made
    assert (told["auth_url"], told["username"], told["password"]) == ("http://127.0.0.1:5000", "ganeti", "pa55")
    assert told["delay_auth_decision"] == "False"
    assert told["www_authenticate_uri"] == "http://127.0.0.1:5000"


def test_what_is_missing_is_named(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"\[keystone\] url is not set"):
        identity_source.check(Settings(front=front, identity=Identity(source="keystone")))
    monkeypatch.setitem(sys.modules, "keystonemiddleware", None)
    with pytest.raises(ConfigError, match="python3-keystonemiddleware is needed"):
        identity_source.check(Settings(front=front, identity=Identity(source="keystone"), keystone=ACCESS))


def test_with_users_of_our_own_the_middlewares_words_mean_nothing(nobody: Api) -> None:
    answer = nobody.client.get(f"{COMPUTE}/servers", environ_base={"keystone.token_info": {"token": token()}})
    assert answer.status_code == 401
