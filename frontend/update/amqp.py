"""Messages from RabbitMQ: a durable queue of the front's own behind the exchange that eventd writes to."""

from __future__ import annotations

import contextlib
import logging
import select
import ssl
import struct
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import kombu

from frontend.update.consumer import LONG, Backoff, Delivery
from ganeti_ext import event
from ganeti_ext.errors import ConfigError, ExtError
from ganeti_ext.service import Loop

log = logging.getLogger(__name__)

EXCHANGE = kombu.Exchange(event.EXCHANGE, type="topic", durable=True)
QUEUE = kombu.Queue(
    "ganeti-ext-front",
    [kombu.binding(EXCHANGE, routing_key=key) for key in (*event.BINDINGS, event.SAMPLES_BINDING)],
    durable=True,
)
PREFETCH = 1000
_CONNECT_TIMEOUT = 2  # seconds: a signal has to wait as long, and who is back within it is tried again late
_ANSWER_TIMEOUT = 5
# A broker that is frozen is given up after two of these.
_HEARTBEAT = 5
_PIECE = 16_384  # octets that are read at a time: what one record of TLS has, too
_HEAD = struct.Struct(">BHI")  # of a frame: its type, its channel, the size of its payload (AMQP 0-9-1, 4.2.3)
_FRAME_END = 0xCE


def addresses(urls: str) -> list[str]:
    """The brokers in a list with commas; ConfigError names (without its password) one that is none."""
    found = [url.strip() for url in urls.split(",") if url.strip()]
    for url in found:
        if not url.startswith(("amqp://", "amqps://")) or not urlsplit(url).hostname:
            raise ConfigError(f"[broker] url: {shown(url)!r} is not amqp[s]://USER:PASSWORD@HOST/VHOST")
    if not found:
        raise ConfigError("[broker] url: no broker in it")
    return found


def shown(url: str) -> str:
    """An address without what stands before its @."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def connection(url: str) -> Any:
    """A connection that is not made yet. amqps:// trusts what the system's certificates vouch for."""
    secure = {"ssl": {"context": {"check_hostname": True}, "server_hostname": urlsplit(url).hostname}}
    return kombu.Connection(
        url,
        connect_timeout=_CONNECT_TIMEOUT,
        heartbeat=_HEARTBEAT,
        transport_options={"read_timeout": _ANSWER_TIMEOUT, "write_timeout": _ANSWER_TIMEOUT},
        **(secure if url.startswith("amqps:") else {}),
    )


def backlog(urls: str) -> int:
    """How many messages wait in our queue; ExtError tells why that cannot be said."""
    why = []
    for url in addresses(urls):
        broker = connection(url)
        try:
            with broker:
                count: int = QUEUE(_channel(broker)).queue_declare(passive=True).message_count
                return count
        except _errors(broker) as err:
            why.append(f"{shown(url)}: {err}")
    raise ExtError("; ".join(why))


class AmqpSource:
    """A consumer of QUEUE on the first of some brokers that answers; it changes to the next when that one fails.

    `returned` is called when there is a broker again after there was none for long.
    """

    def __init__(
        self,
        urls: str,
        returned: Callable[[], None] = lambda: None,
        connect: Callable[[str], Any] = connection,
        backoff: Backoff | None = None,
    ) -> None:
        self._urls = deque(addresses(urls))
        self._returned, self._connect = returned, connect
        self._backoff = backoff or Backoff()
        self._broker: Any = None
        self._amqp: Any = None
        self._fd = -1
        self._readable = select.poll()
        self._waiting: deque[Any] = deque()
        self._behind = 0  # messages that waited in the queue when that was last asked

    def start(self, loop: Loop, ready: Callable[[], None]) -> None:
        self._loop, self._ready = loop, ready
        self._open()

    def take(self, limit: int) -> Sequence[Delivery]:
        return [Delivery(message.delivery_tag, message.body) for message in islice(self._waiting, limit)]

    def settle(self, deliveries: Sequence[Delivery]) -> None:
        last = None
        for _ in deliveries:
            last = self._waiting.popleft()
        if last is not None and self._broker is not None:
            # If this is lost, they come again and change nothing.
            self._guarded(lambda: last.ack(multiple=True))

    def tick(self) -> None:
        if self._broker is not None:
            self._guarded(self._look_after)
        elif not self._backoff.waiting:
            self._open()

    def waiting(self) -> int | None:
        """Those behind the ones that came already are counted when there may be some."""
        if self._broker is None:
            return None
        return len(self._waiting) + (self._behind if len(self._waiting) >= PREFETCH else 0)

    def close(self) -> None:
        self._drop()

    def _open(self) -> None:
        url = self._urls[0]
        broker = self._connect(url)
        try:
            self._channel = _channel(broker)
            self._channel.basic_qos(0, PREFETCH, False)
            QUEUE(self._channel).declare()
            consumer = kombu.Consumer(self._channel, [QUEUE], accept=None, auto_declare=False)
            consumer.on_message = self._waiting.append
            # What is compressed, say, and cannot be unpacked: taken as it is, so that it is laid aside.
            consumer.on_decode_error = lambda message, _: self._waiting.append(message)
            consumer.consume()
        except _errors(broker) as err:
            self._waiting.clear()
            broker.collect(socket_timeout=1)
            self._urls.rotate(-1)
            self._backoff.failed(f"broker {shown(url)}: {err}")
            return
        self._broker, self._amqp = broker, broker.connection
        self._fd = self._amqp.sock.fileno()
        self._readable.register(self._fd, select.POLLIN)
        self._loop.add(self._fd, self._on_readable)
        log.info("broker %s: connected", shown(url))
        if self._backoff.worked() > LONG:
            self._returned()
        # Messages may have come along with the last answer; nothing would wake us for them.
        self._ready()

    def _on_readable(self) -> None:
        # Always read to the end, also while the database is down: no more than PREFETCH come unasked.
        if self._broker is not None:
            self._guarded(self._receive)
        self._ready()

    def _receive(self) -> None:
        while self._readable.poll(0) or _decrypted(self._amqp.sock):
            try:
                _read(self._amqp)
            except TimeoutError:
                return

    def _look_after(self) -> None:
        self._broker.heartbeat_check()
        if len(self._waiting) >= PREFETCH:
            self._behind = QUEUE(self._channel).queue_declare(passive=True).message_count

    def _guarded(self, action: Callable[[], object]) -> None:
        try:
            action()
        except _errors(self._broker) as err:
            log.error("broker %s: %s; connecting again", shown(self._urls[0]), err)
            self._urls.rotate(-1)
            self._drop()

    def _drop(self) -> None:
        """Let the connection go. What was not settled the broker gives again to whoever comes next."""
        self._waiting.clear()
        if self._broker is None:
            return
        with contextlib.suppress(OSError):  # a broker that took its leave has closed it already
            self._loop.remove(self._fd)
        self._readable.unregister(self._fd)
        broker, self._broker = self._broker, None
        broker.collect(socket_timeout=1)


def _read(connection: Any) -> None:
    """Give an amqp connection the frames that are there; TimeoutError when TLS has only a part of a record.

    By itself it asks the kernel some fifteen times for each message. What is no whole frame yet is left in its own
    buffer, and before each frame all that comes after it: should that one end the channel, it goes on reading there.
    """
    transport = connection.transport
    with transport.having_timeout(0.001) as sock:
        piece = sock.recv(_PIECE)
    if not piece:
        raise ConnectionResetError("connection closed by the broker")
    transport._read_buffer += piece  # noqa: SLF001 (it has no other name)
    while len(buffer := transport._read_buffer) > _HEAD.size:  # noqa: SLF001
        kind, channel, size = _HEAD.unpack_from(buffer)
        end = _HEAD.size + size
        if len(buffer) <= end:
            return
        if buffer[end] != _FRAME_END:
            raise ConnectionError(f"a frame ends with {buffer[end]:#04x} and not with {_FRAME_END:#04x}")
        transport._read_buffer = buffer[end + 1 :]  # noqa: SLF001
        connection.on_inbound_frame((kind, channel, buffer[_HEAD.size : end]))


def _decrypted(sock: Any) -> bool:
    """Whether TLS has octets that the kernel gave already."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def _channel(broker: Any) -> Any:
    """A channel, of one attempt to connect: kombu's own pauses would keep a signal waiting."""
    broker.ensure_connection(max_retries=0)
    return broker.channel()


def _errors(broker: Any) -> tuple[type[Exception], ...]:
    return (*broker.connection_errors, *broker.channel_errors, kombu.exceptions.OperationalError)
