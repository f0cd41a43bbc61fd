"""eventd.conf."""

from __future__ import annotations

from dataclasses import dataclass

from ganeti_ext import config
from ganeti_ext.config import words
from ganeti_ext.errors import ConfigError

OUTBOX = "outbox:"


@dataclass(frozen=True, slots=True)
class Settings:
    """The section [eventd]; debian/conf/eventd.conf says what each key means."""

    broker: str = OUTBOX
    queue: str = "ganeti-ext-front"
    outbox: str = "/var/lib/ganeti-ext/eventd/outbox.db"
    outbox_limit: int = 100_000
    job_queue: str = "/var/lib/ganeti/queue"
    data_directory: str = "/var/lib/ganeti"
    query_socket: str = "/run/ganeti/socket/ganeti-query"
    query_timeout: float = 3.0
    spool: str = "/var/spool/ganeti-ext/notes"
    node_name: str = ""
    recent_hours: float = 24.0
    tag_hooks: bool = True
    noded_port: int = 0
    noded_certificate: str = "/var/lib/ganeti/server.pem"
    client_certificate: str = "/var/lib/ganeti/client.pem"
    hook_timeout: float = 60.0
    sample_seconds: float = 60.0
    kvm_directory: str = "/run/ganeti/kvm-hypervisor"
    control: str = "/run/ganeti-ext/eventd/control"
    log_level: str = "INFO"

    @property
    def brokers(self) -> tuple[str, ...]:
        """AMQP URLs in the order to try them; none when the outbox is the broker."""
        return () if self.broker == OUTBOX else words(self.broker)


def load(path: str) -> Settings:
    """Read the file; ConfigError never shows a broker's password."""
    settings = config.load(path, "eventd", Settings)
    if settings.broker != OUTBOX:
        _check_brokers(path, settings.brokers)
    if settings.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ConfigError(f"{path}: [eventd] log_level is {settings.log_level!r}, not DEBUG, INFO, WARNING or ERROR")
    least_of = {"outbox_limit": 1, "query_timeout": 0.1, "recent_hours": 1, "noded_port": 0, "hook_timeout": 1}
    for key, least in least_of.items():
        if getattr(settings, key) < least:
            raise ConfigError(f"{path}: [eventd] {key} is {getattr(settings, key)}, must be at least {least}")
    if settings.sample_seconds and not 1 <= settings.sample_seconds <= 300:
        seconds = settings.sample_seconds
        raise ConfigError(f"{path}: [eventd] sample_seconds is {seconds}, must be 0, or from 1 to 300")
    return settings


def _check_brokers(path: str, urls: tuple[str, ...]) -> None:
    if not urls:
        raise ConfigError(f"{path}: [eventd] broker is empty")
    for number, url in enumerate(urls, 1):
        if not url.startswith(("amqp://", "amqps://")):
            raise ConfigError(f"{path}: [eventd] broker: value {number} is neither {OUTBOX} nor amqp:// nor amqps://")
