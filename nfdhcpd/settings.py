"""nfdhcpd.conf."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, NamedTuple

from ganeti_ext import binding, config
from ganeti_ext.errors import ConfigError
from nfdhcpd import duid as identifier
from nfdhcpd import terms
from nfdhcpd.duid import DEFAULT_DUID
from nfdhcpd.terms import Guests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PATH = "/etc/ganeti-ext/nfdhcpd.conf"
COMMUNICATION = "gnt.com."  # taps of Ganeti's own instance communication are not ours to answer


@dataclass(frozen=True, slots=True)
class General:
    """Section [general]; `rate` and `burst` in packets, by tap."""

    directory: str = binding.DIRECTORY
    tap_prefix: str = "tap"
    bridged: bool = True
    rate: int = 50
    burst: int = 200
    control: str = "/run/nfdhcpd/control"
    log_level: str = "INFO"


@dataclass(frozen=True, slots=True)
class Dhcp:
    """Section [dhcp]."""

    enable: bool = True
    queue: int = 42
    server_ip: str = ""


@dataclass(frozen=True, slots=True)
class Ipv6:
    """Section [ipv6]; `ra_period` in seconds."""

    enable: bool = True
    queue: int = 43
    ra_period: int = 600


class Settings(NamedTuple):
    """The whole file. `guests` are the sections [guests] and [guests TAG]; `duid` is the server's (duid.py)."""

    general: General = General()
    dhcp: Dhcp = Dhcp()
    ipv6: Ipv6 = Ipv6()
    guests: Guests = Guests({})
    duid: bytes = DEFAULT_DUID


def load(path: str = PATH) -> Settings:
    """Read and check the file, and the server's identifier; ConfigError names the key or the file."""
    found = config.sections(path)
    config.refuse_unknown(path, found, _Known())
    kinds: dict[str, Callable[..., Any]] = {"general": General, "dhcp": Dhcp, "ipv6": Ipv6}
    made = {name: config.build(path, name, kind, found.get(name, {})) for name, kind in kinds.items()}
    settings = Settings(**made, guests=Guests(dict(_guests(path, found))), duid=identifier.load())
    for name, check in CHECKS.items():
        section, _, key = name.partition(".")
        _checked(path, section, key, getattr(getattr(settings, section), key), check)
    if settings.dhcp.queue == settings.ipv6.queue:
        raise ConfigError(f"{path}: [dhcp] queue and [ipv6] queue are both {settings.dhcp.queue}")
    return settings


class _Known:
    """Names of sections."""

    def __contains__(self, name: object) -> bool:
        return name in ("general", "dhcp", "ipv6", "guests") or str(name).startswith("guests ")


def _guests(path: str, found: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, dict[str, object]]]:
    for section in found:
        if section.partition(" ")[0] == "guests":
            values = config.typed(path, section, terms.FIELDS, found[section])
            if "prefix6" in values:
                raise ConfigError(f"{path}: [{section}] prefix6 would be delegated to every guest: say it in bindings")
            for key, value in values.items():
                _checked(path, section, key, value, partial(terms.check, key))
            yield section.removeprefix("guests").strip(), values


def _checked(path: str, section: str, key: str, value: object, check: Callable[..., object]) -> None:
    try:
        check(value)
    except ValueError as err:
        raise ConfigError(f"{path}: [{section}] {key} has a bad value {value!r}: {err}") from err


def _prefix(text: str) -> None:
    """Names reach iptables as PREFIX+, and must never cover Ganeti's own taps."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,12}", text):
        raise ValueError("a letter, then up to 12 letters, digits or _.-")
    if COMMUNICATION.startswith(text) or text.startswith(COMMUNICATION):
        raise ValueError(f"it covers Ganeti's own taps {COMMUNICATION}N")


def _level(text: str) -> None:
    if text not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("DEBUG, INFO, WARNING or ERROR")


def _maybe(check: Callable[[str], object]) -> Callable[[str], None]:
    def check_set(text: str) -> None:
        if text:
            check(text)

    return check_set


CHECKS: Mapping[str, Callable[..., object]] = {
    "general.tap_prefix": _prefix,
    "general.rate": terms.between(0, 1_000_000),
    "general.burst": terms.between(1, 1_000_000),
    "general.log_level": _level,
    "dhcp.queue": terms.between(0, 65535),
    "dhcp.server_ip": _maybe(IPv4Address),
    "ipv6.queue": terms.between(0, 65535),
    "ipv6.ra_period": terms.between(4, 1800),  # MaxRtrAdvInterval, RFC 4861, 6.2.1
}
