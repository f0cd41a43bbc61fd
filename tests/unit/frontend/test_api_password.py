"""changePassword: by the agent of a guest on a node, and what comes of it where it cannot."""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from frontend.compute import changepassword
from frontend.compute.changepassword import Turns
from frontend.console import consolenode
from frontend.database import db
from frontend.settings import Console, Front
from frontend.web.fault import Unavailable
from ganeti_ext.errors import ExtError, RapiError, RapiUnavailable
from tests.unit.console.agent import LOST, NO_USER, REFUSES, SILENT, WELL, Agent
from tests.unit.console.node import Node, keys
from tests.unit.frontend import consoles
from tests.unit.frontend.conftest import ALICE, COMPUTE, FOREIGN, IMAGE, MINE, Api
from tests.unit.frontend.consoles import Cluster

SECRET = " s3cret wörd "
SERVERS = f"{COMPUTE}/servers"
VOLUME = "0dd00000-1111-4000-8000-000000000001"


@pytest.fixture(scope="session", name="keys")
def made_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def node(keys: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setattr("console.agent.AWAKE", 0.3)
    monkeypatch.setattr("console.agent.SET", 0.3)
    # A socket's path must be short.
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Node(Path(folder), keys)) as made:
        yield made


@pytest.fixture
def rapi() -> Cluster:
    return Cluster()


@pytest.fixture
def settings(tmp_path: Path, keys: Path, node: Node) -> Console:
    return consoles.settings(tmp_path, keys, node)


@pytest.fixture
def api(front: Front, rapi: Cluster, settings: Console) -> Api:
    return consoles.api(front, rapi, settings)


@contextlib.contextmanager
def agent(node: Node, server: dict[str, Any], how: str = WELL) -> Iterator[Agent]:
    with contextlib.closing(Agent(node.folder / f"{server['instance']}.qga", how)) as found:
        yield found


def ask(api: Api, server: dict[str, Any], argument: object = None, version: str = "2.1") -> Any:
    body = {"changePassword": {"adminPass": SECRET} if argument is None else argument}
    headers = {"OpenStack-API-Version": f"compute {version}"}
    return api.call("POST", f"{SERVERS}/{server['id']}/action", json=body, headers=headers)


def actions(api: Api, server: dict[str, Any]) -> Any:
    answer: Any = api.get(f"{SERVERS}/{server['id']}/os-instance-actions")
    return [(one["action"], one["message"]) for one in answer.json["instanceActions"]]


@pytest.mark.parametrize("version", ["2.1", "latest"])
def test_the_agent_sets_it(api: Api, node: Node, version: str, caplog: pytest.LogCaptureFixture) -> None:
    server = api.server()
    with caplog.at_level(logging.DEBUG), agent(node, server) as guest:
        answer = ask(api, server, version=version)
        node.settle()
    assert (answer.status_code, answer.text) == (202, "")
    assert guest.users == [("root", SECRET)]
    assert api.rapi.calls == []
    assert actions(api, server) == [("changePassword", None)]
    shown: Any = api.get(f"{SERVERS}/{server['id']}/os-instance-actions/{answer.headers['x-openstack-request-id']}")
    assert (shown.json["instanceAction"]["events"], shown.json["instanceAction"]["user_id"]) == ([], ALICE)
    assert "has set a password" in caplog.text
    assert "s3cret" not in caplog.text
    after = api.row(server["id"])
    assert (after["status"], after["task"]) == ("ACTIVE", None)


@pytest.mark.parametrize(
    ("properties", "user"),
    [
        ({"os_admin_user": "debian", "os_type": "windows"}, "debian"),
        ({"os_type": "windows"}, "Administrator"),
        ({"os_type": "Windows"}, "Administrator"),
        ({"os_type": "linux", "os_admin_user": ""}, "root"),
        ({}, "root"),
    ],
    ids=str,
)
def test_whose_it_is(api: Api, node: Node, properties: dict[str, str], user: str) -> None:
    server = api.server()
    with api.engine.begin() as connection:
        connection.execute(update(db.image).where(db.image.c.id == IMAGE).values(properties=properties))
    with agent(node, server) as guest:
        assert ask(api, server).status_code == 202
    assert guest.users == [(user, SECRET)]


def test_whose_it_is_where_the_root_is_a_volume(api: Api, node: Node) -> None:
    server = api.server(image_id="", disks=[{"name": f"vol-{VOLUME}", "size": 1024}])
    for told, user in ((None, "root"), ({"os_admin_user": "admin"}, "admin")):
        if told:
            _volume(api, {"image_meta": json.dumps(told)})
        with agent(node, server) as guest:
            assert ask(api, server).status_code == 202
        (node.folder / f"{server['instance']}.qga").unlink()
        assert guest.users == [(user, SECRET)]


def _volume(api: Api, facts: dict[str, str]) -> None:
    row = {"id": VOLUME, "instance": f"gx-vol-{VOLUME}", "project_id": MINE, "user_id": ALICE, "name": "root",
           "size": 1, "type": "cow", "status": "in-use", "created": 1.0, "updated": 1.0, "facts": facts}  # fmt: skip
    with api.engine.begin() as connection:
        connection.execute(insert(db.volume).values(row))


def test_whose_image_is_gone(api: Api, node: Node) -> None:
    server = api.server(image_id="0aaaaaaa-9999-4000-8000-000000000009")
    with agent(node, server) as guest:
        assert ask(api, server).status_code == 202
    assert guest.users == [("root", SECRET)]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (None, "QEMU guest agent is not enabled"),
        (SILENT, "no guest agent answers in it"),
        (LOST, "its guest agent did not say whether it has; look whether it is set"),
        (REFUSES, f"its guest agent said: {NO_USER}".replace("\n", " ")),
    ],
)
def test_a_guest_that_does_not(
    api: Api, node: Node, how: str | None, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = api.server()
    with contextlib.ExitStack() as undo, caplog.at_level(logging.DEBUG):
        if how:
            undo.enter_context(agent(node, server, how))
        answer = ask(api, server)
        node.settle()
    message = f"Failed to set admin password on {server['id']} because {words}"
    assert (answer.status_code, answer.json) == (409, {"conflictingRequest": {"code": 409, "message": message}})
    assert actions(api, server) == [("changePassword", "Error")]
    assert "s3cret" not in caplog.text
    assert "chpasswd" not in caplog.text  # a guest could say the password


@pytest.mark.parametrize(
    "changes",
    [{"status": "SHUTOFF"}, {"status": "BUILD"}, {"status": "ERROR"}, {"task": "rebooting"},
     {"status": "RESCUE", "facts": {"rescued": "1"}}, {"facts": {"locked": "1"}}],
    ids=str,
)  # fmt: skip
def test_a_server_that_is_not_ready_is_not_asked(api: Api, node: Node, changes: dict[str, Any]) -> None:
    server = api.server(**changes)
    with agent(node, server) as guest:
        answer = ask(api, server)
    assert (answer.status_code, guest.commands, api.rapi.asked) == (409, [], [])
    assert actions(api, server) == []


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ({}, "adminPass: expected a string"),
        ({"adminPass": None}, "adminPass: expected a string"),
        ({"adminPass": ["s3cret"]}, "adminPass: expected a string"),
        ({"adminPass": ""}, "adminPass: 0 characters, 1 to 255 are allowed"),
        ({"adminPass": "s3cret" * 43}, "adminPass: 258 characters, 1 to 255 are allowed"),
        ({"adminPass": "s3cret\n"}, "adminPass: has characters that cannot be printed"),
        ({"adminPass": "x", "user": "root"}, "changePassword: there is no 'user'"),
        ("s3cret", "changePassword: expected an object"),
    ],
    ids=str,
)
def test_what_is_no_password_is_refused_without_it(api: Api, argument: object, words: str) -> None:
    answer = ask(api, api.server(), argument)
    assert (answer.status_code, answer.json) == (400, {"badRequest": {"code": 400, "message": words}})
    assert api.rapi.asked == []


def test_another_projects_server_is_as_none(api: Api, node: Node) -> None:
    foreign = api.server(project_id=FOREIGN)
    never = {"id": "0ddddddd-0000-4000-8000-000000000000"}
    with agent(node, foreign) as guest:
        answers = [ask(api, server) for server in (foreign, never)]
        assert ask(api.become("rita"), api.server()).status_code == 403
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text.replace(foreign["id"], "") == answers[1].text.replace(never["id"], "")
    assert (guest.commands, api.rapi.asked) == ([], [])


@pytest.mark.parametrize("what", ["gone", "shut", "offline", "no cluster", "none of Ganeti's"])
def test_what_cannot_be_reached(api: Api, rapi: Cluster, node: Node, what: str) -> None:
    server = api.server()
    if what == "gone":
        node.close()
        node.close = lambda: None  # type: ignore[method-assign]
    elif what == "shut":
        node.clients.unlink()
    elif what == "offline":
        rapi.offline = True
    else:
        rapi.get_fails = RapiUnavailable("down") if what == "no cluster" else RapiError("no such instance", 404)
    answer = ask(api, server)
    retried = what != "none of Ganeti's"
    assert (answer.status_code, answer.headers.get("Retry-After")) == ((503, "10") if retried else (409, None))
    assert "127.0.0.1" not in answer.text
    assert "node1" not in answer.text
    assert actions(api, server) == [("changePassword", "Error")]


def test_a_node_of_an_older_release(api: Api, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: object) -> None:
        raise ExtError("unknown request 'password'; known: screen, log")

    monkeypatch.setattr("ganeti_ext.consolewire.request", unknown)
    assert ask(api, api.server()).status_code == 503


def test_few_wait_for_guests_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns(3, 2)
    with turns.take("a"), turns.take("a"):
        with pytest.raises(Unavailable), turns.take("a"):
            pass
        with turns.take("b"), pytest.raises(Unavailable), turns.take("c"):
            pass
        with turns.take("c"):
            pass
    with turns.take("a"), turns.take("a"):
        pass


def test_a_silent_guest_holds_no_more_than_its_turn(api: Api, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changepassword, "_TURNS", Turns(4, 1))
    waits, goes_on = threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        waits.set()
        assert goes_on.wait(20)

    monkeypatch.setattr(consolenode.Nodes, "set_password", wait)
    servers, first = [api.server(), api.server()], []
    slow = threading.Thread(target=lambda: first.append(ask(api, servers[0]).status_code))
    slow.start()
    assert waits.wait(20)
    answer = ask(api, servers[1])
    goes_on.set()
    slow.join(20)
    assert (answer.status_code, answer.headers["Retry-After"], first) == (503, "10", [202])
    assert actions(api, servers[1]) == []
    assert ask(api, servers[1]).status_code == 202
