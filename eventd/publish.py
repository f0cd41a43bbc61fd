"""From the outbox to RabbitMQ; the only user of kombu.

Messages are persistent and confirmed by the broker in batches: kept in the outbox until then, and sent again
after any failure, so a consumer may see one twice but none is lost. Order is kept.
"""

from __future__ import annotations

import itertools
import logging
import os
import select
import socket
import sqlite3
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

from amqp.exceptions import AMQPError, NotFound
from kombu import Connection, Exchange, Producer, Queue
from kombu.exceptions import KombuError

from ganeti_ext.event import EXCHANGE
from ganeti_ext.outbox import Message, Outbox, drain
from ganeti_ext.service import HasFileno

log = logging.getLogger(__name__)

_BATCH = 64
_CONFIRM = 5  # seconds to wait for the broker's word
_HEARTBEAT = 20  # seconds
_BACK_OFF = (0.5, 1, 2, 4)  # seconds, by how often all brokers failed
# All that a broker, the way to it or a full disk may do to us.
_FAILURES = (OSError, AMQPError, KombuError, sqlite3.OperationalError)


class Publisher:
    """A thread that delivers the outbox at `path` to the first of several brokers that answers.

    `queue` is declared and bound to all of the exchange's messages, so that they wait for a front that was
    never started yet; "" declares none. `ended` becomes readable if the thread dies of a bug.
    """

    def __init__(self, path: str, urls: Sequence[str], queue: str) -> None:
        self.ended = os.eventfd(0, os.EFD_CLOEXEC)
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._path = path
        self._urls = urls
        self._queue = queue
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 10) -> None:
        """Let it finish the batch that it is at."""
        os.eventfd_write(self._stop, 1)
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            self._deliver_until_stopped()
        finally:
            os.eventfd_write(self.ended, 1)

    def _deliver_until_stopped(self) -> None:
        outbox = Outbox(self._path)
        wake = outbox.listen()
        failures = 0
        trouble: dict[str, str] = {}
        for url in itertools.cycle(self._urls):
            name = _without_password(url)
            link = Link(url, self._queue)
            try:
                with link:
                    log.info("delivering to %s", name)
                    trouble.clear()
                    self._deliver(link, outbox, wake)
                break
            except _FAILURES as err:
                failures = 0 if link.delivered else failures + 1
                pause = _BACK_OFF[min(failures // len(self._urls), len(_BACK_OFF) - 1)]
                if trouble.get(name) != str(err):  # once for an outage, however long
                    log.warning("%s: %s; trying again, %d messages wait", name, _words(err), len(outbox))
                trouble[name] = str(err)
            if self._is_stopped([], pause):
                break
        wake.close()
        outbox.close()

    def _deliver(self, link: Link, outbox: Outbox, wake: socket.socket) -> None:
        """Until stopped; any of _FAILURES may be raised."""
        while True:
            drain(wake)
            count = link.deliver(outbox)
            if self._is_stopped([wake, link], 0 if count else _HEARTBEAT / 2):
                return

    def _is_stopped(self, files: list[HasFileno | int], seconds: float) -> bool:
        """Wait until one of the files is readable, at most so long; whether `stop` was called."""
        readable, _, _ = select.select([*files, self._stop], [], [], seconds)
        return self._stop in readable


class Link:
    """A connection to one broker, with publisher confirms."""

    def __init__(self, url: str, queue: str) -> None:
        self.delivered = 0
        self._kombu = Connection(url, heartbeat=_HEARTBEAT, connect_timeout=_CONFIRM, ssl=_tls(url))
        self._exchange = Exchange(EXCHANGE, "topic", durable=True)
        self._queue = queue
        self._sent = 0  # delivery tag of the last message: the broker counts them so, too
        self._unconfirmed: set[int] = set()
        self._refused = False

    def __enter__(self) -> Link:
        self._kombu.ensure_connection(max_retries=1, interval_start=0, interval_step=0)  # by itself it would sleep 2 s
        # Beneath kombu, which would connect again by itself and forget what was not confirmed.
        self._amqp = self._kombu.connection
        self._socket = self._amqp.sock
        # A broker that stands still must not hold us, whatever we wait for.
        self._socket.settimeout(_CONFIRM)
        try:
            self._open()
        except _FAILURES:
            self._abandon()
            raise
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._kombu.release()
        else:
            self._abandon()

    def fileno(self) -> int:
        number: int = self._socket.fileno()
        if number < 0:
            raise ConnectionResetError("connection closed")
        return number

    def deliver(self, outbox: Outbox) -> int:
        """Send the oldest that wait, and drop them when the broker confirmed them; how many.

        Any of _FAILURES may be raised.
        """
        messages = outbox.take(_BATCH)
        if messages:
            self._send(messages)
            outbox.drop(message.seq for message in messages)
            self.delivered += len(messages)
        self._keep_alive()
        return len(messages)

    def _open(self) -> None:
        channel = self._kombu.channel()
        self._exchange.declare(channel=channel)
        if self._queue and not self._has_queue():
            Queue(self._queue, self._exchange, routing_key="ganeti.#", durable=True).declare(channel=channel)
        channel.confirm_select()
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        self._producer = Producer(channel, self._exchange, auto_declare=False)

    def _abandon(self) -> None:
        """Close without asking the broker, who may be past answering."""
        self._amqp.collect()
        self._kombu.collect()

    def _has_queue(self) -> bool:
        """Who declared it may have chosen other properties; declaring it again with ours would fail."""
        try:
            self._kombu.channel().queue_declare(self._queue, passive=True)
        except NotFound:
            return False
        return True

    def _send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._sent += 1
            self._unconfirmed.add(self._sent)
            self._producer.publish(
                message.body,
                routing_key=message.key,
                content_type="application/json",
                content_encoding="utf-8",
                delivery_mode=2,
            )
        while self._unconfirmed and not self._refused:
            self._amqp.drain_events(timeout=_CONFIRM)
        if self._refused:
            raise ConnectionError("the broker refused a message")

    def _keep_alive(self) -> None:
        """Take in heartbeats, or the word that the broker closes."""
        while select.select([self], [], [], 0)[0]:
            self._amqp.blocking_read(_CONFIRM)
        self._amqp.heartbeat_tick()

    def _on_ack(self, tag: int, multiple: bool) -> None:
        self._unconfirmed -= {known for known in self._unconfirmed if known <= tag} if multiple else {tag}

    def _on_nack(self, _tag: int, _multiple: bool) -> None:
        self._refused = True


def _tls(url: str) -> dict[str, object] | None:
    """For amqps:// only certificates that the system's authorities vouch for; amqp by itself would take any."""
    parts = urlsplit(url)
    return {"context": {"check_hostname": True}, "server_hostname": parts.hostname} if parts.scheme == "amqps" else None


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or (5671 if parts.scheme == 'amqps' else 5672)}{parts.path}"


def _words(err: Exception) -> str:
    return str(err) or type(err).__name__
