"""The floor's way through RabbitMQ, by kombu: a durable queue of its own, persistent messages, publisher confirms."""

from __future__ import annotations

from typing import Any

import kombu

_URL = "amqp://guest:guest@127.0.0.1//"
_PREFETCH = 200


def _queue(name: str) -> kombu.Queue:
    return kombu.Queue(name, kombu.Exchange(name, type="topic", durable=True), routing_key="#", durable=True)


class Sender:
    """Publishes with so many messages unconfirmed at a time; `flush` waits for the broker's word on all."""

    def __init__(self, name: str, window: int) -> None:
        self._window = window
        self._amqp = kombu.Connection(_URL)
        channel = self._amqp.channel()
        _queue(name)(channel).declare()
        channel.confirm_select()
        channel.events["basic_ack"].add(self._confirmed)
        self._producer = kombu.Producer(channel, _queue(name).exchange, auto_declare=False)
        self._sent = 0
        self._waiting: set[int] = set()

    def send(self, body: str) -> None:
        self._sent += 1
        self._waiting.add(self._sent)
        self._producer.publish(body, routing_key="event", content_type="application/json", content_encoding="utf-8")
        self._wait(self._window - 1)

    def flush(self) -> None:
        self._wait(0)

    def _wait(self, most: int) -> None:
        while len(self._waiting) > most:
            self._amqp.drain_events()

    def _confirmed(self, tag: int, multiple: bool) -> None:
        self._waiting -= {one for one in self._waiting if one <= tag} if multiple else {tag}


class PlainSender:
    """As kombu does it by itself: each publish waits for the broker's word."""

    def __init__(self, name: str) -> None:
        self._amqp = kombu.Connection(_URL, transport_options={"confirm_publish": True})
        channel = self._amqp.channel()
        _queue(name)(channel).declare()
        self._producer = kombu.Producer(channel, _queue(name).exchange, auto_declare=False)

    def send(self, body: str) -> None:
        self._producer.publish(body, routing_key="event", content_type="application/json", content_encoding="utf-8")

    def flush(self) -> None:
        """Nothing is kept back."""


class Taker:
    """Takes what has come, or one message at a time, and acknowledges it when it is done."""

    def __init__(self, name: str, *, single: bool) -> None:
        self._single = single
        self._amqp = kombu.Connection(_URL)
        channel = self._amqp.channel()
        channel.basic_qos(0, _PREFETCH, False)
        _queue(name)(channel).declare()
        consumer = kombu.Consumer(channel, [_queue(name)], accept=None, auto_declare=False)
        self._come: list[Any] = []
        consumer.on_message = self._come.append
        consumer.consume()

    def take(self) -> list[str | bytes]:
        """Waits for the first."""
        self._come.clear()
        while not self._come:
            self._amqp.drain_events()
        try:
            while not self._single:
                self._amqp.drain_events(timeout=0)
        except TimeoutError:
            pass
        return [message.body for message in self._come]

    def done(self) -> None:
        self._come[-1].ack(multiple=True)
