"""/etc/ganeti-ext/exporter.conf."""

from __future__ import annotations

from dataclasses import dataclass, field

from ganeti_ext import config

PATH = "/etc/ganeti-ext/exporter.conf"


@dataclass(frozen=True, slots=True)
class Exporter:
    """[exporter]: where metrics are served."""

    listen: str = "127.0.0.1:9467"
    """HOST:PORT."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """[sockets]: where each daemon tells of itself; "" for one that is not asked."""

    nfdhcpd: str = "/run/nfdhcpd/control"
    reaper: str = "/run/ganeti-ext/reaper/control"
    eventd: str = "/run/ganeti-ext/eventd/control"
    consoled: str = "/run/ganeti-ext/consoled/control"
    consumer: str = "/run/ganeti-ext/consumer/control"
    api: str = "/run/ganeti-ext/api/counts"
    """A file that the API's processes map."""


@dataclass(frozen=True, slots=True)
class Settings:
    exporter: Exporter = field(default_factory=Exporter)
    sockets: Sockets = field(default_factory=Sockets)


def load(path: str = PATH) -> Settings:
    """The whole file; ConfigError names what is wrong."""
    return Settings(**config.load_all(path, {"exporter": Exporter, "sockets": Sockets}))
