"""Consoles: who gets a token, what it opens, and the serial log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select
from sqlalchemy.engine import Engine

from frontend.app import create_app
from frontend.console import consolelog, consolenode, consoletoken
from frontend.database import db
from frontend.settings import Console, Front, Settings
from frontend.web.fault import BadRequest
from ganeti_ext.errors import ConfigError, RapiError, RapiUnavailable
from tests.unit.console.node import Node, keys
from tests.unit.frontend import consoles
from tests.unit.frontend.conftest import COMPUTE, Api, FakeRapi
from tests.unit.frontend.consoles import URL, Cluster


@pytest.fixture(scope="session", name="keys")
def made_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def node(tmp_path: Path, keys: Path) -> Iterator[Node]:
    (tmp_path / "node").mkdir()
    with contextlib.closing(Node(tmp_path / "node", keys)) as made:
        yield made


@pytest.fixture
def rapi() -> FakeRapi:
    return Cluster()


@pytest.fixture
def settings(tmp_path: Path, keys: Path, node: Node) -> Console:
    return consoles.settings(tmp_path, keys, node)


@pytest.fixture
def api(front: Front, rapi: FakeRapi, settings: Console) -> Api:
    return consoles.api(front, rapi, settings)


def ask(api: Api, ident: str, action: dict[str, Any], version: str = "2.1") -> Any:
    headers = {"OpenStack-API-Version": f"compute {version}"}
    return api.call("POST", f"{COMPUTE}/servers/{ident}/action", json=action, headers=headers)


def remote(api: Api, ident: str, protocol: str, kind: str, version: str = "2.1") -> Any:
    body = {"remote_console": {"protocol": protocol, "type": kind}}
    headers = {"OpenStack-API-Version": f"compute {version}"}
    return api.call("POST", f"{COMPUTE}/servers/{ident}/remote-consoles", json=body, headers=headers)


def tokens(engine: Engine) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return db.rows(connection, select(db.console_token))


def taken(engine: Engine, token: str, kind: str = "novnc", now: float | None = None) -> str | None:
    with engine.begin() as connection:
        found = consoletoken.take(connection, token, kind, time.time() if now is None else now)
    return found[0] if found else None


def token_of(url: str) -> str:
    return parse_qs(urlsplit(parse_qs(urlsplit(url).query)["path"][0]).query)["token"][0]


def test_a_member_gets_the_address_of_a_page(api: Api) -> None:
    server = api.server()
    answer = ask(api, server["id"], {"os-getVNCConsole": {"type": "novnc"}})
    assert answer.status_code == 200
    assert set(answer.json["console"]) == {"type", "url"}
    url = answer.json["console"]["url"]
    assert url.startswith(f"{URL}/vnc_lite.html?path=%3Ftoken%3D")
    assert taken(api.engine, token_of(url)) == server["instance"]
    assert api.rapi.asked == []


@pytest.mark.parametrize("version", ["2.1", "2.6", "2.26"])
def test_remote_consoles_are_there_at_every_microversion(api: Api, version: str) -> None:
    server = api.server()
    answer = remote(api, server["id"], "vnc", "novnc", version)
    assert answer.status_code == 200
    shown = answer.json["remote_console"]
    assert {**shown, "url": ""} == {"protocol": "vnc", "type": "novnc", "url": ""}
    assert taken(api.engine, token_of(shown["url"])) == server["instance"]


def test_a_token_opens_once(api: Api) -> None:
    server = api.server()
    token = token_of(remote(api, server["id"], "vnc", "novnc").json["remote_console"]["url"])
    assert taken(api.engine, token) == server["instance"]
    assert taken(api.engine, token) is None
    assert tokens(api.engine) == []


def test_a_token_that_is_too_old_opens_nothing_and_goes(api: Api) -> None:
    server = api.server()
    urls = [remote(api, server["id"], "vnc", "novnc").json["remote_console"]["url"] for _ in range(2)]
    assert taken(api.engine, token_of(urls[0]), now=time.time() + 120) is None
    assert len(tokens(api.engine)) == 1
    with api.engine.begin() as connection:
        consoletoken.issue(connection, server["id"], "novnc", time.time() + 120, 120)
    assert [row["expires"] > time.time() + 121 for row in tokens(api.engine)] == [True]


def test_a_token_that_never_was_opens_nothing(api: Api) -> None:
    remote(api, api.server()["id"], "vnc", "novnc")
    for text in ("", "x", tokens(api.engine)[0]["digest"]):
        assert taken(api.engine, text) is None
    assert len(tokens(api.engine)) == 1


def test_a_token_of_another_kind_opens_nothing(api: Api) -> None:
    token = token_of(remote(api, api.server()["id"], "vnc", "novnc").json["remote_console"]["url"])
    assert taken(api.engine, token, kind="serial") is None


def test_a_deleted_server_is_not_opened(api: Api) -> None:
    server = api.server()
    token = token_of(remote(api, server["id"], "vnc", "novnc").json["remote_console"]["url"])
    api.change(server["id"], deleted=time.time())
    assert taken(api.engine, token) is None


def test_the_database_has_no_token(api: Api) -> None:
    token = token_of(remote(api, api.server()["id"], "vnc", "novnc").json["remote_console"]["url"])
    assert len(token) >= 43
    assert token not in str(tokens(api.engine))


ACTIONS: list[dict[str, Any]] = [
    {"os-getVNCConsole": {"type": "novnc"}},
    {"os-getConsoleOutput": {"length": 10}},
    {"os-getConsoleOutput": {}},
]


@pytest.mark.parametrize("action", ACTIONS, ids=str)
def test_another_projects_server_is_as_none(api: Api, node: Node, action: dict[str, Any]) -> None:
    foreign = api.server(project_id="22222222-2222-4222-8222-222222222222")
    (node.folder / f"log/{foreign['instance']}.log").write_text("secret")
    never = "0ddddddd-0000-4000-8000-000000000000"
    answers = [ask(api, ident, action) for ident in (foreign["id"], never)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text.replace(foreign["id"], "") == answers[1].text.replace(never, "")
    assert remote(api, foreign["id"], "vnc", "novnc").status_code == 404
    assert (tokens(api.engine), api.rapi.asked) == ([], [])


@pytest.mark.parametrize("action", ACTIONS, ids=str)
def test_a_reader_gets_no_console(api: Api, action: dict[str, Any]) -> None:
    server = api.server()
    rita = api.become("rita")
    assert ask(rita, server["id"], action).status_code == 403
    assert remote(rita, server["id"], "vnc", "novnc").status_code == 403


@pytest.mark.parametrize(
    ("action", "version", "status"),
    [
        ({"os-getVNCConsole": {"type": "xvpvnc"}}, "2.1", 400),
        ({"os-getVNCConsole": {"type": "invalid"}}, "2.1", 400),
        ({"os-getVNCConsole": {"type": None}}, "2.1", 400),
        ({"os-getVNCConsole": {}}, "2.1", 400),
        ({"os-getVNCConsole": None}, "2.1", 400),
        ({"os-getVNCConsole": {"type": "novnc"}}, "2.5", 200),
        ({"os-getVNCConsole": {"type": "novnc"}}, "2.6", 404),
        ({"os-getSPICEConsole": {"type": "spice-html5"}}, "2.1", 400),
        ({"os-getSerialConsole": {"type": "serial"}}, "2.1", 400),
        ({"os-getRDPConsole": {"type": "rdp-html5"}}, "2.1", 400),
    ],
)
def test_what_an_action_is_answered(api: Api, action: dict[str, Any], version: str, status: int) -> None:
    assert ask(api, api.server()["id"], action, version).status_code == status


@pytest.mark.parametrize(
    ("protocol", "kind", "words"),
    [
        ("serial", "serial", "Unavailable console type serial."),
        ("spice", "spice-html5", "Unavailable console type spice-html5."),
        ("vnc", "xvpvnc", "Unavailable console type xvpvnc."),
        ("vnc", "serial", "Unavailable console type serial."),
        ("mks", "webmks", "protocol: there is no 'mks'"),
        ("x", "novnc", "protocol: there is no 'x'"),
        ("vnc", "x", "type: there is no 'x'"),
    ],
)
def test_what_there_is_not_is_named(api: Api, protocol: str, kind: str, words: str) -> None:
    answer = remote(api, api.server()["id"], protocol, kind)
    assert (answer.status_code, answer.json["badRequest"]["message"]) == (400, words)


@pytest.mark.parametrize("status", ["BUILD", "SHUTOFF"])
def test_a_server_without_a_screen_is_not_ready(api: Api, status: str) -> None:
    server = api.server(status=status)
    answer = remote(api, server["id"], "vnc", "novnc")
    assert (answer.status_code, tokens(api.engine)) == (409, [])


def test_a_locked_server_is_looked_at_all_the_same(api: Api) -> None:
    server = api.server(facts={"locked": "1"})
    assert ask(api, server["id"], {"os-getVNCConsole": {"type": "novnc"}}).status_code == 200


@pytest.fixture
def without_url(settings: Console) -> Console:
    return Console(certificate=settings.certificate)


def test_without_a_proxy_there_are_no_screens(front: Front, rapi: FakeRapi, without_url: Console) -> None:
    app = create_app(Settings(front=front, console=without_url), rapi)
    api = Api(app.test_client(), app.extensions["ganeti-ext"].engine, rapi).become("alice")
    answer = remote(api, api.server()["id"], "vnc", "novnc")
    assert answer.json == {"badRequest": {"code": 400, "message": "Unavailable console type novnc."}}


LOG = b"Booting\r\nlogin: \x1b[1mroot\r\n\xff\x00done\n"
SHOWN = "Booting\nlogin: [1mroot\n\N{REPLACEMENT CHARACTER}done\n"


@pytest.mark.parametrize("status", ["ACTIVE", "SHUTOFF", "ERROR"])
def test_the_log_is_told(api: Api, node: Node, status: str) -> None:
    server = api.server(status=status)
    (node.folder / f"log/{server['instance']}.log").write_bytes(LOG)
    answer = ask(api, server["id"], {"os-getConsoleOutput": {"length": 2}})
    assert (answer.status_code, answer.json) == (200, {"output": "\N{REPLACEMENT CHARACTER}done\n"})
    assert api.rapi.asked == [f"instances/{server['instance']}", "nodes/node1.example.org"]


@pytest.mark.parametrize(
    ("argument", "output"),
    [
        ({}, SHOWN),
        ({"length": None}, SHOWN),
        ({"length": -1}, SHOWN),
        ({"length": "-1"}, SHOWN),
        ({"length": 0}, ""),
        ({"length": 1}, ""),
        ({"length": "2"}, "\N{REPLACEMENT CHARACTER}done\n"),
        ({"length": 2, "more": True}, "\N{REPLACEMENT CHARACTER}done\n"),
        ({"length": 10**15}, SHOWN),
    ],
    ids=str,
)
def test_a_log_is_told_from_its_end(argument: dict[str, Any], output: str) -> None:
    assert consolelog.tail(LOG, consolelog.lines(argument)) == output


@pytest.mark.parametrize("length", [-2, "x", "", 1.5, True, [], "1 "], ids=str)
def test_what_is_no_length_is_refused(length: object) -> None:
    with pytest.raises(BadRequest, match="length: "):
        consolelog.lines({"length": length})


def test_a_wrong_request_for_the_log_asks_nobody(api: Api) -> None:
    for argument in (None, {"length": -2}):
        assert ask(api, api.server()["id"], {"os-getConsoleOutput": argument}).status_code == 400
    assert api.rapi.asked == []


def test_a_server_in_the_making_has_no_log(api: Api) -> None:
    assert ask(api, api.server(status="BUILD")["id"], {"os-getConsoleOutput": {}}).status_code == 409


def test_ten_lines_are_ten() -> None:
    assert consolelog.tail(b"line\r\n" * 20, 10).split("\n") == [*["line"] * 9, ""]


def test_no_log_is_told_so(api: Api, rapi: FakeRapi) -> None:
    server = api.server()
    assert ask(api, server["id"], {"os-getConsoleOutput": {}}).status_code == 404
    rapi.get_fails = RapiError("no such instance", 404)
    assert ask(api, server["id"], {"os-getConsoleOutput": {}}).status_code == 404


def test_a_node_that_is_offline_is_not_waited_for(api: Api, rapi: FakeRapi) -> None:
    assert isinstance(rapi, Cluster)
    rapi.offline = True
    answer = ask(api, api.server()["id"], {"os-getConsoleOutput": {}})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")


@pytest.mark.parametrize("what", ["a node that does not answer", "a node that lets nobody in", "no remote API"])
def test_what_cannot_be_reached_is_tried_again_later(api: Api, rapi: FakeRapi, node: Node, what: str) -> None:
    server = api.server()
    if what.startswith("no"):
        rapi.get_fails = RapiUnavailable("down")
    elif what.endswith("in"):
        node.clients.unlink()
    else:
        node.close()
        node.close = lambda: None  # type: ignore[method-assign]
    answer = ask(api, server["id"], {"os-getConsoleOutput": {}})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "127.0.0.1" not in answer.text


def test_a_node_that_shows_another_certificate_is_not_asked(
    keys: Path, settings: Console, rapi: FakeRapi, node: Node
) -> None:
    nodes = consolenode.Nodes(rapi, settings, "unused")
    (node.folder / "log/gx-1.log").write_bytes(b"x")
    assert nodes.log("gx-1") == b"x"
    wrong = Console(certificate=settings.certificate, ca=f"{keys}/stranger.crt", port=settings.port)
    with pytest.raises(consolenode.Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        consolenode.Nodes(rapi, wrong, "unused").log("gx-1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "example.org"},
        {"listen": "6080"},
        {"token_seconds": 0},
        {"connections": 0},
        {"connections": 401},
        {"timeout": 0},
    ],
    ids=str,
)
def test_wrong_settings_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"console\\] {next(iter(wrong))}"):
        Console(**wrong)
