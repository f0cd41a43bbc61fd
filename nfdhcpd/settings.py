"""nfdhcpd.conf."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, NamedTuple

from ganeti_ext import binding, config
from ganeti_ext.errors import ConfigError
from nfdhcpd import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PATH = "/etc/ganeti-ext/nfdhcpd.conf"
COMMUNICATION = "gnt.com."  # taps of Ganeti's own instance communication are not ours to answer


@dataclass(frozen=True, slots=True)
class General:
    """Section [general]."""

    directory: str = binding.DIRECTORY
    tap_prefix: str = "tap"
    bridged: bool = True
    log_level: str = "INFO"


@dataclass(frozen=True, slots=True)
class Dhcp:
    """Section [dhcp]; `lease` in seconds."""

    enable: bool = True
    queue: int = 42
    lease: int = 7 * 24 * 3600
    server_ip: str = ""
    nameservers: tuple[str, ...] = ()
    domain: str = ""
    search: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ipv6:
    """Section [ipv6]; `ra_period` in seconds."""

    enable: bool = True
    queue: int = 43
    ra_period: int = 600
    nameservers: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


class Settings(NamedTuple):
    """The whole file."""

    general: General = General()
    dhcp: Dhcp = Dhcp()
    ipv6: Ipv6 = Ipv6()


def load(path: str = PATH) -> Settings:
    """Read and check the file; ConfigError names the key."""
    sections = {"general": General, "dhcp": Dhcp, "ipv6": Ipv6}
    settings = Settings(**config.load_all(path, sections))
    for name, check in CHECKS.items():
        section, _, key = name.partition(".")
        value = getattr(getattr(settings, section), key)
        try:
            check(value)
        except ValueError as err:
            raise ConfigError(f"{path}: [{section}] {key} has a bad value {value!r}: {err}") from err
    if settings.dhcp.queue == settings.ipv6.queue:
        raise ConfigError(f"{path}: [dhcp] queue and [ipv6] queue are both {settings.dhcp.queue}")
    return settings


def _between(least: int, most: int) -> Callable[[int], None]:
    def check(value: int) -> None:
        if not least <= value <= most:
            raise ValueError(f"from {least} to {most}")

    return check


def _each(check: Callable[[str], object]) -> Callable[[Iterable[str]], None]:
    def check_all(values: Iterable[str]) -> None:
        for value in values:
            check(value)

    return check_all


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


CHECKS: dict[str, Callable[..., None]] = {
    "general.tap_prefix": _prefix,
    "general.log_level": _level,
    "dhcp.queue": _between(0, 65535),
    # T1 < T2 < lease needs room; above is "infinite" (RFC 2131, 3.3), which would never bring a change to a guest.
    "dhcp.lease": _between(60, 0xFFFFFFFE),
    "dhcp.server_ip": _maybe(IPv4Address),
    "dhcp.nameservers": _each(IPv4Address),
    "dhcp.domain": _maybe(names.encode),
    "dhcp.search": _each(names.encode),
    "ipv6.queue": _between(0, 65535),
    "ipv6.ra_period": _between(4, 1800),  # MaxRtrAdvInterval, RFC 4861, 6.2.1
    "ipv6.nameservers": _each(IPv6Address),
    "ipv6.domains": _each(names.encode),
}
