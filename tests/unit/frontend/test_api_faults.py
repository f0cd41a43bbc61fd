"""Requests that no view gets to see, and the shape of every refusal."""

from __future__ import annotations

import io
import json
import logging

import pytest
from sqlalchemy.exc import OperationalError

from frontend.settings import Front
from tests.unit.frontend.conftest import COMPUTE, PASSWORD, Api, FakeRapi, serve

SERVERS = f"{COMPUTE}/servers"


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'"x"', "application/json", 400),
        (b"\xff\xfe{}", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"server": ' * 9000, "application/json", 400),
        (b"9" * 10_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"{}", None, 415),
        (b" " * 114_689, "application/json", 413),
    ],
)
@pytest.mark.parametrize("path", [SERVERS, f"{SERVERS}/x/action", "/identity/v3/auth/tokens"])
def test_bodies_that_are_not_json_objects(api: Api, path: str, data: bytes, kind: str | None, status: int) -> None:
    answer = api.call("POST", path, data=data, content_type=kind)
    assert answer.status_code == status
    (fault,) = (answer.json or {}).values()
    assert fault["code"] == status
    assert fault["message"]
    assert api.rapi.calls == []


def test_chunked_body_is_not_cut_but_refused(api: Api) -> None:
    body = json.dumps({"server": {}}).encode() + b" " * 200_000
    for path in (SERVERS, "/identity/v3/auth/tokens"):
        answer = api.call(
            "POST",
            path,
            input_stream=io.BytesIO(body),
            content_type="application/json",
            headers={"Transfer-Encoding": "chunked"},
            environ_overrides={"wsgi.input_terminated": True},
        )
        assert answer.status_code == 413


@pytest.mark.parametrize("path", [f"{SERVERS}/%00", f"{SERVERS}?marker=%00", "/network/v2.0/networks?x=%00"])
def test_nul_in_the_address(api: Api, path: str) -> None:
    assert api.get(path).status_code == 400


def test_json_with_a_charset_is_json(api: Api) -> None:
    answer = api.call("POST", SERVERS, data=b"{}", content_type="application/json; charset=utf-8")
    assert answer.status_code == 400
    assert "server: is missing" in answer.text


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        (f"{COMPUTE}/nothing", 404, "itemNotFound"),
        ("/image/v2/nothing", 404, "error"),
        ("/network/v2.0/nothing", 404, "NeutronError"),
        ("/identity/v3/nothing", 404, "error"),
        ("/nothing", 404, "error"),
        ("/", 404, "error"),
        (f"{COMPUTE}/flavors/none", 404, "itemNotFound"),
        ("/image/v2/images/none", 404, "error"),
        ("/network/v2.0/networks/none", 404, "NeutronError"),
    ],
)
def test_not_found_in_each_services_shape(api: Api, path: str, status: int, body: str) -> None:
    for tail in ("", "/"):
        answer = api.get((path + tail).replace("//", "/"))
        assert answer.status_code == status
        assert list(answer.json or {}) == [body]
        assert answer.headers["x-openstack-request-id"].startswith("req-")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", SERVERS, {"GET", "HEAD", "POST"}),
        ("PATCH", f"{SERVERS}/x", {"GET", "HEAD", "PUT", "DELETE"}),
        ("GET", f"{SERVERS}/x/action", {"POST"}),
        ("OPTIONS", SERVERS, {"GET", "HEAD", "POST"}),
        ("POST", "/network/v2.0/extensions", {"GET", "HEAD"}),
        ("DELETE", "/image/v2/schemas/image", {"GET", "HEAD"}),
    ],
)
def test_wrong_method_says_which_are_right(api: Api, method: str, path: str, allowed: set[str]) -> None:
    answer = api.call(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == allowed


def test_every_answer_has_its_own_request_id(api: Api) -> None:
    answers = [api.get(f"{COMPUTE}/flavors"), api.get(f"{COMPUTE}/flavors"), api.get("/nothing")]
    ids = {answer.headers["x-openstack-request-id"] for answer in answers}
    assert len(ids) == 3
    assert all(answer.headers["x-compute-request-id"] in ids for answer in answers)
    assert all(answer.headers["Cache-Control"] == "no-store" for answer in answers)


def test_bug_is_logged_and_not_shown(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("inner secret")

    monkeypatch.setattr("frontend.web.paging.asked", broken)
    answer = api.get(f"{COMPUTE}/flavors/detail")
    assert answer.status_code == 500
    assert list(answer.json or {}) == ["computeFault"]
    assert "secret" not in answer.text
    assert "inner secret" in caplog.text


def test_database_that_is_away_is_a_503(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("could not connect"))

    monkeypatch.setattr("frontend.web.context.database", away)
    answer = api.get(f"{COMPUTE}/servers")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "10"
    assert "SELECT" not in answer.text


def test_passwords_and_tokens_are_in_no_log(front: Front, rapi: FakeRapi, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    api = serve(front, rapi)
    alice = api.become("alice")
    api.login("alice", "mine", "wr0ng-pass")
    alice.get(f"{COMPUTE}/servers")
    assert alice.token
    assert "'alice'" in caplog.text  # who failed, and no more
    for secret in (PASSWORD, "wr0ng-pass", alice.token):
        assert secret not in caplog.text


def test_hostile_names_stay_one_line_of_log(nobody: Api, caplog: pytest.LogCaptureFixture) -> None:
    user = {"name": "eve", "id": "x\u202ey", "password": "p"}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    assert nobody.client.post("/identity/v3/auth/tokens", data=json.dumps(body),
                              content_type="application/json").status_code == 400  # fmt: skip
    nobody.login("eve\nroot logged in", "mine")
    assert "\nroot logged in" not in caplog.text
