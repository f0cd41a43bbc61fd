"""/etc/ganeti-ext/dns.conf, section [dns]."""

from __future__ import annotations

from collections import namedtuple

from ganeti_ext import config
from ganeti_ext.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PATH = "/etc/ganeti-ext/dns.conf"
AUTO, NONE = ("auto",), ("none",)


class Settings(
    namedtuple(
        "Settings",
        "server port key zones reverse tag owner ttl timeout",
        defaults=("", 53, "", (), AUTO, "dns", "", 300, 5.0),
    )
):
    """What an administrator may choose. `ttl` and `timeout` are seconds, `key` is a path.

    Once loaded, `zones` are absolute names, and so are those of `reverse` if it is not AUTO; NONE has become ().
    """

    __slots__ = ()
    server: str
    port: int
    key: str
    zones: tuple[str, ...]
    reverse: tuple[str, ...]
    tag: str
    owner: str
    ttl: int
    timeout: float


def load(path: str = PATH) -> Settings | None:
    """The settings, or None when no server is named: then the hook is off. ConfigError for what makes no sense."""
    settings = config.load(path, "dns", Settings)
    if not settings.server:
        return None
    for key in ("key", "zones", "tag"):
        if not getattr(settings, key):
            raise ConfigError(f"{path}: [dns] {key} is not set")
    _check(path, settings)
    return _with_names(path, settings)


def _check(path: str, settings: Settings) -> None:
    wrong = {
        "server": len(settings.server.split()) != 1,
        "port": not 0 < settings.port < 2**16,
        "owner": not all(char.isascii() and (char.isalnum() or char in "-._") for char in settings.owner),
        "ttl": not 0 <= settings.ttl < 2**31,  # RFC 2181 section 8
        "timeout": not 0 < settings.timeout <= 60,
    }
    for key, is_wrong in wrong.items():
        if is_wrong:
            raise ConfigError(f"{path}: [dns] {key} has a bad value {getattr(settings, key)!r}")


def _with_names(path: str, settings: Settings) -> Settings:
    from hooks.dnsname import absolute, reverse_zone  # noqa: PLC0415 (ipaddress costs 5 ms, also where the hook is off)

    settings = settings._replace(zones=_each(path, "zones", absolute, settings.zones))
    if settings.reverse == AUTO:
        return settings
    prefixes = () if settings.reverse == NONE else settings.reverse
    return settings._replace(reverse=_each(path, "reverse", reverse_zone, prefixes))


def _each(path: str, key: str, make: Callable[[str], str], texts: Iterable[str]) -> tuple[str, ...]:
    found = []
    for text in texts:
        try:
            found.append(make(text))
        except ValueError as err:
            raise ConfigError(f"{path}: [dns] {key} has a bad value {text!r}: {err}") from err
    return tuple(found)
