"""ganeti-ext-consumer: keeps the front's database true."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing

from frontend import daemon, settings
from frontend.database import db
from frontend.database.vault import Vault
from frontend.effect import remote
from frontend.effect.payer import Payer
from frontend.identity import tokens
from frontend.reconcile.reconcile import Background, Reconciler
from frontend.reconcile.schedule import Schedule
from frontend.update import pruning
from frontend.update.consumer import OutboxSource, Pump, Source
from frontend.update.mirror import Mirror
from frontend.update.telling import Telling
from ganeti_ext.errors import ConfigError
from ganeti_ext.service import Loop


def main() -> int:
    return daemon.main("ganeti-ext-consumer", __doc__, run)


def run(config: settings.Settings) -> None:
    """Until SIGTERM. ConfigError when a setting is wrong, SQLAlchemyError when there is no database at the start."""
    engine = db.connect_writer(config.front.database)
    rapi = remote.of(config)
    telling = Telling(engine, rapi, config.health)
    schedule = Schedule(config.reconcile.seconds, Background(Reconciler(engine, rapi, config.front.instance_prefix)))
    payer = Payer(engine, rapi, Vault(tokens.load_secret(config.front.secret_file)))
    # A message that comes alone would wait for the ping longer than for anything else but the disk.
    writer = db.open_writer(config.front.database, pre_ping=False)
    mirror = Mirror(writer, config.front.instance_prefix, seen=telling.seen, compare=schedule.trigger)
    loop = Loop()
    origin = source(config.broker.url, lambda: schedule.trigger("broker"))
    with ExitStack() as undo:
        pump = undo.enter_context(closing(Pump(origin, mirror, returned=lambda: schedule.trigger("database"))))
        undo.callback(telling.start(loop, pump, origin))
        pump.start(loop)
        loop.every(1, lambda: schedule.tick(pump.idle))
        loop.every(payer.PERIOD, payer.tick)
        loop.every(pruning.PERIOD, pruning.Pruning(engine, config.front.keep_actions).tick)
        loop.run()


def source(url: str, returned: Callable[[], None] = lambda: None) -> Source:
    """The source of messages at an address; `returned` is called when a broker is back that was away for long."""
    if url.startswith("outbox:"):
        return OutboxSource(url.removeprefix("outbox:"))
    if url.startswith(("amqp://", "amqps://")):
        from frontend.update.amqp import AmqpSource  # noqa: PLC0415 (kombu is not needed without a broker)

        return AmqpSource(url, returned=returned)
    raise ConfigError(
        f"[broker] url: it starts neither with outbox: nor with amqp:// nor with amqps://: {url[:8]!r}..."
    )
