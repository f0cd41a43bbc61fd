from __future__ import annotations

import os
import select
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from kombu.exceptions import OperationalError

from eventd import publish
from eventd.counts import Counts
from eventd.publish import Publisher
from ganeti_ext.outbox import Message, Outbox

BACK_OFF = publish._BACK_OFF


class Broker:
    """Stands for publish.Link: an endless supply of connections to brokers that fail as the test says."""

    failures: ClassVar[dict[str, list[Exception]]] = {}
    connected: ClassVar[list[str]] = []
    received: ClassVar[list[str]] = []

    pause = 5.0

    def __init__(self, url: str, queue: str, counts: Counts) -> None:
        assert queue == "queue"
        self.url = url
        self.counts = counts
        self.delivered = 0
        self._read, self._write = os.pipe()

    def __enter__(self) -> Broker:
        self.connected.append(self.url)
        self._fail("connect")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        return self._read

    def deliver(self, outbox: Outbox) -> bool:
        while messages := outbox.take(3):
            self._take(outbox, messages)
        return False

    def _take(self, outbox: Outbox, messages: list[Message]) -> None:
        for message in messages:
            self._fail(message.body)
            self.received.append(message.body)
        outbox.drop(message.seq for message in messages)
        self.delivered += len(messages)

    def _fail(self, when: str) -> None:
        failures = self.failures.get(f"{self.url} {when}", [])
        if failures:
            raise failures.pop(0)


@pytest.fixture
def publisher(
    tmp_path: Path, outbox: Outbox, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Publisher]]:
    monkeypatch.setattr(publish, "Link", Broker)
    monkeypatch.setattr(publish, "_BACK_OFF", (0.01, 0.02))
    for table in (Broker.failures, Broker.connected, Broker.received):
        table.clear()
    made: list[Publisher] = []

    def start(*urls: str) -> Publisher:
        made.append(Publisher(str(tmp_path / "outbox.db"), urls, "queue", counts))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.stop()


def wait(until: Callable[[], Any], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.005)


def put(outbox: Outbox, *numbers: int) -> None:
    outbox.put([("key", str(number)) for number in numbers])


def test_what_waited_and_what_comes_is_delivered_in_order(outbox: Outbox, publisher: Callable[..., Publisher]) -> None:
    put(outbox, *range(10))
    publisher("amqp://a")
    wait(lambda: len(Broker.received) == 10)
    put(outbox, 10)
    put(outbox, 11)
    wait(lambda: len(Broker.received) == 12)
    assert Broker.received == [str(number) for number in range(12)]
    wait(lambda: not len(outbox))
    assert Broker.connected == ["amqp://a"]


@pytest.mark.parametrize(
    "failure", [ConnectionResetError(104, "gone"), OperationalError("x"), sqlite3.OperationalError("disk is full")]
)
def test_after_a_failure_what_was_not_confirmed_is_sent_again(
    outbox: Outbox, publisher: Callable[..., Publisher], caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    Broker.failures["amqp://a 4"] = [failure]
    put(outbox, *range(6))
    publisher("amqp://a")
    wait(lambda: not len(outbox))
    assert Broker.received == ["0", "1", "2", "3", "3", "4", "5"]
    assert f"{failure}; trying again, 3 messages wait" in caplog.text


def test_the_brokers_are_tried_in_turn(outbox: Outbox, publisher: Callable[..., Publisher]) -> None:
    Broker.failures["amqp://a connect"] = [ConnectionRefusedError()] * 2
    Broker.failures["amqp://b connect"] = [ConnectionRefusedError()]
    put(outbox, 1)
    publisher("amqp://a", "amqp://b")
    wait(lambda: Broker.received)
    assert Broker.connected == ["amqp://a", "amqp://b"] * 2


def test_an_outage_is_one_line_for_each_broker(
    outbox: Outbox, publisher: Callable[..., Publisher], caplog: pytest.LogCaptureFixture
) -> None:
    for url in ("amqp://a", "amqp://b"):
        Broker.failures[f"{url} connect"] = [ConnectionRefusedError(111, "refused") for _ in range(5)]
    put(outbox, 1)
    publisher("amqp://a", "amqp://b")
    wait(lambda: Broker.received)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"amqp://{name}:5672: [Errno 111] refused; trying again, 1 messages wait" for name in "ab"
    ]


def test_the_brokers_of_a_round_are_tried_without_a_pause_and_pauses_stay_short(
    outbox: Outbox, publisher: Callable[..., Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    waits = Publisher.wait

    def waited(self: Publisher, seconds: float, files: Sequence[Any] = ()) -> bool:
        if not files:
            pauses.append(seconds)
        return waits(self, 0 if not files else seconds, files)

    monkeypatch.setattr(Publisher, "wait", waited)
    monkeypatch.setattr(publish, "_BACK_OFF", BACK_OFF)
    for url in ("amqp://a", "amqp://b"):
        Broker.failures[f"{url} connect"] = [ConnectionRefusedError(111, "refused") for _ in range(6)]
    put(outbox, 1)
    publisher("amqp://a", "amqp://b")
    wait(lambda: Broker.received)
    assert pauses[0::2] == [0] * 6
    assert pauses[1::2] == sorted(pauses[1::2])
    assert 0 < pauses[1] < pauses[-1] <= 2


def test_a_broker_that_returns_is_told_of_and_counted(
    outbox: Outbox, publisher: Callable[..., Publisher], counts: Counts
) -> None:
    running = publisher("amqp://u:p@a")
    wait(lambda: counts.broker)
    assert counts.broker == "amqp://a:5672"
    assert not select.select([running.reconnected], [], [], 0)[0]
    Broker.failures["amqp://u:p@a 1"] = [ConnectionResetError(104, "gone")]
    put(outbox, 1)
    assert select.select([running.reconnected], [], [], 5)[0]
    assert counts.publish_failures == 1
    running.stop()
    assert counts.broker == ""


def test_stop_ends_an_idle_publisher_at_once(
    publisher: Callable[..., Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Broker, "pause", 60.0)  # longer than `stop` waits
    running = publisher("amqp://a")
    wait(lambda: Broker.connected)
    running.stop()
    assert not running._thread.is_alive()


def test_a_bug_ends_it_and_says_so(
    outbox: Outbox, publisher: Callable[..., Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    Broker.failures["amqp://a 1"] = [ZeroDivisionError()]
    put(outbox, 1)
    running = publisher("amqp://a")
    assert select.select([running.ended], [], [], 5)[0]
    assert len(outbox) == 1


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://u:p@h:1234/v", "amqp://h:1234/v"),
        ("amqps://u:p%40ss@h/", "amqps://h:5671/"),
        ("amqp://h", "amqp://h:5672"),
    ],
)
def test_a_broker_is_named_without_its_password(url: str, shown: str) -> None:
    assert publish._without_password(url) == shown


def test_only_tls_asks_for_a_good_certificate() -> None:
    assert publish._tls("amqp://u:p@broker") is None
    assert publish._tls("amqps://u:p@broker") == {"context": {"check_hostname": True}, "server_hostname": "broker"}
