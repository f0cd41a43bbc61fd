"""The real ganeti-ext-events and ganeti-ext-exporter beside a real eventd."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kombu
import pytest

from ganeti_ext import event
from monitor import broker
from tests.contract.eventd_node import OWN_NAME, ROOT, Node
from tests.contract.services import RabbitMq

ENV = {"PATH": "/usr/bin:/bin", "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    made.configure(control=str(tmp_path / "control"))
    sockets = "nfdhcpd =\nreaper =\nconsoled =\nconsumer =\napi =\n"
    (tmp_path / "exporter.conf").write_text(f"[sockets]\n{sockets}eventd = {tmp_path}/control\n")
    yield made
    made.close()


def argv(node: Node, program: str, *words: str) -> list[str]:
    return [sys.executable, "-I", str(ROOT / "monitor" / program), *words, "--config", f"{node.path}/exporter.conf"]


def run(node: Node, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv(node, program, *words), env=ENV, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip


@contextlib.contextmanager
def tail(node: Node, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The command once it listens; its greeting is in the node's file `greeting`."""
    with subprocess.Popen(
        argv(node, "ganeti-ext-events", "tail", *words), env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as found:  # fmt: skip
        try:
            assert found.stderr is not None
            (node.path / "greeting").write_text(found.stderr.readline())
            yield found
        finally:
            found.kill()


def test_a_job_is_shown_as_it_goes_on(node: Node) -> None:
    node.start()
    with tail(node) as shown:
        assert shown.stdout is not None
        assert shown.stderr is not None
        assert (node.path / "greeting").read_text() == f"watching {OWN_NAME}; Ctrl-C ends it\n"
        node.job("startup-success", 7)
        line = shown.stdout.readline()
        assert "start done in " in line
        assert "(job 7" in line
        node.note("gx-web")
        assert "gx-web: its network was looked after on " in shown.stdout.readline()
        shown.send_signal(signal.SIGINT)
        assert shown.wait(10) == 0
        assert shown.stderr.read() == ""


def test_what_was_before_and_of_one_instance(node: Node) -> None:
    node.start()
    with tail(node) as shown:
        assert shown.stdout is not None
        node.note("gx-one")
        node.note("gx-two")
        assert [shown.stdout.readline().split()[1] for _ in range(2)] == ["gx-one:", "gx-two:"]
    with tail(node, "--since", "1h", "--instance", "gx-two") as later:
        assert later.stdout is not None
        assert "gx-two:" in later.stdout.readline()


def test_a_reader_who_stands_still_holds_nothing_up(node: Node) -> None:
    eventd = node.start()
    with tail(node) as slow, tail(node) as other:
        assert other.stdout is not None
        slow.send_signal(signal.SIGSTOP)
        for number in range(300):
            node.note(f"gx-{number}")
        names = [other.stdout.readline().split()[1] for _ in range(300)]
        assert names == [f"gx-{number}:" for number in range(300)]
        slow.send_signal(signal.SIGCONT)
    assert eventd.poll() is None


def test_status_and_metrics(node: Node) -> None:
    eventd = node.start()
    node.job("startup-success", 7)
    with tail(node, "--since", "1h") as shown:
        assert shown.stdout is not None
        assert f"{OWN_NAME} is the master" in shown.stdout.readline()
        shown.stdout.readline()
    done = run(node, "ganeti-ext-events", "status")
    assert done.returncode == 0, done.stderr
    assert f"{OWN_NAME} is the master: its jobs are told" in done.stdout
    assert "spool: 2 of at most 100000 messages wait" in done.stdout
    lines = run(node, "ganeti-ext-exporter", "--once").stdout.splitlines()
    for line in (
        'ganeti_ext_up{daemon="eventd"} 1',
        'ganeti_ext_eventd_events_total{type="ganeti-op-status"} 1',
        "ganeti_ext_eventd_spool_messages 2",
        "ganeti_ext_eventd_master 1",
    ):
        assert line in lines
    eventd.send_signal(signal.SIGTERM)
    assert eventd.wait(10) == 0
    assert not os.path.exists(node.path / "control")
    assert 'ganeti_ext_up{daemon="eventd"} 0' in run(node, "ganeti-ext-exporter", "--once").stdout
    assert "systemctl start ganeti-ext-eventd" in run(node, "ganeti-ext-events", "status").stderr


def test_on_another_node_the_master_is_named(node: Node) -> None:
    node.master("node2.example.org")
    node.start()
    with tail(node):
        greeting = (node.path / "greeting").read_text()
    assert "jobs are told on the master: ssh node2.example.org ganeti-ext-events tail" in greeting
    assert "(node2.example.org is; ask there)" in run(node, "ganeti-ext-events", "status").stdout


def test_no_socket_no_harm(node: Node) -> None:
    node.configure(control=str(node.path / "none/control"))
    eventd = node.start()
    assert "nobody can ask this daemon" in node.log()
    assert eventd.poll() is None


class Listening:
    """The command at a real broker, and a way to say something there."""

    def __init__(self, node: Node, rabbitmq: RabbitMq) -> None:
        parts = urlsplit(rabbitmq.url)
        self.server, self.url, self._node = (
            rabbitmq,
            f"amqp://{parts.username}@{parts.hostname}:{parts.port}{parts.path}",
            node,
        )
        self._password = node.path / "password"
        self._password.write_text(f"{parts.password}\n")

    def tail(self, *words: str) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
        return tail(self._node, "--broker", self.url, "--password-file", str(self._password), *words)

    def say(self, *messages: dict[str, Any] | str) -> None:
        with kombu.Connection(self.server.url) as connection:
            producer = connection.Producer(exchange=kombu.Exchange(event.EXCHANGE, "topic", durable=True))
            for message in messages:
                known = isinstance(message, dict)
                body = event.encode(message) if isinstance(message, dict) else message
                key = event.routing_key(message) if isinstance(message, dict) else "ganeti.gx.event.op"
                producer.publish(body, routing_key=key, content_type="application/json" if known else "text/plain")


@pytest.fixture
def listening(node: Node, rabbitmq: RabbitMq) -> Listening:
    return Listening(node, rabbitmq)


BEAT = {"type": event.HEARTBEAT, "version": 1, "event_time": [1700000000, 0], "probe": "p", "jobId": 7}
STARTED = {
    "type": event.OP_STATUS, "version": 1, "event_time": [1700000002, 0], "began": [1700000000, 0], "jobId": 17,
    "op_index": 0, "operation": "OP_INSTANCE_STARTUP", "status": "success", "instance": "web.example.com",
}  # fmt: skip


def test_listening_to_a_broker_takes_from_nobody(listening: Listening) -> None:
    with listening.tail() as shown, listening.tail("--json", "--instance", "web") as other:
        assert shown.stdout is not None
        assert shown.stderr is not None
        assert other.stdout is not None
        listening.say(BEAT, STARTED, "garbage")
        assert shown.stdout.readline() == "22:13:20.000 heartbeat p (job 7)\n"
        assert shown.stdout.readline() == "22:13:22.000 web.example.com: start done in 2.0 s (job 17)\n"
        assert shown.stdout.readline() == "a message - could not be understood\n"
        assert json.loads(other.stdout.readline())["instance"] == "web.example.com"
        assert "Passw0rd" not in Path(f"/proc/{shown.pid}/cmdline").read_text()
        shown.send_signal(signal.SIGINT)
        assert shown.wait(20) == 0
        assert shown.stderr.read() == ""
        listening.say(STARTED)
        assert json.loads(other.stdout.readline())["job"] == 17


def test_a_broker_that_goes_away_is_said(listening: Listening) -> None:
    with listening.tail() as shown:
        assert shown.stderr is not None
        listening.server.kill()
        assert shown.wait(30) == 69
        said = shown.stderr.read()
        assert said.startswith("ganeti-ext-events: amqp://127.0.0.1:")
        assert "Passw0rd" not in said
    listening.server.start()


def test_a_wrong_password(node: Node, listening: Listening) -> None:
    (node.path / "password").write_text("wrong\n")
    with listening.tail() as shown:
        assert shown.wait(30) == 69
    assert "ACCESS_REFUSED" in (node.path / "greeting").read_text()


def test_without_a_pause_the_broker_still_hears_that_we_live(
    rabbitmq: RabbitMq, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "_HEARTBEAT", 2)  # seconds: a client that is silent for twice that is dropped
    found = broker.listen([rabbitmq.url], None)
    assert next(found)["tailing"] is True
    over = threading.Event()

    def say() -> None:
        with kombu.Connection(rabbitmq.url) as connection:
            producer = connection.Producer(exchange=kombu.Exchange(event.EXCHANGE, "topic", durable=True))
            while not over.wait(0.05):
                producer.publish(event.encode(BEAT), routing_key=event.routing_key(BEAT))

    speaker = threading.Thread(target=say)
    speaker.start()
    try:
        end = time.monotonic() + 8
        while time.monotonic() < end:
            assert next(found)["probe"] == "p"
    finally:
        over.set()
        speaker.join()
        found.close()  # type: ignore[attr-defined]
