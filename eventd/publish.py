"""From the outbox to RabbitMQ; the only user of kombu.

Messages are persistent and confirmed by the broker: kept in the outbox until then, and sent again after any
failure, so a consumer may see one twice but none is lost. Order is kept.
"""

from __future__ import annotations

import itertools
import logging
import os
import select
import socket
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from amqp.exceptions import AMQPError, NotFound
from amqp.method_framing import frame_writer
from kombu import Connection, Exchange, Producer, Queue
from kombu.exceptions import KombuError

from eventd.counts import Counts
from eventd.worker import Worker
from ganeti_ext.event import BINDINGS, EXCHANGE, SAMPLES_KEY
from ganeti_ext.outbox import Message, Outbox, drain
from ganeti_ext.service import HasFileno

log = logging.getLogger(__name__)

_MOST = 131_072  # octets that are kept back to be written at once
_WINDOW = 256  # messages on the way to the broker's word
_CONNECT = 3.0  # seconds; the kernel asks again after 1 s
_CONFIRM = 5.0  # seconds to wait for the broker's word, or for room to write
# A broker that stands still, or is cut off, while nothing is sent: noticed after two of these, in seconds. What was
# sent and not acknowledged shows it sooner: after 1 s (amqp's TCP_USER_TIMEOUT).
_HEARTBEAT = 4
_LASTING = {"delivery_mode": 2}
_FLEETING = {"delivery_mode": 1, "expiration": 300}  # seconds in a front's queue
# Seconds, by how often all brokers failed: when one returns, all is to flow again at once.
_BACK_OFF = (0.1, 0.2, 0.5, 1.0)
# All that a broker, the way to it or a full disk may do to us.
_FAILURES = (OSError, AMQPError, KombuError, sqlite3.OperationalError)


class Publisher(Worker):
    """Delivers the outbox at `path` to the first of several brokers that answers.

    `queue` is declared and bound to all of the exchange's messages, so that they wait for a front that was
    never started yet; "" declares none. `reconnected` becomes readable when a broker was found again. When it is
    stopped, what the broker has not confirmed yet is sent again at the next start.
    """

    def __init__(self, path: str, urls: Sequence[str], queue: str, counts: Counts) -> None:
        super().__init__("publisher")
        self.reconnected = os.eventfd(0, os.EFD_CLOEXEC)
        self._path = path
        self._urls = urls
        self._queue = queue
        self._counts = counts

    def loop(self) -> None:
        outbox = Outbox(self._path)
        wake = outbox.listen()
        failures = 0
        trouble: dict[str, str] = {}
        for url in itertools.cycle(self._urls):
            name = _without_password(url)
            link = Link(url, self._queue, self._counts)
            try:
                with link:
                    self._connected(name, is_first=not trouble)
                    trouble.clear()
                    self._deliver(link, outbox, wake)
                break
            except _FAILURES as err:
                failures = 0 if link.delivered else failures + 1
                self._counts.publish_failures += 1
                if trouble.get(name) != str(err):  # once for an outage, however long
                    log.warning("%s: %s; trying again, %d messages wait", name, _words(err), len(outbox))
                trouble[name] = str(err)
            finally:
                self._counts.broker = ""
            rounds, rest = divmod(failures, len(self._urls))
            if not self.wait(0 if rest else _BACK_OFF[min(rounds, len(_BACK_OFF) - 1)]):
                break
        wake.close()
        outbox.close()

    def _connected(self, name: str, *, is_first: bool) -> None:
        log.info("delivering to %s", name)
        self._counts.broker = name
        if not is_first:
            os.eventfd_write(self.reconnected, 1)

    def _deliver(self, link: Link, outbox: Outbox, wake: socket.socket) -> None:
        """Until stopped; any of _FAILURES may be raised."""
        while True:
            drain(wake)
            # While the window is full, what is put need not wake us.
            files: list[HasFileno | int] = [link] if link.deliver(outbox) else [link, wake]
            if not self.wait(link.pause, files):
                return


class Together:
    """Frames that are written within it go to the broker at once: by itself amqp calls the kernel for each message."""

    def __init__(self) -> None:
        self._kept: bytearray | None = None

    def __enter__(self) -> None:
        self._kept = bytearray()

    def __exit__(self, kind: object, *_: object) -> None:
        kept, self._kept = self._kept, None
        if kind is None and kept:
            self._write(kept)

    def writer(self, connection: object, transport: Any) -> Callable[..., None]:
        """What amqp writes frames with."""
        self._write = transport.write
        return frame_writer(connection, self)  # type: ignore[no-any-return]

    def write(self, frames: memoryview | bytes) -> None:
        if self._kept is None:
            self._write(frames)
            return
        self._kept += frames
        if len(self._kept) > _MOST:
            self._write(self._kept)
            self._kept.clear()


class Link:
    """A connection to one broker, with publisher confirms."""

    def __init__(self, url: str, queue: str, counts: Counts) -> None:
        self.delivered = 0
        self._together = Together()
        self._kombu = Connection(
            url,
            heartbeat=_HEARTBEAT,
            connect_timeout=_CONNECT,
            ssl=_tls(url),
            transport_options={"frame_writer": self._together.writer},
        )
        self._exchange = Exchange(EXCHANGE, "topic", durable=True)
        self._queue = queue
        self._counts = counts
        self._sent = 0  # delivery tag of the last message: the broker counts them so, too
        self._flying: dict[int, Message] = {}  # by tag, in order
        self._confirmed: list[Message] = []
        self._last = 0  # seq of the last message that was sent
        self._heard = 0.0  # when the broker last confirmed something, or had nothing to confirm
        self._blocked = False
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

    @property
    def pause(self) -> float:
        """How long nothing is to be done if nothing comes, in seconds."""
        waiting = self._heard + _CONFIRM - time.monotonic() if self._flying and not self._blocked else _HEARTBEAT / 2
        return max(0.0, min(waiting, _HEARTBEAT / 2))

    def deliver(self, outbox: Outbox) -> bool:
        """Send what waits, and drop what the broker confirmed meanwhile; whether there is room for no more.

        Any of _FAILURES may be raised.
        """
        self._take_in(outbox)
        while room := 0 if self._blocked else _WINDOW - len(self._flying):
            messages = outbox.take(room, self._last)
            if not messages:
                break
            if not self._flying:
                self._heard = time.monotonic()
            with self._together:
                for message in messages:
                    self._send(message)
            self._take_in(outbox)  # a fast broker has confirmed some already
        self._amqp.heartbeat_tick()
        if self._flying and not self._blocked and time.monotonic() - self._heard > _CONFIRM:
            raise TimeoutError(f"{len(self._flying)} messages are not confirmed for {_CONFIRM:g} s")
        return len(self._flying) >= _WINDOW or self._blocked

    def _open(self) -> None:
        channel = self._kombu.channel()
        self._exchange.declare(channel=channel)
        if self._queue and not self._has_queue():
            Queue(self._queue, durable=True).declare(channel=channel)
        for key in BINDINGS if self._queue else ():  # also to one that an older version bound to less
            channel.queue_bind(self._queue, EXCHANGE, key)
        channel.confirm_select()
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        # Before each message amqp would look for a word of that, a call of the kernel or three; `_take_in` reads it.
        self._amqp.client_properties = {**self._amqp.client_properties, "capabilities": {}}
        self._amqp.on_blocked, self._amqp.on_unblocked = self._on_blocked, self._on_unblocked
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

    def _send(self, message: Message) -> None:
        self._sent += 1
        self._last = message.seq
        self._flying[self._sent] = message
        self._producer.publish(
            message.body,
            routing_key=message.key,
            content_type="application/json",
            content_encoding="utf-8",
            **(_FLEETING if message.key == SAMPLES_KEY else _LASTING),
        )

    def _take_in(self, outbox: Outbox) -> None:
        """All that is there: confirms, heartbeats, the word that the broker closes."""
        while self._has_input():
            self._amqp.blocking_read(_CONFIRM)
        if self._refused:
            raise ConnectionError("the broker refused a message")
        self._drop(outbox)

    def _has_input(self) -> bool:
        # What TLS has read ahead, no select tells.
        pending = getattr(self._socket, "pending", None)
        return bool(pending and pending()) or bool(select.select([self], [], [], 0)[0])

    def _drop(self, outbox: Outbox) -> None:
        if not self._confirmed:
            return
        outbox.drop([message.seq for message in self._confirmed])
        self._counts.confirmed(message.put_at for message in self._confirmed if message.put_at)
        self.delivered += len(self._confirmed)
        self._confirmed.clear()
        self._heard = time.monotonic()

    def _on_ack(self, tag: int, multiple: bool) -> None:
        tags = [known for known in self._flying if known <= tag] if multiple else [tag]
        self._confirmed += [self._flying.pop(known) for known in tags if known in self._flying]

    def _on_nack(self, _tag: int, _multiple: bool) -> None:
        self._refused = True

    def _on_blocked(self, reason: str) -> None:
        """RabbitMQ has no memory or disk left and reads no more of us: to connect anew would only repeat messages."""
        log.warning("the broker takes nothing for now: %s", reason)
        self._blocked = True

    def _on_unblocked(self) -> None:
        log.info("the broker takes messages again")
        self._blocked = False
        self._heard = time.monotonic()


def _tls(url: str) -> dict[str, object] | None:
    """For amqps:// only certificates that the system's authorities vouch for; amqp by itself would take any."""
    parts = urlsplit(url)
    return {"context": {"check_hostname": True}, "server_hostname": parts.hostname} if parts.scheme == "amqps" else None


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or (5671 if parts.scheme == 'amqps' else 5672)}{parts.path}"


def _words(err: Exception) -> str:
    return str(err) or type(err).__name__
