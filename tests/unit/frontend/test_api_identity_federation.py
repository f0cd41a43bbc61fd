"""Users whom the web server logs in: when it is believed, what they get, when it ends."""

from __future__ import annotations

import re
import time
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from werkzeug.test import TestResponse

from frontend.app import create_app
from frontend.database import db
from frontend.identity import federation
from frontend.identity.settings_identity import Federation
from frontend.quota import limits
from frontend.settings import Front, Settings
from ganeti_ext.errors import ConfigError
from tests.unit.frontend.conftest import ALICE, COMPUTE, FOREIGN, MINE, Api

V3 = "/identity/v3"
ORIGIN = "http://localhost:9990/auth/websso/"
AUTH = f"{V3}/OS-FEDERATION/identity_providers/federation/protocols/openid/auth"
WEBSSO = f"{V3}/auth/OS-FEDERATION/websso/openid"
FORM = f"{V3}/auth/OS-FEDERATION/credential"
SECRET = "s" * 40
PATHS = (AUTH, f"{WEBSSO}?origin={ORIGIN}", FORM)


@pytest.fixture
def settings(tmp_path: Path) -> Federation:
    (tmp_path / "shared").write_text(SECRET + "\n")
    (tmp_path / "map").write_text("group:(\\w+) \\1 member\nreads:(\\w+) \\1 reader\n")
    return Federation(secret_file=f"{tmp_path}/shared", map_file=f"{tmp_path}/map")


@pytest.fixture
def site(front: Front, rapi: Any, settings: Federation) -> Api:
    app = create_app(Settings(front=front, federation=settings), rapi)
    return Api(app.test_client(), app.extensions["ganeti-ext"].engine, rapi)


def come(
    api: Api, path: str = AUTH, name: str = "ada@uni.example", groups: str = "group:mine", **kwargs: Any
) -> TestResponse:
    """A request as the web server passes it on."""
    headers = {"X-Federation-Secret": SECRET, "X-Remote-User": name, "X-Entitlement": groups}
    method = kwargs.pop("method", "GET")
    return api.client.open(path, method=method, headers={**headers, **kwargs.pop("headers", {})}, **kwargs)


def scoped(api: Api, unscoped: TestResponse, project: str = MINE) -> TestResponse:
    identity = {"methods": ["token"], "token": {"id": unscoped.headers["X-Subject-Token"]}}
    auth = {"identity": identity, "scope": {"project": {"id": project}}}
    return api.client.post(f"{V3}/auth/tokens", json={"auth": auth})


def using(api: Api, token: str) -> Api:
    other = Api(api.client, api.engine, api.rapi)
    other.token = token
    return other


def roles(api: Api, name: str) -> set[tuple[str, str, bool]]:
    query = select(db.membership).join(db.user).where(db.user.c.name == name)
    with api.engine.connect() as connection:
        found = db.rows(connection, query)
    return {(row["project_id"], row["role"], row["federated"]) for row in found}


def test_a_token_and_then_one_for_a_project(site: Api) -> None:
    for method in ("GET", "POST"):
        first = come(site, method=method)
        assert first.status_code == 201
        token = first.json["token"]  # type: ignore[index]
        assert (token["user"]["name"], token["methods"]) == ("ada@uni.example", ["mapped"])
        assert "project" not in token
    second = scoped(site, first)
    assert second.status_code == 201
    assert second.json["token"]["roles"] == [{"id": "member", "name": "member"}]  # type: ignore[index]
    assert second.json["token"]["methods"] == ["mapped", "token"]  # type: ignore[index]
    assert using(site, second.headers["X-Subject-Token"]).get(f"{COMPUTE}/servers").status_code == 200
    assert scoped(site, first, FOREIGN).status_code == 401
    assert roles(site, "ada@uni.example") == {(MINE, "member", True)}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("secret", ["", "x", SECRET[:-1], SECRET + "s", "é"])
def test_nobody_else_than_the_web_server_is_believed(site: Api, path: str, secret: str) -> None:
    answer = come(site, path, headers={"X-Federation-Secret": secret.encode().decode("latin-1")})
    assert answer.status_code == 401
    assert "X-Subject-Token" not in answer.headers
    assert roles(site, "ada@uni.example") == set()
    if path == FORM:
        assert (
            come(
                site, path, method="POST", headers={"X-Federation-Secret": secret.encode().decode("latin-1")}
            ).status_code
            == 401
        )


def test_headers_mean_nothing_elsewhere(site: Api) -> None:
    come(site)
    for path in (f"{COMPUTE}/servers", f"{V3}/auth/projects"):
        assert come(site, path).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_without_a_federation_there_is_none(nobody: Api, path: str) -> None:
    assert come(nobody, path).status_code == 404


def test_others_names_of_it_are_not_there(site: Api) -> None:
    for path in (
        AUTH.replace("federation/protocols", "other/protocols"),
        AUTH.replace("openid", "saml2"),
        WEBSSO.replace("openid", "saml2"),
    ):
        assert come(site, f"{path}?origin={ORIGIN}").status_code == 404


@pytest.mark.parametrize("name", ["", "ada,alice", "ada;alice", "alice"])
def test_who_is_nobody_two_or_a_user_of_our_own(site: Api, name: str) -> None:
    assert come(site, name=name).status_code == 401
    assert roles(site, "alice") == {(MINE, "member", False)}


def test_memberships_follow_the_federation_at_each_login(site: Api) -> None:
    name = "ada@uni.example"
    come(site, groups="group:mine;reads:mine;group:nothing")
    assert roles(site, name) == {(MINE, "member", True), (MINE, "reader", True)}
    with site.engine.begin() as connection:
        user = connection.execute(select(db.user.c.id).where(db.user.c.name == name)).scalar()
        granted = {"user_id": user, "project_id": FOREIGN, "role": "reader"}
        connection.execute(insert(db.membership).values(**granted))
    token = scoped(site, come(site)).headers["X-Subject-Token"]
    assert roles(site, name) == {(MINE, "member", True), (FOREIGN, "reader", False)}
    come(site, groups="reads:foreign")
    assert roles(site, name) == {(FOREIGN, "reader", False)}  # an administrator's stays his
    assert using(site, token).get(f"{COMPUTE}/servers").status_code == 401


def test_a_disabled_user_stays_out(site: Api) -> None:
    token = scoped(site, come(site)).headers["X-Subject-Token"]
    with site.engine.begin() as connection:
        connection.execute(update(db.user).where(db.user.c.name == "ada@uni.example").values(enabled=False))
    assert come(site).status_code == 401
    assert using(site, token).get(f"{COMPUTE}/servers").status_code == 401


class TestUnknown:
    """Users and projects that are there for the first time."""

    @pytest.fixture
    def settings(self, settings: Federation) -> Federation:
        return Federation(
            secret_file=settings.secret_file, map_file=settings.map_file, make_users=False, make_projects=True
        )

    def test_as_the_settings_say(self, site: Api) -> None:
        assert come(site).status_code == 401
        ada = {"id": "ada", "name": "ada@uni.example", "password_hash": "!", "enabled": True, "seen": 0.0}
        with site.engine.begin() as connection:
            connection.execute(insert(db.user).values(ada))
        first = come(site, groups="group:brand_new")
        assert first.status_code == 201
        with site.engine.connect() as connection:
            made = db.row(connection, select(db.project).where(db.project.c.name == "brand_new"))
        assert made is not None
        assert made["max_servers"] == limits.DEFAULT
        assert scoped(site, first, made["id"]).status_code == 201


def test_who_has_not_come_for_long_may_have_left(site: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = _credential(site)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 29 * 86400)
    assert _with_credential(site, secret) == 201
    monkeypatch.setattr(time, "time", lambda: now + 31 * 86400)
    assert _with_credential(site, secret) == 401
    come(site)
    assert _with_credential(site, secret) == 201


def _with_credential(site: Api, made: dict[str, str]) -> int:
    auth = {"identity": {"methods": ["application_credential"], "application_credential": made}}
    return site.client.post(f"{V3}/auth/tokens", json={"auth": auth}).status_code


def _fields(page: TestResponse) -> dict[str, str]:
    found = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
    return {name: unescape(value) for name, value in found.items()}


def _credential(site: Api) -> dict[str, str]:
    sent = {**_fields(come(site, FORM)), "project": MINE, "days": "90", "what": "credential"}
    page = come(site, FORM, method="POST", data=sent)
    assert page.status_code == 200
    text = unescape(page.text)
    ident = re.search(r"application_credential_id: (\w+)", text)
    secret = re.search(r'application_credential_secret: "([\w-]+)"', text)
    assert ident
    assert secret
    assert 'auth_url: "http://localhost/identity/v3"' in text
    return {"id": ident[1], "secret": secret[1]}


def test_a_page_makes_an_application_credential(site: Api) -> None:
    page = come(site, FORM)
    assert page.status_code == 200
    assert page.mimetype == "text/html"
    assert f'<option value="{MINE}">mine</option>' in page.text
    assert FOREIGN not in page.text
    made = _credential(site)
    assert _with_credential(site, made) == 201
    assert made["secret"] != _credential(site)["secret"]


def test_a_page_shows_a_token(site: Api) -> None:
    sent = {**_fields(come(site, FORM)), "project": MINE, "what": "token"}
    shown = come(site, FORM, method="POST", data=sent)
    assert f"OS_AUTH_TYPE=v3token OS_AUTH_URL=http://localhost/identity/v3 OS_PROJECT_ID={MINE} " in shown.text
    token = re.search(r"OS_TOKEN=([\w.-]+)", shown.text)
    assert token
    assert using(site, token[1]).get(f"{COMPUTE}/servers").status_code == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"form": ""}, 403),
        ({"form": "0" * 16}, 403),
        ({"form": "é"}, 403),
        ({"project": FOREIGN}, 403),
        ({"project": ""}, 403),
        ({"days": "4000"}, 400),
        ({"days": ""}, 400),
    ],
)
def test_a_form_that_is_not_ours(site: Api, change: dict[str, str], status: int) -> None:
    sent = {**_fields(come(site, FORM)), "project": MINE, "days": "90", "what": "credential", **change}
    assert come(site, FORM, method="POST", data=sent).status_code == status
    with site.engine.connect() as connection:
        assert db.rows(connection, select(db.application_credential)) == []


def test_a_form_of_another_user_or_of_yesterday(site: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = {**_fields(come(site, FORM)), "project": MINE, "days": "90", "what": "credential"}
    assert come(site, FORM, name="bob@uni.example", method="POST", data=sent).status_code == 403
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3 * 3600)
    assert come(site, FORM, method="POST", data=sent).status_code == 403


def test_single_sign_on_posts_the_token_to_who_waits(site: Api) -> None:
    page = come(site, f"{WEBSSO}?origin={ORIGIN}")
    assert page.status_code == 200
    assert f'action="{ORIGIN}"' in page.text
    token = _fields(page)["token"]
    assert using(site, token).get(f"{V3}/auth/projects").json["projects"][0]["id"] == MINE  # type: ignore[index]
    policy = page.headers["Content-Security-Policy"]
    nonce = re.search(r"script-src 'nonce-([^']+)'", policy)
    assert nonce
    assert f'<script nonce="{nonce[1]}">' in unescape(page.text)
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    other = f"{V3}/auth/OS-FEDERATION/identity_providers/federation/protocols/openid/websso?origin={ORIGIN}"
    assert come(site, other).status_code == 200


@pytest.mark.parametrize("origin", ["", "http://evil.example/", f"{ORIGIN}x", ORIGIN[:-1]])
def test_no_token_is_posted_elsewhere(site: Api, origin: str) -> None:
    answer = come(site, f"{WEBSSO}?origin={origin}")
    assert answer.status_code == 401
    assert "token" not in answer.text.replace("X-Subject-Token", "")


def test_names_are_text_on_a_page(site: Api) -> None:
    page = come(site, FORM, name="<script>alert(1)</script>")
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


def test_who_is_in_no_project_is_told_so(site: Api) -> None:
    assert "in no project yet" in come(site, FORM, groups="").text


def test_two_first_logins_at_once(site: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one finds the user whom the first has made meanwhile."""
    from frontend.identity import accounts  # noqa: PLC0415

    real, asked = accounts.user, []

    def late(connection: Any, **which: Any) -> Any:
        asked.append(which)
        return None if len(asked) == 1 else real(connection, **which)

    come(site)
    with site.engine.begin() as connection:
        connection.execute(update(db.user).where(db.user.c.name == "ada@uni.example").values(name="eva"))
    come(site, name="eva")
    with site.engine.begin() as connection:
        connection.execute(update(db.user).where(db.user.c.name == "eva").values(enabled=False))
    monkeypatch.setattr(accounts, "user", late)
    assert come(site, name="eva").status_code == 401  # tried again, and is disabled then
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("shared", "rules", "named"),
    [("short", "", "5 characters"), (SECRET, "x", "PATTERN"), (None, "", "shared"), (SECRET, None, "map")],
)
def test_what_is_wrong_with_the_files_is_named(
    tmp_path: Path, shared: str | None, rules: str | None, named: str
) -> None:
    for name, text in (("shared", shared), ("map", rules)):
        if text is not None:
            (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=named):
        federation.load(Federation(secret_file=f"{tmp_path}/shared", map_file=f"{tmp_path}/map"))


def test_a_user_of_our_own_is_not_the_federations(site: Api) -> None:
    assert site.become("alice").get(f"{V3}/users/{ALICE}").status_code == 200
