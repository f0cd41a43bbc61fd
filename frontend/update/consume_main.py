"""ganeti-ext-consumer: keeps the front's database true."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial

from frontend import daemon, settings
from frontend.cluster.fleet import Fleet
from frontend.cluster.listener import Listener
from frontend.database import db
from frontend.database.vault import Vault
from frontend.effect import remote
from frontend.effect.clusters import Clusters
from frontend.identity import tokens
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
    rapi, vault = remote.of(config), Vault(tokens.load_secret(config.front.secret_file))
    telling = Telling(engine, rapi, config.health)

    def listener(fleet: Fleet, cluster: str, url: str) -> Listener:
        own = _mirror(config, telling, fleet)
        again = partial(fleet.trigger, "broker", cluster)
        return Listener(cluster, lambda: source(url, again), own, partial(fleet.trigger, "database", cluster))

    fleet = Fleet(engine, Clusters(rapi, engine, vault, config), vault, config, listener)
    mirror = _mirror(config, telling, fleet)
    loop = Loop()
    origin = source(config.broker.url, lambda: fleet.trigger_all("broker"))
    with ExitStack() as undo:
        pump = undo.enter_context(closing(Pump(origin, mirror, returned=lambda: fleet.trigger_all("database"))))
        undo.callback(telling.start(loop, pump, origin))
        pump.start(loop)
        undo.callback(fleet.close)
        loop.every(1, lambda: fleet.tick(pump.idle))
        loop.every(pruning.PERIOD, pruning.Pruning(engine, config.front.keep_actions, config.front.keep_samples).tick)
        loop.run()


def _mirror(config: settings.Settings, telling: Telling, fleet: Fleet) -> Mirror:
    # A message that comes alone would wait for the ping longer than for anything else but the disk.
    writer = db.open_writer(config.front.database, pre_ping=False)
    return Mirror(writer, config.front.instance_prefix, seen=telling.seen, compare=fleet.trigger, pay=fleet.pay)


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
