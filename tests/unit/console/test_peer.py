"""A front at a node's door: TLS, who may ask, what is told."""

from __future__ import annotations

import contextlib
import logging
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganeti_ext import consolewire
from ganeti_ext.errors import ExtError
from tests.unit.console.agent import GOES, LOST, NO_USER, REFUSES, SILENT, Agent
from tests.unit.console.node import Node, keys, screen


@pytest.fixture(scope="session", name="keys")
def made_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def node(tmp_path: Path, keys: Path) -> Iterator[Node]:
    with contextlib.closing(Node(tmp_path, keys)) as made:
        yield made


def test_a_log_is_told(node: Node) -> None:
    (node.folder / "log/gx-1.log").write_bytes(b"Booting\r\n\xff")
    assert node.ask("log", "gx-1") == ({"octets": 10}, b"Booting\r\n\xff")
    node.settle()
    assert node.tally.served == {"screen": 0, "log": 1, "password": 0}


ACCOUNT = {"user": "root", "password": " s3cret wörd "}


def test_a_password_is_set_by_the_agent(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), contextlib.closing(Agent(node.folder / "gx-1.qga")) as agent:
        assert node.ask("password", "gx-1", **ACCOUNT) == ({}, b"")
        node.settle()
    assert agent.users == [("root", " s3cret wörd ")]
    assert (node.tally.served["password"], node.tally.unable) == (1, 0)
    assert "gx-1: a password was set" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("how", "why", "said"),
    [
        (None, "no socket", ""),
        (SILENT, "silent", ""),
        (LOST, "lost", ""),
        (GOES, "lost", ""),
        (REFUSES, "refused", NO_USER.replace("\n", " ")),
    ],
)
def test_a_password_that_is_not_set(
    node: Node, how: str | None, why: str, said: str,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr("console.agent.AWAKE", 0.3)
    monkeypatch.setattr("console.agent.SET", 0.3)
    with contextlib.ExitStack() as undo, caplog.at_level(logging.DEBUG):
        if how:
            undo.enter_context(contextlib.closing(Agent(node.folder / "gx-1.qga", how)))
        answer, _ = node.ask("password", "gx-1", **ACCOUNT)
        node.settle()
    assert (answer["why"], answer["said"]) == (why, said)
    assert (node.tally.served["password"], node.tally.unable) == (0, 1)
    assert "gx-1: no password was set: " in caplog.text
    assert "s3cret" not in caplog.text
    assert "chpasswd" not in caplog.text  # a guest could say the password


def test_an_agent_that_is_gone_with_its_guest(node: Node) -> None:
    Agent(node.folder / "gx-1.qga").close()
    answer, _ = node.ask("password", "gx-1", **ACCOUNT)
    assert answer["why"] == "silent"


@pytest.mark.parametrize("more", [{}, {"user": "root"}, {"user": "root", "password": "s3cret\n"}], ids=str)
def test_a_password_that_is_none_is_not_told(
    node: Node, more: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), contextlib.closing(Agent(node.folder / "gx-1.qga")) as agent:
        with pytest.raises(ExtError):
            node.ask("password", "gx-1", **more)
        node.settle()
    assert agent.commands == []
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("do", ["log", "screen"])
def test_what_is_not_here_is_told_so(node: Node, do: str) -> None:
    answer, _ = node.ask(do, "gx-2")
    node.settle()
    assert answer["absent"] is True
    assert "gx-2" in str(answer["error"])
    assert node.tally.absent == 1


def test_the_screen_of_a_guest_that_has_ended_is_not_here(node: Node) -> None:
    with screen(node.folder / "gx-1.vnc"):
        pass
    answer, _ = node.ask("screen", "gx-1")
    assert answer["absent"] is True


@pytest.mark.parametrize("who", [None, "stranger", "child", "node"])
def test_a_stranger_is_told_nothing(node: Node, who: str | None, caplog: pytest.LogCaptureFixture) -> None:
    (node.folder / "log/gx-1.log").write_bytes(b"secret")
    with caplog.at_level(logging.WARNING), pytest.raises((OSError, ExtError)):
        node.ask("log", "gx-1", who)
    with pytest.raises((OSError, ExtError)), contextlib.closing(Agent(node.folder / "gx-1.qga")) as agent:
        node.ask("password", "gx-1", who, **ACCOUNT)
    assert agent.commands == []
    node.settle()
    assert (node.tally.refused, node.tally.served["log"]) == (2, 0)
    assert "refused" in caplog.text


def test_a_front_may_be_added_and_taken_away_at_any_time(node: Node) -> None:
    (node.folder / "log/gx-1.log").write_bytes(b"x")
    node.clients.write_text(node.clients.read_text() + (node.keys / "stranger.crt").read_text())
    assert node.ask("log", "gx-1", "stranger")[1] == b"x"
    assert node.ask("log", "gx-1")[1] == b"x"
    node.clients.unlink()
    with pytest.raises((OSError, ExtError)):
        node.ask("log", "gx-1")


def test_a_screen_is_carried_both_ways_until_its_end(node: Node) -> None:
    """More than any buffer on the way holds, at once in both directions."""
    much = bytes(range(256)) * 8192
    with screen(node.folder / "gx-1.vnc") as listener, node.knock() as front:
        consolewire.send(front, {"do": "screen", "instance": "gx-1"})
        assert consolewire.receive(front) == {}
        guest, _ = listener.accept()
        with guest:
            writer = threading.Thread(target=guest.sendall, args=(much,))
            writer.start()
            sender = threading.Thread(target=_write, args=(front, much))
            assert consolewire.exactly(front, len(much)) == much
            writer.join()
            sender.start()
            assert consolewire.exactly(guest, len(much)) == much
            sender.join()
            assert node.tally.open == 1
        assert front.recv(1) == b""
    assert node.tally.served["screen"] == 1


def _write(front: ssl.SSLSocket, data: bytes) -> None:
    front.sendall(data)


def test_a_front_that_goes_closes_the_screen(node: Node) -> None:
    with screen(node.folder / "gx-1.vnc") as listener:
        with node.knock() as front:
            consolewire.send(front, {"do": "screen", "instance": "gx-1"})
            assert consolewire.receive(front) == {}
            guest, _ = listener.accept()
        with guest:
            guest.settimeout(10)
            assert guest.recv(1) == b""


def test_too_many_are_sent_away(node: Node) -> None:
    with node.knock(), node.knock():
        with pytest.raises(OSError):
            node.knock()
        assert node.tally.refused == 1
