"""What /etc/ganeti-ext/frontend.conf may say, for the API, the consumer and the manage command."""

from __future__ import annotations

from dataclasses import dataclass, field

from ganeti_ext import config
from ganeti_ext.errors import ConfigError

PATH = "/etc/ganeti-ext/frontend.conf"


@dataclass(frozen=True, slots=True)
class Front:
    """[front]: the API and its database."""

    database: str = "sqlite:////var/lib/ganeti-ext/frontend/front.db"
    """SQLAlchemy URL."""
    listen: str = "127.0.0.1:8774"
    """ADDRESS:PORT, or unix:PATH. TLS is the web server's in front of it."""
    workers: int = 2
    threads: int = 8
    """Threads of each worker process."""
    public_url: str = ""
    """What clients reach this API by; empty: as the request's Host header says."""
    region: str = "RegionOne"
    secret_file: str = "/var/lib/ganeti-ext/frontend/secret"  # noqa: S105 (a path)
    """Signs the tokens and encrypts what is owed; made at the first start."""
    token_hours: float = 12
    instance_prefix: str = "gx-"
    """An instance in Ganeti is called PREFIX + the server's UUID."""
    default_network: str = ""
    """Name or UUID of the network of servers that ask for none; empty: the only one there is."""
    provider: str = "cow"
    """ExtStorage provider of the servers' disks."""
    shutdown_timeout: int = 120
    """Seconds that a guest has to power off by itself before it is switched off."""
    max_body: int = 114688
    """Octets of a request's body."""
    max_page: int = 1000
    """Entries of one answer."""
    keep_actions: float = 30
    """Days that it is kept what jobs did; 0: for ever."""

    def __post_init__(self) -> None:
        for name in ("workers", "threads", "token_hours", "max_body", "max_page"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"[front] {name}: {getattr(self, name)!r} is not above 0")
        for name in ("shutdown_timeout", "keep_actions"):
            if getattr(self, name) < 0:
                raise ConfigError(f"[front] {name}: {getattr(self, name)!r} is below 0")
        if self.public_url and not self.public_url.startswith(("http://", "https://")):
            raise ConfigError(f"[front] public_url: {self.public_url!r} is no http:// or https:// address")


@dataclass(frozen=True, slots=True)
class RapiAccess:
    """[rapi]: Ganeti's remote API. url, user, password and ca have no default."""

    url: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    """PEM file with the certificate that the remote API shows."""
    timeout: float = 10
    """Seconds to wait for an answer."""

    def need(self) -> RapiAccess:
        """Itself; ConfigError names the first key that must be set and is not."""
        for name in ("url", "user", "password", "ca"):
            if not getattr(self, name):
                raise ConfigError(f"[rapi] {name} is not set")
        return self


@dataclass(frozen=True, slots=True)
class Broker:
    """[broker]: where the consumer hears what Ganeti did."""

    url: str = field(default="outbox:/var/lib/ganeti-ext/eventd/outbox.db", repr=False)  # may hold a password
    """outbox:PATH or amqp[s]://USER:PASSWORD@HOST/VHOST, several of a cluster separated by commas."""


@dataclass(frozen=True, slots=True)
class Images:
    """[images]: the store that images are registered from."""

    directory: str = "/srv/ganeti-ext"
    """Holds images/ID.raw."""


@dataclass(frozen=True, slots=True)
class Reconcile:
    """[reconcile]: the consumer's comparison of the database with Ganeti."""

    seconds: float = 300
    """From one to the next; 0: only at the consumer's start and when messages may have been lost."""

    def __post_init__(self) -> None:
        if self.seconds < 0:
            raise ConfigError(f"[reconcile] seconds: {self.seconds!r} is below 0")


@dataclass(frozen=True, slots=True)
class Health:
    """[health]: how the front tells that it lives."""

    seconds: float = 300
    """Of silence, after which the consumer sends a probe through Ganeti; 0: none."""
    backlog: int = 1000
    """Messages that may wait for the consumer until that is bad."""
    control: str = "/run/ganeti-ext/consumer/control"
    """Where the consumer tells of itself; empty: nowhere."""
    counts: str = "/run/ganeti-ext/api/counts"
    """Where the API's processes count requests; empty: nowhere."""

    def __post_init__(self) -> None:
        for name in ("seconds", "backlog"):
            if getattr(self, name) < 0:
                raise ConfigError(f"[health] {name}: {getattr(self, name)!r} is below 0")


@dataclass(frozen=True, slots=True)
class Settings:
    front: Front = field(default_factory=Front)
    rapi: RapiAccess = field(default_factory=RapiAccess)
    broker: Broker = field(default_factory=Broker)
    images: Images = field(default_factory=Images)
    reconcile: Reconcile = field(default_factory=Reconcile)
    health: Health = field(default_factory=Health)


def read(path: str = PATH) -> Settings:
    """The whole file; ConfigError names the file and the key that is wrong."""
    kinds = {
        "front": Front,
        "rapi": RapiAccess,
        "broker": Broker,
        "images": Images,
        "reconcile": Reconcile,
        "health": Health,
    }
    return Settings(**config.load_all(path, kinds))
