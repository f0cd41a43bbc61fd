"""The real ganeti-ext-eventd and a real RabbitMQ that is killed, frozen, or not there."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import kombu
import pytest
from amqp.exceptions import AMQPError
from kombu.exceptions import KombuError

from ganeti_ext.event import SAMPLES_BINDING, SAMPLES_KEY
from ganeti_ext.outbox import Put
from tests.contract.eventd_node import Node
from tests.contract.services import RabbitMq
from tests.waiting import until

# After the broker's return; and for this machine's other work (the promise itself is measured on a quiet cluster).
PROMISE, SLACK = 5.0, 15.0
QUEUE = "ganeti-ext-front"


def say(words: str) -> None:
    """A figure, for who runs this with -s."""
    sys.stdout.write(f"{words}\n")


class Taker:
    """Takes and counts what is in the queue."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.found: list[tuple[int, int]] = []
        self.keys: set[str] = set()

    def take(self) -> None:
        with kombu.Connection(self._url, connect_timeout=5) as connection:
            queue = connection.channel()
            while message := queue.basic_get(QUEUE):
                payload = json.loads(message.body)
                assert message.properties["delivery_mode"] == 2
                if "jobId" in payload:  # not that eventd has started
                    self.found.append((payload["jobId"], payload["op_index"]))
                    self.keys.add(message.delivery_info["routing_key"])
                queue.basic_ack(message.delivery_tag)

    def has(self, count: int) -> bool:
        with contextlib.suppress(OSError, KombuError, AMQPError):  # it starts, or has no queue yet
            self.take()
        return len(set(self.found)) >= count


@pytest.fixture
def node(tmp_path: Path, rabbitmq: RabbitMq) -> Iterator[Node]:
    made = Node(tmp_path)
    made.configure(broker=rabbitmq.url)
    yield made
    made.close()


def at_rest(node: Node) -> None:
    """It delivers, and the broker has confirmed all that was: one who has a message may have it before that."""
    until(lambda: "delivering to" in node.log(), node.log)
    with contextlib.closing(node.outbox()) as outbox:
        until(lambda: not len(outbox), node.log)


def ends(count: int, first: int = 1) -> list[tuple[int, int]]:
    return [(job, op) for job in range(first, first + count) for op in range(3)]


def test_every_message_is_confirmed_and_in_order(node: Node, rabbitmq: RabbitMq) -> None:
    node.start()
    for number in range(1, 201):
        node.job("three-ops-second-failed", number)
    node.job("heartbeat", 300)
    taker = Taker(rabbitmq.url)
    until(lambda: taker.has(601), node.log)
    assert [end for end in taker.found if end != (300, 0)] == ends(200)
    assert taker.keys == {"ganeti.gx.event.op", "eventd.heartbeat"}
    outbox = node.outbox()
    until(lambda: not len(outbox), node.log)
    outbox.close()


def test_a_backlog_is_delivered_without_a_pause(node: Node, rabbitmq: RabbitMq) -> None:
    outbox = node.outbox()
    outbox.put([("ganeti.x", json.dumps({"jobId": number, "op_index": 0})) for number in range(5000)])
    node.start()
    until(lambda: "delivering to" in node.log(), node.log)
    took = until(lambda: not len(outbox), node.log)
    say(f"5000 messages in {took:.1f} s")
    outbox.close()
    taker = Taker(rabbitmq.url)
    until(lambda: taker.has(5000), node.log)
    assert taker.found == [(number, 0) for number in range(5000)]


def test_a_broker_that_is_killed_gets_all_soon_after_its_return(node: Node, rabbitmq: RabbitMq) -> None:
    node.start()
    node.job("three-ops-second-failed", 1)
    taker = Taker(rabbitmq.url)
    until(lambda: taker.has(3), node.log)
    at_rest(node)
    rabbitmq.kill()
    for number in range(2, 52):
        node.job("three-ops-second-failed", number)
    outbox = node.outbox()
    until(lambda: len(outbox) == 150, node.log)  # reading does not wait
    rabbitmq.start()
    took = until(lambda: taker.has(153), node.log, PROMISE + SLACK)
    assert set(taker.found) == set(ends(51))
    say(f"all of 150 messages {took:.1f} s after the broker's return")
    until(lambda: not len(outbox), node.log)
    outbox.close()
    assert node.log().count("trying again") <= 3, node.log()


def test_a_frozen_broker_is_noticed_and_holds_no_reading_up(node: Node, rabbitmq: RabbitMq) -> None:
    node.start()
    at_rest(node)
    outbox = node.outbox()
    with rabbitmq.frozen():
        for number in range(1, 101):
            node.job("three-ops-second-failed", number)
        until(lambda: len(outbox) == 300, node.log)
        noticed = until(lambda: "trying again" in node.log(), node.log, 10 + SLACK)
    taker = Taker(rabbitmq.url)
    took = until(lambda: taker.has(300), node.log, PROMISE + SLACK)
    say(f"noticed after {noticed:.1f} s, all there {took:.1f} s after the thaw")
    assert set(taker.found) == set(ends(100))
    until(lambda: not len(outbox), node.log)
    outbox.close()


def test_a_broker_that_freezes_while_nothing_happens_is_noticed(node: Node, rabbitmq: RabbitMq) -> None:
    node.start()
    at_rest(node)
    with rabbitmq.frozen():
        noticed = until(lambda: "heartbeats missed" in node.log(), node.log, 12 + SLACK)
    say(f"noticed after {noticed:.1f} s")
    until(lambda: node.log().count("delivering to") == 2, node.log, PROMISE + SLACK)


def test_a_broker_that_takes_nothing_for_now_is_not_left(node: Node, rabbitmq: RabbitMq) -> None:
    node.start()
    node.job("three-ops-second-failed", 1)
    taker = Taker(rabbitmq.url)
    until(lambda: taker.has(3), node.log)
    at_rest(node)
    outbox = node.outbox()
    with rabbitmq.without_memory():
        for number in range(2, 102):
            node.job("three-ops-second-failed", number)
        until(lambda: "takes nothing for now" in node.log(), node.log, 10 + SLACK)
        until(lambda: len(outbox) == 300, node.log)  # reading does not wait
        time.sleep(6)  # longer than a broker's word is waited for
        assert len(outbox) == 300
    until(lambda: taker.has(303), node.log, PROMISE + SLACK)
    assert taker.found == ends(101)  # nothing was sent again
    until(lambda: not len(outbox), node.log)
    outbox.close()
    assert "the broker takes messages again" in node.log()
    assert node.log().count("delivering to") == 1


def test_of_several_brokers_one_that_answers_is_enough(node: Node, rabbitmq: RabbitMq) -> None:
    with socket.socket() as closed, socket.socket() as silent:
        closed.bind(("127.0.0.1", 0))
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)  # accepts, and says nothing
        dead = [f"amqp://u:p@127.0.0.1:{one.getsockname()[1]}//" for one in (closed, silent)]
        node.configure(broker=", ".join([*dead, rabbitmq.url]))
        node.start()
        node.job("three-ops-second-failed", 1)
        taker = Taker(rabbitmq.url)
        until(lambda: taker.has(3), node.log)
    assert node.log().count("trying again") == 2


def test_a_queue_that_an_older_version_made_gets_what_is_new(node: Node, rabbitmq: RabbitMq) -> None:
    with kombu.Connection(rabbitmq.url) as connection:
        exchange = kombu.Exchange("ganeti", "topic", durable=True)
        kombu.Queue(QUEUE, exchange, routing_key="ganeti.#", durable=True).declare(channel=connection.channel())
    node.start()
    node.job("heartbeat", 5)
    taker = Taker(rabbitmq.url)
    until(lambda: taker.has(1), node.log)
    assert taker.keys == {"eventd.heartbeat"}


def test_samples_are_for_who_asks_and_are_kept_by_nobody(node: Node, rabbitmq: RabbitMq) -> None:
    with kombu.Connection(rabbitmq.url) as connection:
        exchange = kombu.Exchange("ganeti", "topic", durable=True)
        wants = kombu.Queue("wants", exchange, routing_key=SAMPLES_BINDING)(connection.channel())
        wants.declare()
        node.start()
        outbox = node.outbox()
        outbox.put([Put(SAMPLES_KEY, json.dumps({"jobId": 1, "op_index": 0}))])
        node.job("heartbeat", 5)
        taker = Taker(rabbitmq.url)
        until(lambda: taker.has(1), node.log)
        assert taker.keys == {"eventd.heartbeat"}
        found = wants.get(no_ack=True)
        assert found is not None
        kept = {key: found.properties[key] for key in ("delivery_mode", "expiration")}
        assert kept == {"delivery_mode": 1, "expiration": "300000"}
        until(lambda: not len(outbox), node.log)
        outbox.close()
