"""The source of messages that is a broker."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from frontend.update import amqp
from frontend.update.amqp import AmqpSource, addresses, shown
from frontend.update.consumer import Backoff
from ganeti_ext.errors import ConfigError
from ganeti_ext.service import Loop

END = b"the channel's end"


def frame(what: int | bytes) -> bytes:
    """A body of AMQP 0-9-1, of one octet or as it is."""
    payload = bytes([what]) if isinstance(what, int) else what
    return struct.pack(">BHI", 3, 1, len(payload)) + payload + b"\xce"


class Message:
    def __init__(self, tag: int, acked: list[tuple[int, bool]]) -> None:
        self.delivery_tag, self.body, self._acked = tag, f"body {tag}".encode(), acked

    def ack(self, multiple: bool) -> None:
        self._acked.append((self.delivery_tag, multiple))


class FakeBroker:
    """A connection as kombu gives it, over a real socket pair so that a loop can wait for it."""

    connection_errors = (OSError,)
    channel_errors = (LookupError,)

    def __init__(self, url: str, up: bool) -> None:
        self.url, self.up = url, up
        self.acked: list[tuple[int, bool]] = []
        self.beats = 0
        self.collected = False
        self._ours, self.theirs = socket.socketpair()
        self.connection = self.transport = self
        self.sock = self._ours
        self._read_buffer = b""
        self.deliver: Any = None

    def ensure_connection(self, max_retries: int) -> None:
        assert max_retries == 0
        if not self.up:
            raise ConnectionRefusedError("connection refused")

    def channel(self) -> FakeBroker:
        return self

    def basic_qos(self, size: int, count: int, everyone: bool) -> None:
        assert (size, count, everyone) == (0, amqp.PREFETCH, False)

    def push(self, *tags: int) -> None:
        self.theirs.sendall(b"".join(map(frame, tags)))

    @contextmanager
    def having_timeout(self, seconds: float) -> Iterator[socket.socket]:
        if not self.up:
            raise ConnectionResetError("connection reset")
        self._ours.settimeout(seconds)
        yield self._ours

    def on_inbound_frame(self, found: tuple[int, int, bytes]) -> None:
        kind, channel, payload = found
        assert (kind, channel) == (3, 1)
        if payload == END:
            self.ended = self._read_buffer  # amqp would go on reading there
        else:
            self.deliver(Message(payload[0], self.acked))

    def queue_declare(self, passive: bool) -> Any:
        assert passive
        return type("Answer", (), {"message_count": 1234})

    def heartbeat_check(self) -> None:
        self.beats += 1
        if not self.up:
            raise ConnectionResetError("too many heartbeats missed")

    def collect(self, socket_timeout: float) -> None:
        self.collected = socket_timeout is not None
        self._ours.close()


class Cluster:
    """Makes the connections; `down` has the hosts that refuse."""

    def __init__(self) -> None:
        self.made: list[FakeBroker] = []
        self.down: set[str] = set()

    def connect(self, url: str) -> FakeBroker:
        self.made.append(FakeBroker(url, not any(host in url for host in self.down)))
        return self.made[-1]


class FakeConsumer:
    def __init__(self, channel: FakeBroker, queues: list[Any], **_: Any) -> None:
        assert [queue.name for queue in queues] == ["ganeti-ext-front"]
        self.channel = channel
        self.on_message: Any = None

    def consume(self) -> None:
        self.channel.deliver = self.on_message


class FakeQueue:
    name = "ganeti-ext-front"

    def __call__(self, broker: FakeBroker) -> Any:
        return type("Bound", (), {"declare": lambda _: None, "queue_declare": staticmethod(broker.queue_declare)})()


URLS = "amqp://front:s3cret@one/v, amqp://front:s3cret@two/v"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr("frontend.update.amqp.kombu.Consumer", FakeConsumer)
    monkeypatch.setattr("frontend.update.amqp.QUEUE", FakeQueue())
    yield Cluster()


class Started:
    """A source in a loop, with a clock to turn."""

    def __init__(self, cluster: Cluster) -> None:
        self.now, self.calls, self.returns, self.loop = 0.0, 0, 0, Loop()
        self.source = AmqpSource(URLS, self.returned, cluster.connect, Backoff(lambda: self.now))
        self.source.start(self.loop, self.ready)

    def returned(self) -> None:
        self.returns += 1

    def ready(self) -> None:
        self.calls += 1

    def turn(self) -> None:
        """One turn of the loop: whatever can be read is."""
        self.loop._timers.clear()
        self.loop.every(0.001, lambda: None)
        self.loop._turn()


def test_queue_is_durable_and_hears_everything_of_ganeti_and_samples() -> None:
    queue = amqp.QUEUE
    assert (queue.name, queue.durable) == ("ganeti-ext-front", True)
    assert sorted(binding.routing_key for binding in queue.bindings) == ["eventd.#", "ganeti.#", "sample.#"]
    assert {binding.exchange for binding in queue.bindings} == {amqp.EXCHANGE}
    assert (amqp.EXCHANGE.name, amqp.EXCHANGE.type, amqp.EXCHANGE.durable) == ("ganeti", "topic", True)


def test_messages_are_given_until_they_are_settled(cluster: Cluster) -> None:
    started = Started(cluster)
    cluster.made[0].push(1, 2, 3)
    started.turn()
    given = started.source.take(2)
    assert [one.body for one in given] == [b"body 1", b"body 2"]
    assert started.source.take(2) == given
    assert cluster.made[0].acked == []
    started.source.settle(given)
    assert cluster.made[0].acked == [(2, True)]
    assert [one.tag for one in started.source.take(9)] == [3]


def test_the_socket_is_emptied_also_while_nothing_is_taken(cluster: Cluster) -> None:
    started = Started(cluster)
    cluster.made[0].push(*range(150))
    started.turn()
    before = started.calls
    started.turn()
    assert started.calls == before  # readable once, not for ever
    assert len(started.source.take(500)) == 150


def test_a_frame_that_comes_in_pieces(cluster: Cluster) -> None:
    started, whole = Started(cluster), b"".join(map(frame, (1, 2, 3)))
    for octet in whole[:-1]:
        cluster.made[0].theirs.send(bytes([octet]))
        started.turn()
    assert [one.tag for one in started.source.take(9)] == [1, 2]
    cluster.made[0].theirs.send(whole[-1:])
    started.turn()
    assert [one.tag for one in started.source.take(9)] == [1, 2, 3]


def test_many_frames_that_are_longer_than_what_is_read_at_a_time(cluster: Cluster) -> None:
    started, broker = Started(cluster), cluster.made[0]
    writer = threading.Thread(
        target=broker.theirs.sendall, args=(b"".join(frame(bytes([n]) * 50_000) for n in range(9)),)
    )
    writer.start()
    while len(started.source.take(9)) < 9:
        started.turn()
    writer.join()
    assert [one.tag for one in started.source.take(10)] == list(range(9))


def test_what_comes_after_the_end_of_a_channel_is_left_to_amqp(cluster: Cluster) -> None:
    started, broker = Started(cluster), cluster.made[0]
    broker.theirs.sendall(frame(1) + frame(END) + frame(2) + frame(3)[:4])
    started.turn()
    assert broker.ended == frame(2) + frame(3)[:4]
    assert [one.tag for one in started.source.take(9)] == [1, 2]


def test_what_is_no_frame_ends_the_connection(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    started = Started(cluster)
    cluster.made[0].theirs.sendall(frame(1)[:-1] + b"?")
    started.turn()
    assert "a frame ends with 0x3f and not with 0xce; connecting again" in caplog.text
    assert cluster.made[0].collected


def test_a_broker_that_closes(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    started = Started(cluster)
    cluster.made[0].theirs.close()
    started.turn()
    assert "amqp://one/v: connection closed by the broker; connecting again" in caplog.text
    assert cluster.made[0].collected


def test_a_lost_connection_is_made_again_to_the_next_broker(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    started = Started(cluster)
    first = cluster.made[0]
    first.push(1)
    started.turn()
    first.up = False
    started.source.tick()
    assert first.collected
    assert started.source.take(9) == []  # the broker will give it again
    started.source.tick()
    assert [broker.url.partition("@")[2] for broker in cluster.made] == ["one/v", "two/v"]
    cluster.made[1].push(1)
    started.turn()
    started.source.settle(started.source.take(9))
    assert cluster.made[1].acked == [(1, True)]
    assert "amqp://one/v: too many heartbeats missed" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_connection_that_breaks_while_it_is_read(cluster: Cluster) -> None:
    started = Started(cluster)
    cluster.made[0].push(1)
    cluster.made[0].up = False
    started.turn()
    assert cluster.made[0].collected
    started.source.tick()
    assert len(cluster.made) == 2


def test_brokers_are_tried_in_turn_with_pauses(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    cluster.down = {"one", "two"}
    started = Started(cluster)
    for second in range(8):
        started.now = second
        started.source.tick()
    tried = [broker.url.partition("@")[2] for broker in cluster.made]
    assert tried == ["one/v", "two/v", "one/v", "two/v", "one/v"]  # at 0, 1, 3, 5 and 7 s
    assert started.source.waiting() is None
    cluster.down = {"one"}
    started.now = 9
    started.source.tick()
    assert cluster.made[-1].up
    assert caplog.text.count("connection refused; trying again every 2 s") == 5
    assert started.returns == 0
    assert "s3cret" not in caplog.text


def test_heartbeats_are_kept_up(cluster: Cluster) -> None:
    started = Started(cluster)
    started.source.tick()
    started.source.tick()
    assert cluster.made[0].beats == 2
    started.source.close()
    assert cluster.made[0].collected


def test_a_broker_that_was_away_for_long_is_told_of(cluster: Cluster) -> None:
    started = Started(cluster)
    cluster.down = {"one", "two"}
    cluster.made[0].up = False
    started.source.tick()
    for started.now in (1.0, 3.0, 5.0, 11.1):
        started.source.tick()
    cluster.down.clear()
    started.now = 14
    started.source.tick()
    assert started.returns == 1


def test_what_waits_behind_those_that_came_is_counted(cluster: Cluster) -> None:
    started = Started(cluster)
    assert started.source.waiting() == 0
    cluster.made[0].push(*(number % 256 for number in range(amqp.PREFETCH - 1)))  # octets
    started.turn()
    started.source.tick()
    assert started.source.waiting() == amqp.PREFETCH - 1
    cluster.made[0].push(7)
    started.turn()
    started.source.tick()
    assert started.source.waiting() == amqp.PREFETCH + 1234


@pytest.mark.parametrize("url", ["amqp://u:s3cret@", "http://u:s3cret@h/", "amqp://u:s3cret@a/v,redis://u:s3cret@b"])
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match=r"is not amqp\[s\]://") as err:
        addresses(url)
    assert "s3cret" not in str(err.value)


def test_no_address_at_all() -> None:
    with pytest.raises(ConfigError, match="no broker"):
        addresses(" , ")


def test_shown_address_has_no_password_even_one_with_an_at() -> None:
    assert shown("amqps://u:p@ss@host:5671/v") == "amqps://host:5671/v"


def test_tls_checks_certificate_and_name() -> None:
    made = amqp.connection("amqps://u:p@broker.example.com/v")
    assert made.ssl == {"context": {"check_hostname": True}, "server_hostname": "broker.example.com"}
    assert amqp.connection("amqp://u:p@broker.example.com/v").ssl in (None, False)
