from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from eventd.hooks_runner import HooksFailedError, HooksRunner, HooksRunnerError, Script

Answer = Callable[[object], None]


@pytest.fixture
def runner() -> HooksRunner:
    return HooksRunner("/nowhere/server.pem", "/nowhere/client.pem", 0, 60)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """What noded says: JSON, or bytes as they are."""

    def set_answer(value: object) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        monkeypatch.setattr(HooksRunner, "_call", lambda *_: content)

    return set_answer


def run(runner: HooksRunner) -> list[Script]:
    return runner.run("10.0.0.2", "instance-tags", "post", {})


def test_scripts_in_their_order(runner: HooksRunner, answer: Answer) -> None:
    answer([True, [["d/10-x.bak", 0, ""], ["d/50-y", 2, "said"]]])
    skipped, ran = run(runner)
    assert (skipped.name, skipped.ran, ran.name, ran.ran, ran.output) == ("d/10-x.bak", False, "d/50-y", True, "said")


def test_no_scripts(runner: HooksRunner, answer: Answer) -> None:
    answer([True, []])
    assert run(runner) == []


def test_failed_scripts_are_one_line(runner: HooksRunner, answer: Answer) -> None:
    answer([True, [["d/1", 1, r"no\n  such tap"], ["d/2", 2, ""], ["d/3", 1, ""], ["d/4", 1, "x" * 1000]]])
    with pytest.raises(HooksFailedError) as caught:
        run(runner)
    assert str(caught.value) == f"d/1: no such tap; d/3: no output; d/4: {'x' * 500}..."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([False, "Error while executing\nbackend function: x"], "Error while executing backend function: x"),
        ([False, ["a", 1]], '["a", 1]'),
        ([True, [["d/1", 2]]], "an answer that is not noded's: "),
        ([True, [["d/1", "bad", ""]]], "an answer that is not noded's: "),
        ([True, 5], "an answer that is not noded's: "),
        ([True], "an answer that is not noded's: "),
        ({}, "an answer that is not noded's: "),
        (b"<html>", "an answer that is not noded's: b'<html>'"),
        (b"", "an answer that is not noded's: b''"),
        (b"[" * 100_000, "an answer that is not noded's: "),
    ],
)
def test_a_node_that_cannot(runner: HooksRunner, answer: Answer, content: Any, message: str) -> None:
    answer(content)
    with pytest.raises(HooksFailedError) as caught:
        run(runner)
    assert str(caught.value).startswith(message)


def test_no_certificates_means_no_answer(runner: HooksRunner) -> None:
    with pytest.raises(HooksRunnerError, match=r"/nowhere/server\.pem: .*No such file") as caught:
        run(runner)
    assert not isinstance(caught.value, HooksFailedError)


def test_the_port_is_that_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    services = {("ganeti-noded", "tcp"): 7}

    def look_up(name: str, protocol: str) -> int:
        if (name, protocol) not in services:
            raise OSError("service/proto not found")
        return services[name, protocol]

    monkeypatch.setattr(socket, "getservbyname", look_up)
    assert HooksRunner("", "", 5, 60)._port == 5
    assert HooksRunner("", "", 0, 60)._port == 7
    services.clear()
    assert HooksRunner("", "", 0, 60)._port == 1811
