"""What frontend.conf may say of users: whose they are, who vouches for them, and how often a password is guessed."""

from __future__ import annotations

from dataclasses import dataclass, field

from ganeti_ext.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Identity:
    """[identity]: whose users these are, and what guessing their passwords leads to."""

    source: str = "own"
    """own: users and tokens are this service's; keystone: they are Keystone's, see [keystone]."""
    attempts: int = 10
    """Wrong passwords in a row of a user, or secrets of an application credential, that lock it; 0: never."""
    address_attempts: int = 100
    """Wrong passwords from one address (of IPv6: from one /64) that lock it; 0: never."""
    attempt_minutes: float = 15
    """For how long wrong passwords count, and how long a lock holds."""
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses of web servers in front, which say in X-Forwarded-For whom a request is from."""

    def __post_init__(self) -> None:
        if self.source not in ("own", "keystone"):
            raise ConfigError(f"[identity] source: {self.source!r} is neither own nor keystone")
        for name in ("attempts", "address_attempts"):
            if getattr(self, name) < 0:
                raise ConfigError(f"[identity] {name}: {getattr(self, name)!r} is below 0")
        if self.attempt_minutes <= 0:
            raise ConfigError(f"[identity] attempt_minutes: {self.attempt_minutes!r} is not above 0")


@dataclass(frozen=True, slots=True)
class Federation:
    """[federation]: users whom the web server in front logs in."""

    secret_file: str = ""
    """What the web server proves itself with; empty: there is no federation."""
    map_file: str = "/etc/ganeti-ext/federation.map"
    """Which values of the attribute `groups` mean which projects and roles."""
    name: str = "X-Remote-User"
    """Header with the user's name, which must be his for ever."""
    groups: str = "X-Entitlement"
    separator: str = ";"
    provider: str = "federation"
    """As clients have to call it: --os-identity-provider."""
    protocol: str = "openid"
    """The same, --os-protocol."""
    make_users: bool = True
    make_projects: bool = False
    valid_days: float = 30
    """Since a user's last login, until his tokens and application credentials rest; 0: for ever."""
    origins: tuple[str, ...] = ("http://localhost:9990/auth/websso/",)
    """Addresses that a token may be posted to after single sign-on: the clients' own, and dashboards."""

    def __post_init__(self) -> None:
        if len(self.separator) != 1:
            raise ConfigError(f"[federation] separator: {self.separator!r} is not one character")
        if self.valid_days < 0:
            raise ConfigError(f"[federation] valid_days: {self.valid_days!r} is below 0")
        for origin in self.origins:
            if not origin.startswith(("http://", "https://")):
                raise ConfigError(f"[federation] origins: {origin!r} is no http:// or https:// address")


@dataclass(frozen=True, slots=True)
class Keystone:
    """[keystone]: where tokens are validated. url, user, password and project have no default."""

    url: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    project: str = ""
    """Of that user, who may validate tokens (in Keystone: role `service` or `admin`)."""
    user_domain: str = "Default"
    project_domain: str = "Default"
    public_url: str = ""
    """What clients are told to get tokens from; empty: url."""
    ca: str = ""
    """PEM file to check Keystone's certificate with; empty: the system's."""
    cache_seconds: int = 60
    """For how long a token that was valid is taken for valid; -1: not at all."""

    def need(self) -> Keystone:
        """Itself; ConfigError names the first key that must be set and is not."""
        for name in ("url", "user", "password", "project"):
            if not getattr(self, name):
                raise ConfigError(f"[keystone] {name} is not set")
        return self
