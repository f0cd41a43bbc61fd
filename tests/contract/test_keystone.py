"""Keystone's own middleware in front of the API, and what Keystone answers when it is asked for a token."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from frontend.app import create_app
from frontend.identity.settings_identity import Identity, Keystone
from frontend.settings import Front, Settings
from tests.unit.frontend.conftest import COMPUTE, FakeRapi

pytest.importorskip("keystonemiddleware", reason="Keystone's middleware is not installed")

PROJECT = "5" * 32


def token(base: str, **more: Any) -> dict[str, Any]:
    """As Keystone 29 answers."""
    domain = {"id": "default", "name": "Default"}
    endpoint = {"id": "e", "interface": "public", "region": "R", "region_id": "R", "url": base}
    end = datetime.now(UTC) + timedelta(hours=1)
    return {
        "methods": ["password"],
        "user": {"id": "u" * 32, "name": "kim", "domain": domain, "password_expires_at": None},
        "audit_ids": ["a"],
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "expires_at": end.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "project": {"id": PROJECT, "name": "lab", "domain": domain},
        "is_domain": False,
        "roles": [{"id": "1", "name": "member"}],
        "catalog": [{"id": "i", "type": "identity", "name": "keystone", "endpoints": [endpoint]}],
        **more,
    }


class Imitation(BaseHTTPRequestHandler):
    """GET /, POST and GET /v3/auth/tokens: what the middleware asks of Keystone."""

    def do_GET(self) -> None:
        base = f"http://{self.headers['Host']}"
        if not self.path.startswith("/v3/auth/tokens"):
            version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": f"{base}/v3/"}]}
            self._answer(
                200, {"version": version} if self.path.startswith("/v3") else {"versions": {"values": [version]}}
            )
        elif self.headers["X-Auth-Token"] == "service" and self.headers["X-Subject-Token"] == "good":
            self._answer(200, {"token": token(base)})
        else:
            self._answer(404, {"error": {"code": 404, "message": "Could not find token", "title": "Not Found"}})

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        password = said["auth"]["identity"]["password"]["user"]["password"]
        base = f"http://{self.headers['Host']}"
        self._answer(201 if password == "pa55" else 401, {"token": token(base)}, {"X-Subject-Token": "service"})

    def _answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def keystone() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Imitation)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_token_of_keystones_is_let_in_and_no_other(keystone: str, tmp_path: Path) -> None:
    front = Front(database=f"sqlite:///{tmp_path}/front.db", secret_file=f"{tmp_path}/secret")
    access = Keystone(url=keystone, user="ganeti", password="pa55", project="service")
    rapi: Any = FakeRapi()
    app = create_app(Settings(front=front, identity=Identity(source="keystone"), keystone=access), rapi)
    client = app.test_client()
    good = client.get(f"{COMPUTE}/servers", headers={"X-Auth-Token": "good"})
    assert (good.status_code, good.json) == (200, {"servers": []})
    forged = {"X-Identity-Status": "Confirmed", "X-Project-Id": PROJECT, "X-Roles": "admin"}
    for headers in ({}, {"X-Auth-Token": "bad"}, forged):
        refused = client.get(f"{COMPUTE}/servers", headers=headers)
        assert refused.status_code == 401
        assert keystone in refused.headers["WWW-Authenticate"]
    assert client.get(COMPUTE).status_code == 200
