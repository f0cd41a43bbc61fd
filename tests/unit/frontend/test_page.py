"""The tenants' page as files: what a browser gets, and that nobody else notices."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest
from werkzeug.test import Client, TestResponse

from frontend.identity.settings_identity import Federation, Identity, Keystone
from frontend.page.served import Served, files, policy
from frontend.page.settings_page import Page
from frontend.settings import Front, Settings
from tests.unit.frontend.conftest import Api, FakeRapi, serve

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


def test_a_browser_is_led_to_the_page(nobody: Api) -> None:
    assert nobody.client.get("/", headers=HTML).headers["Location"] == "/page/"
    assert nobody.client.get("/page").headers["Location"] == "/page/"
    answer = nobody.client.get("/page/")
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("accept", ["application/json", "*/*", None])
def test_a_client_of_the_api_gets_what_it_got_without_a_page(front: Front, rapi: FakeRapi, accept: str | None) -> None:
    headers = {"Accept": accept} if accept else {}
    fronts = [serve(front, rapi, Settings(front=front, page=Page(serve=on))) for on in (True, False)]
    answers = [each.client.get("/", headers=headers) for each in fronts]
    assert answers[0].status_code == answers[1].status_code == 404
    assert answers[0].json == answers[1].json


def test_it_can_be_switched_off(front: Front, rapi: FakeRapi) -> None:
    api = serve(front, rapi, Settings(front=front, page=Page(serve=False)))
    assert api.client.get("/page/", headers=HTML).status_code == 404
    assert api.client.get("/", headers=HTML).status_code == 404


def test_files_are_kept_by_browsers_as_their_address_names_their_content(nobody: Api) -> None:
    place = f"/page/{files().version}"
    assert place.removeprefix("/page/") + "/main.js" in nobody.client.get("/page/").text
    answer = nobody.client.get(f"{place}/main.js")
    assert answer.content_type == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    again = nobody.client.get(f"{place}/main.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert nobody.client.head(f"{place}/words/el.json").content_type == "application/json"


@pytest.mark.parametrize(
    "path",
    [
        *("main.js", "0123456789ab/main.js", "{}/", "{}/none.js", "{}/index.html", "{}/../served.py"),
        *("{}/../../settings.py", "{}/%2e%2e/served.py", "//etc/passwd", "{}//main.js", "{}/.htaccess", "{}/main.js/"),
    ],
)
def test_there_is_nothing_but_the_files(nobody: Api, path: str) -> None:
    answer = nobody.client.get("/page/" + path.format(files().version))
    assert answer.status_code == 404
    assert answer.content_type.startswith("text/plain")
    assert path not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_is_only_read(nobody: Api, method: str) -> None:
    answer = nobody.client.open("/page/", method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_the_browser_is_told_to_run_and_ask_nothing_else(nobody: Api) -> None:
    for path in ("/page/", f"/page/{files().version}/main.js", "/page/none"):
        headers = nobody.client.get(path).headers
        rules = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
        assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
        kinds = ("script-src", "style-src", "img-src", "font-src", "connect-src", "form-action")
        assert {rules[kind] for kind in kinds} == {"'self'"}
        assert rules["require-trusted-types-for"] == "'script'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    text = nobody.client.get("/page/").text
    assert "<style" not in text
    assert text.count("<script") == text.count("<script type=") == 1
    assert "style=" not in text


def _of(settings: Settings) -> TestResponse:
    return Client(Served(lambda _environ, _start: [], settings)).get("/page/")


def test_keystone_and_a_public_address_may_be_asked_too() -> None:
    keystone = Keystone(url="https://internal.example:5000", public_url="https://keystone.example:5000/")
    settings = Settings(
        front=Front(public_url="https://cloud.example.org/api"), identity=Identity(source="keystone"), keystone=keystone
    )
    assert "connect-src 'self' https://cloud.example.org https://keystone.example:5000;" in policy(settings)
    text = _of(settings).text
    assert '<meta name="identity" content="https://keystone.example:5000/v3">' in text
    assert '<meta name="federation" content="">' in text
    told = replace(settings, keystone=replace(keystone, public_url='https://k.example/v3"><script>'))
    assert "<script>" not in _of(told).text


PAGE = "https://cloud.example/page/"
SIGNED_ON = Settings(federation=Federation(secret_file="/etc/secret", origins=("http://localhost:9990/", PAGE)))
SAME = {"Sec-Fetch-Site": "same-origin"}


def _posted(headers: dict[str, str], settings: Settings = SIGNED_ON, **form: str) -> TestResponse:
    return Client(Served(lambda _environ, _start: [], settings)).post("/page/", data=form, headers=headers)


def test_the_single_sign_on_posts_its_token_into_the_page_alone() -> None:
    assert f"websso/openid?origin={quote(PAGE, safe='')}" in _of(SIGNED_ON).text
    assert '<meta name="token" content="">' in _of(SIGNED_ON).text
    answer = _posted(SAME, token="gAAAA-b_c.d=")
    assert answer.status_code == 200
    assert '<meta name="token" content="gAAAA-b_c.d=">' in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Security-Policy"] == policy(SIGNED_ON)
    assert "gAAAA" not in str(answer.headers)
    assert "gAAAA" not in _of(SIGNED_ON).text


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", None])
def test_no_other_site_signs_anybody_in(site: str | None) -> None:
    answer = _posted({"Sec-Fetch-Site": site} if site else {}, token="gAAAA")
    assert answer.status_code == 403
    assert "gAAAA" not in answer.text


@pytest.mark.parametrize(("token", "status"), [("", 400), ('"><script>', 400), ("a" * 20000, 413)])
def test_what_is_no_token_is_not_put_into_the_page(token: str, status: int) -> None:
    answer = _posted(SAME, token=token)
    assert answer.status_code == status
    assert "<script>" not in answer.text


def test_without_its_address_among_the_origins_nothing_is_posted_to_the_page() -> None:
    for settings in (Settings(), Settings(federation=Federation(secret_file="/etc/secret"))):
        assert '<meta name="websso" content="">' in _of(settings).text
        assert _posted(SAME, settings, token="gAAAA").status_code == 405


def test_the_page_of_a_federation_is_named() -> None:
    assert '<meta name="federation" content="">' in _of(Settings()).text
    text = _of(Settings(federation=Federation(secret_file="/etc/secret"))).text
    assert 'content="../identity/v3/auth/OS-FEDERATION/credential"' in text
