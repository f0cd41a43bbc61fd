"""Firewall profiles: what may come to a guest, as small files that an administrator writes (docs/firewall.md).

    [profile]
    description = Web server
    established = keep
    new = drop

    [allow web]
    protocol = tcp
    ports = 80, 443, 8000-8010
    sources = 192.0.2.0/24, 2001:db8::/32

Called NAME.conf, in one of DIRECTORIES: one in a later directory replaces one of the same name in an earlier.
"""

from __future__ import annotations

import os

from ganeti_ext import config
from ganeti_ext.errors import ConfigError
from ganeti_ext.selection import check_name
from kvm_ifup import profile_fields as fields
from kvm_ifup.profile import (
    ACCEPT,
    ANY4,
    ANY6,
    CUT,
    DROP,
    ICMP,
    ICMPV6,
    KEEP,
    PORTED,
    Allow,
    Profile,
    is_composed,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    T = TypeVar("T")

SHIPPED = os.path.join(os.path.dirname(os.path.realpath(__file__)), "profiles")
DIRECTORIES = (SHIPPED, "/etc/ganeti-ext/profiles")

# ICMP, and what in IPv6 is an extension header, which packet filters look behind (RFC 8200 section 4).
_IPV4_ALONE = (ICMP, 43, 44, 51, 59, 60)


def load(name: str, directories: Sequence[str] = DIRECTORIES) -> Profile:
    """Read one profile, or several whose rules add up (groups.py); no other file is opened."""
    if is_composed(name):
        from kvm_ifup import groups  # noqa: PLC0415 (most NICs have one profile of a file)

        return groups.composed(name, lambda part: load(part, directories))
    for directory in reversed(directories):
        path = os.path.join(directory, f"{name}.conf")
        if os.path.exists(path):
            return build(name, path, config.sections(path))
    known = ", ".join(paths(directories)) or "none at all"
    raise ConfigError(f"there is no firewall profile {name!r} in {' or '.join(directories)}; there are {known}")


def load_all(directories: Sequence[str] = DIRECTORIES) -> dict[str, Profile]:
    """Read every profile, by name."""
    return {name: build(name, path, config.sections(path)) for name, path in paths(directories).items()}


def paths(directories: Sequence[str] = DIRECTORIES) -> dict[str, str]:
    """The file of each profile, by name; hidden files and those with another ending are no profiles."""
    found = {}
    for directory in directories:
        for entry in os.listdir(directory) if os.path.isdir(directory) else ():
            if entry.endswith(".conf") and not entry.startswith("."):
                found[entry.removesuffix(".conf")] = os.path.join(directory, entry)
    return dict(sorted(found.items()))


def build(name: str, path: str, sections: Mapping[str, Mapping[str, str]]) -> Profile:
    """A profile from the texts of its file."""
    try:
        check_name(name)
    except ValueError as err:
        raise ConfigError(f"{path}: {name!r} cannot name a profile: {err}") from err
    if "profile" not in sections:
        raise ConfigError(f"{path}: there is no section [profile]")
    head = _Section(path, "profile", sections["profile"], ("description", "established", "new"))
    new = head.get("new", fields.one_of(DROP, ACCEPT)) or DROP
    allowed = tuple(_allow(path, title, keys) for title, keys in sections.items() if title != "profile")
    if new == ACCEPT and allowed:
        raise ConfigError(f"{path}: [allow {allowed[0].name}] has nothing to allow: [profile] says new = accept")
    return Profile(
        name=name,
        path=path,
        description=head.get("description", str) or "",
        established=head.get("established", fields.one_of(KEEP, CUT)) or KEEP,
        new=new,
        allowed=allowed,
    )


class _Section:
    """One section's texts, and errors that say where they stand."""

    def __init__(self, path: str, title: str, values: Mapping[str, str], known: Sequence[str]) -> None:
        self._at, self._values = f"{path}: [{title}]", values
        for key in values:
            if key not in known:
                raise ConfigError(f"{self._at} unknown key {key!r}; known: {', '.join(known)}")

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str, cast: Callable[[str], T]) -> T | None:
        """What the cast makes of a value, None when it is not set; its ValueError says what is allowed."""
        if key not in self._values:
            return None
        try:
            return cast(self._values[key])
        except ValueError as err:
            raise self.bad(key, str(err)) from err

    def bad(self, key: str, why: str) -> ConfigError:
        found = f"has a bad value {self._values[key]!r}" if key in self._values else "is not set"
        return ConfigError(f"{self._at} {key} {found}: {why}")


def _allow(path: str, title: str, keys: Mapping[str, str]) -> Allow:
    kind, _, name = title.partition(" ")
    try:
        check_name(name)
    except ValueError as err:
        kind = str(err)
    if kind != "allow":
        raise ConfigError(f"{path}: unknown section [{title}]; known: [profile] and [allow NAME], where {kind}")
    section = _Section(path, title, keys, ("protocol", "ports", "types", "sources", "family"))
    if "protocol" not in section:
        raise section.bad("protocol", fields.PROTOCOL)
    protocol = section.get("protocol", fields.protocol)
    if "ports" in section and protocol not in PORTED:
        raise section.bad("ports", "only tcp, udp and sctp have ports")
    if "types" in section and protocol not in fields.TYPES:
        raise section.bad("types", "only icmp and icmpv6 have types")
    ip4, ip6 = _sources(section, protocol)
    return Allow(
        name=name,
        protocol=protocol,
        ports=section.get("ports", fields.ports) or (),
        types=section.get("types", lambda text: fields.types(text, protocol or 0)) or (),
        ip4=ip4,
        ip6=ip6,
    )


def _sources(section: _Section, protocol: int | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The networks of both families; ConfigError where protocol, family and sources contradict each other."""
    alone = 4 if protocol in _IPV4_ALONE else 6 if protocol == ICMPV6 else 0
    family = section.get("family", fields.one_of("ipv4", "ipv6"))
    if family and alone and family != f"ipv{alone}":
        raise section.bad("family", f"this protocol is of IPv{alone} alone")
    alone = int(family[-1]) if family else alone
    found = section.get("sources", fields.networks)
    if not found:
        return () if alone == 6 else (ANY4,), () if alone == 4 else (ANY6,)
    ip4, ip6 = found
    wrong = {4: ip6, 6: ip4}.get(alone)
    if wrong:
        raise section.bad("sources", f"{wrong[0]} is none of IPv{alone}, which the protocol or the family asks for")
    return ip4, ip6
