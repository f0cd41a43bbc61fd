"""Messages from RabbitMQ by a queue of our own, which goes when we go; the only user of kombu here."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ganeti_ext import config, event
from ganeti_ext.ask import Unavailable
from ganeti_ext.errors import ConfigError, ExtError
from ganeti_ext.tail import digest, is_of

try:
    import kombu
    from amqp.exceptions import AMQPError
except ImportError as err:
    raise ExtError("python3-kombu is not installed: listening to a broker needs it") from err

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ganeti_ext.session import Record

PASSWORD = "GANETI_EXT_BROKER_PASSWORD"  # noqa: S105 (the name of a variable)
# Where the broker's address stands: file, section, key.
CONFIGS = (
    ("/etc/ganeti-ext/frontend.conf", "broker", "url"),
    ("/etc/ganeti-ext/eventd.conf", "eventd", "broker"),
)
_HEARTBEAT = 20  # seconds
_CONNECT = 5
_MOST = 10_000  # messages that wait in the broker for a slow reader; then the oldest go


def address(url: str, password_file: str, env: Mapping[str, str], configs: object = CONFIGS) -> list[str]:
    """The brokers to try: `url` with its password put in, or those that the configuration names.

    ConfigError or ExtError says what is wrong, never with a password.
    """
    if not url:
        return _configured(configs)
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
        raise ConfigError("--broker is not amqp[s]://USER@HOST/VHOST")
    if parts.password:
        raise ConfigError(
            f"--broker: everybody sees the words of a command line: put the password into a file"
            f" (--password-file) or into the variable {PASSWORD}"
        )
    password = _read(password_file) if password_file else env.get(PASSWORD, "")
    secret = f":{quote(password, safe='')}" if password else ""
    user = f"{quote(unquote(parts.username), safe='')}{secret}@" if parts.username else ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return [urlunsplit((parts.scheme, f"{user}{host}{port}", parts.path, "", ""))]


def listen(urls: list[str], instance: str | None) -> Iterator[Record]:
    """{"tailing": true, "broker": ...} once it listens, then digests of all messages that come, or of one instance.

    Ends never; Unavailable when no broker answers, or the one that did goes away.
    """
    why = []
    for url in urls:
        connection = _connection(url)
        try:
            with connection:
                connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
                yield from _listen(connection, shown(url), instance)
        except (OSError, AMQPError, kombu.exceptions.KombuError) as err:
            why.append(f"{shown(url)}: {err or type(err).__name__}")
    raise Unavailable("; ".join(why))


def shown(url: str) -> str:
    """An address without user and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _listen(connection: kombu.Connection, name: str, instance: str | None) -> Iterator[Record]:
    channel = connection.channel()
    exchange = kombu.Exchange(event.EXCHANGE, type="topic", durable=True)
    queue = kombu.Queue("", exchange, exclusive=True, auto_delete=True, durable=False, max_length=_MOST)(channel)
    exchange(channel).declare()
    queue.queue_declare()
    for key in event.BINDINGS:
        queue.bind_to(exchange, routing_key=key)
    bodies: list[str | bytes] = []
    with kombu.Consumer(channel, [queue], no_ack=True, auto_declare=False) as consumer:
        consumer.on_message = lambda message: bodies.append(message.body)
        yield {"tailing": True, "broker": name}
        beat = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                connection.drain_events(timeout=_HEARTBEAT / 4)
            # Also where messages never pause: we only listen, and the broker drops who says nothing.
            if time.monotonic() - beat >= _HEARTBEAT / 4:
                connection.heartbeat_check()
                beat = time.monotonic()
            found, bodies[:] = list(bodies), []
            yield from _digests(found, instance)


def _digests(bodies: list[str | bytes], instance: str | None) -> Iterator[Record]:
    for body in bodies:
        try:
            record = digest(event.decode(body))
        except (ValueError, RecursionError) as err:
            record = {"time": None, "said": str(err), "outcome": "dead"}
        if instance is None or is_of(record, instance):
            yield record


def _connection(url: str) -> kombu.Connection:
    # amqps:// trusts what the system's certificates vouch for; amqp by itself would take any.
    secure = {"context": {"check_hostname": True}, "server_hostname": urlsplit(url).hostname}
    ssl = secure if url.startswith("amqps:") else None
    return kombu.Connection(url, heartbeat=_HEARTBEAT, connect_timeout=_CONNECT, ssl=ssl)


def _configured(configs: object) -> list[str]:
    tried = []
    for path, section, key in configs if isinstance(configs, tuple) else ():
        value = config.sections(path).get(section, {}).get(key, "")
        urls = [url for url in config.words(value) if url.startswith(("amqp://", "amqps://"))]
        if urls:
            return urls
        tried.append(f"{path} [{section}] {key}")
    raise ConfigError(f"no broker is configured here ({', '.join(tried)}): say --broker amqp://USER@HOST/VHOST")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().rstrip("\n")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"--password-file {path}: {err}") from err


def password_environment() -> Mapping[str, str]:
    """The environment, where the password may be."""
    return os.environ
