"""What /etc/ganeti-ext/frontend.conf may say, for the API, the consumer and the manage command."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from frontend.identity.settings_identity import Federation, Identity, Keystone
from frontend.image.settings_images import Images
from frontend.page.settings_page import Page
from ganeti_ext import config, consolewire
from ganeti_ext.errors import ConfigError

PATH = "/etc/ganeti-ext/frontend.conf"

_SAME_FOR_ALL = ("keypairs", "server_groups", "group_members", "metadata")  # limits that no project has of its own
_PROFILE = re.compile(r"[a-z0-9-]{1,24}")
_RANGE = re.compile(r"(?P<name>[A-Za-z][\w.]*?)(?P<first>\d+)-(?P<same>[A-Za-z][\w.]*?)(?P<last>\d+)")
_LINKS = 4094  # VLANs (IEEE 802.1Q, 9.6)
_TYPE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}(:[A-Za-z0-9][A-Za-z0-9_.-]{0,62})?")


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
    tenant_link: str = ""
    """The bridge that the networks which tenants make share; empty: they make none, or have bridges of their own."""
    tenant_links: tuple[str, ...] = ()
    """Bridges of which each such network has one to itself: names, or ranges as vlan100-vlan199."""
    provider: str = "cow"
    """ExtStorage provider of the servers' disks."""
    seed: str = "always"
    """Which servers have a disk that cloud-init reads: `always` all, `needed`: for whom there is something to tell."""
    shutdown_timeout: int = 120
    """Seconds that a guest has to power off by itself before it is switched off."""
    max_body: int = 114688
    """Octets of a request's body."""
    max_page: int = 1000
    """Entries of one answer."""
    max_jobs: int = 2000
    """Jobs that may go on in Ganeti; while there are more, what would start one is refused. 0: any number."""
    keep_actions: float = 30
    """Days that it is kept what jobs did; 0: for ever."""
    keep_samples: float = 24
    """Hours that it is kept what servers used, a sample a minute of each."""
    key_type: str = "ed25519"
    """Of keypairs that are made here: ed25519, rsa."""

    def __post_init__(self) -> None:
        for name in ("workers", "threads", "token_hours", "max_body", "max_page", "keep_samples"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"[front] {name}: {getattr(self, name)!r} is not above 0")
        for name in ("shutdown_timeout", "max_jobs", "keep_actions"):
            if getattr(self, name) < 0:
                raise ConfigError(f"[front] {name}: {getattr(self, name)!r} is below 0")
        if self.tenant_link and self.tenant_links:
            raise ConfigError("[front] tenant_links: there is tenant_link, too: networks share that, or have one each")
        if len(set(self.links)) != len(self.links):
            raise ConfigError("[front] tenant_links: a bridge is named twice")
        if self.seed not in ("always", "needed"):
            raise ConfigError(f"[front] seed: {self.seed!r} is neither always nor needed")
        if self.key_type not in ("ed25519", "rsa"):
            raise ConfigError(f"[front] key_type: {self.key_type!r} is neither ed25519 nor rsa")
        if self.public_url and not self.public_url.startswith(("http://", "https://")):
            raise ConfigError(f"[front] public_url: {self.public_url!r} is no http:// or https:// address")

    @property
    def links(self) -> tuple[str, ...]:
        """All that tenant_links names, in order; ConfigError for what is no range."""
        return tuple(link for word in self.tenant_links for link in _links(word))

    @property
    def makes_networks(self) -> bool:
        """Whether tenants do."""
        return bool(self.tenant_link or self.tenant_links)


def _links(word: str) -> list[str]:
    found = _RANGE.fullmatch(word)
    if found is None:
        return [word]
    first, last = int(found["first"]), int(found["last"])
    if found["name"] != found["same"] or not first <= last < first + _LINKS:
        raise ConfigError(f"[front] tenant_links: {word!r}: expected one range as vlan100-vlan199, of {_LINKS} at most")
    return [f"{found['name']}{number}" for number in range(first, last + 1)]


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
class Clusters:
    """[clusters]: those besides that of [rapi], which ganeti-ext-manage adds (docs/clusters.md)."""

    seconds: float = 30
    """From one reading of what is free in a cluster to the next."""
    unknown: float = 60
    """Seconds of silence after which nobody knows how a cluster's servers are."""
    timeout: float = 10
    """Seconds to wait for a cluster's answer."""

    def __post_init__(self) -> None:
        for name in type(self).__annotations__:
            if getattr(self, name) <= 0:
                raise ConfigError(f"[clusters] {name}: {getattr(self, name)!r} is not above 0")


@dataclass(frozen=True, slots=True)
class Broker:
    """[broker]: where the consumer hears what Ganeti did."""

    url: str = field(default="outbox:/var/lib/ganeti-ext/eventd/outbox.db", repr=False)  # may hold a password
    """outbox:PATH or amqp[s]://USER:PASSWORD@HOST/VHOST, several of a cluster separated by commas."""


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
class Quota:
    """[quota]: what everybody may have; from `servers` on, a project that was given no other number. -1: any number."""

    keypairs: int = 100
    """Of a user."""
    server_groups: int = 10
    """Of a project."""
    group_members: int = 10
    """Servers of a server group."""
    metadata: int = 128
    """Items of a server."""
    servers: int = 10
    """Nova's own, as both below."""
    cores: int = 20
    ram: int = 51200
    """MiB of its servers."""
    addresses: int = -1
    """Public ones, of the administrator's networks (docs/quotas.md)."""
    floating_ips: int = 50
    """Of these, such that are no server's own. As Neutron."""
    images: int = 50
    """Of a project, of those that it made of servers or brought."""
    image_gigabytes: int = 1000
    """GiB of these, as disks."""
    security_groups: int = 10
    """Of a project, of its own."""
    security_group_rules: int = 100
    """Of all these."""
    networks: int = 10
    """Of a project, of those that it makes, as both below."""
    subnets: int = 20
    ports: int = 500
    """The NICs of its servers, and those that no server has yet."""
    volumes: int = 10
    gigabytes: int = 1000
    """GiB of its volumes and their snapshots."""
    snapshots: int = 10
    """Of its volumes."""

    def __post_init__(self) -> None:
        for name in type(self).__annotations__:
            least = 0 if name in _SAME_FOR_ALL else -1
            if not least <= getattr(self, name) <= 0x7FFFFFFF:
                raise ConfigError(f"[quota] {name}: {getattr(self, name)!r} is not from {least} to 2147483647")


@dataclass(frozen=True, slots=True)
class Credits:
    """[credits]: what things cost an hour (docs/quotas.md). A flavor may have a price of its own."""

    vcpu: float = 0
    """A virtual CPU of a server."""
    ram: float = 0
    """A GiB of its memory."""
    disk: float = 0
    """A GiB of its own disk."""
    volume: float = 0
    """A GiB of a volume, as those below of what they are of."""
    snapshot: float = 0
    image: float = 0
    address: float = 0
    """A public address."""

    def __post_init__(self) -> None:
        for name in type(self).__annotations__:
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"[credits] {name}: {getattr(self, name)!r} is no number from 0 on")


@dataclass(frozen=True, slots=True)
class Volumes:
    """[volumes]: Block Storage (docs/api.md)."""

    types: tuple[str, ...] = ()
    """Of volumes, an ExtStorage provider each, or PROVIDER:POOL; empty: [front] provider alone."""
    default: str = ""
    """The type of volumes that ask for none; empty: the first."""

    def __post_init__(self) -> None:
        for name in self.types:
            if not _TYPE.fullmatch(name):
                raise ConfigError(f"[volumes] types: {name!r}: expected PROVIDER or PROVIDER:POOL")
        if self.default and self.default not in self.types:
            raise ConfigError(f"[volumes] default: {self.default!r} is none of types")


@dataclass(frozen=True, slots=True)
class Firewall:
    """[firewall]: the nodes' firewall profiles (docs/firewall.md) as tenants may choose them: as security groups."""

    profiles: tuple[str, ...] = ("unprotected", "limited", "ssh")
    """Besides `protected`, which is what a server in no group has."""
    default: str = "unprotected"
    """The nodes' `default_profile`: what group `default` means where a network has no profile of its own."""

    def __post_init__(self) -> None:
        for name in (*self.profiles, self.default):
            if not _PROFILE.fullmatch(name) or name == "default":
                raise ConfigError(
                    f"[firewall] {name!r} is no name of a profile: 1 to 24 of a-z, 0-9 and -, not 'default'"
                )
        if "protected" in self.profiles:
            raise ConfigError("[firewall] profiles: 'protected' is what a server in no group has, and no group itself")


@dataclass(frozen=True, slots=True)
class Console:
    """[console]: servers' screens and serial logs (docs/console.md)."""

    url: str = ""
    """What browsers reach ganeti-ext-consoleproxy by; empty: there are no screens."""
    listen: str = "127.0.0.1:6080"
    """ADDRESS:PORT of ganeti-ext-consoleproxy. TLS is the web server's in front of it."""
    web: str = "/usr/share/novnc"
    """noVNC."""
    page: str = "vnc_lite.html"
    """The page of it that tenants are sent to."""
    token_seconds: float = 120
    """That a tenant has to open the address."""
    connections: int = 200
    """At once, screens and all; 400 at most."""
    certificate: str = "/var/lib/ganeti-ext/frontend/console.pem"
    """Shown to the nodes, with its key; made when it lacks."""
    ca: str = ""
    """PEM file with the certificate that the nodes show; empty: [rapi] ca."""
    port: int = consolewire.PORT
    """Of ganeti-ext-consoled on the nodes."""
    timeout: float = 5
    """Seconds to wait for a node."""

    def __post_init__(self) -> None:
        for name in ("token_seconds", "connections", "timeout"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"[console] {name}: {getattr(self, name)!r} is not above 0")
        if self.connections > 400:  # each has two sockets, and websockify's select(2) knows no file above 1,023
            raise ConfigError(f"[console] connections: {self.connections!r} is above 400")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ConfigError(f"[console] url: {self.url!r} is no http:// or https:// address")
        if not re.fullmatch(r".+:[0-9]{1,5}", self.listen):
            raise ConfigError(f"[console] listen: {self.listen!r}: expected ADDRESS:PORT")


@dataclass(frozen=True, slots=True)
class Settings:
    front: Front = field(default_factory=Front)
    rapi: RapiAccess = field(default_factory=RapiAccess)
    clusters: Clusters = field(default_factory=Clusters)
    broker: Broker = field(default_factory=Broker)
    images: Images = field(default_factory=Images)
    reconcile: Reconcile = field(default_factory=Reconcile)
    health: Health = field(default_factory=Health)
    quota: Quota = field(default_factory=Quota)
    credits: Credits = field(default_factory=Credits)
    volumes: Volumes = field(default_factory=Volumes)
    firewall: Firewall = field(default_factory=Firewall)
    identity: Identity = field(default_factory=Identity)
    federation: Federation = field(default_factory=Federation)
    keystone: Keystone = field(default_factory=Keystone)
    console: Console = field(default_factory=Console)
    page: Page = field(default_factory=Page)


def read(path: str = PATH) -> Settings:
    """The whole file; ConfigError names the file and the key that is wrong."""
    kinds = {
        "front": Front,
        "rapi": RapiAccess,
        "clusters": Clusters,
        "broker": Broker,
        "images": Images,
        "reconcile": Reconcile,
        "health": Health,
        "quota": Quota,
        "credits": Credits,
        "volumes": Volumes,
        "firewall": Firewall,
        "identity": Identity,
        "federation": Federation,
        "keystone": Keystone,
        "console": Console,
        "page": Page,
    }
    return Settings(**config.load_all(path, kinds))
