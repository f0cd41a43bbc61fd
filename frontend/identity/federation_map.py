"""What a federation says of a user, in projects and roles: the map's file, and its use. Pure.

# value of the attribute (a regular expression that all of it must match)      project   role
urn:geant:example\\.org:group:cloud:(\\w+):role=admin#aai\\.example\\.org        \\1        admin
urn:geant:example\\.org:group:cloud:(\\w+)#aai\\.example\\.org                   \\1        member
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from frontend.identity.accounts import ROLES
from ganeti_ext.errors import ConfigError

LONGEST = 1024  # characters of one value; longer ones match nothing


class Rule(NamedTuple):
    pattern: re.Pattern[str]
    project: str
    """Its name; \\1 and the like are what the pattern's groups matched."""
    role: str


class Told(NamedTuple):
    """What the web server says of a user."""

    name: str
    values: tuple[str, ...]


def parse(text: str, path: str) -> tuple[Rule, ...]:
    """The file's lines; ConfigError names the one that is wrong."""
    found = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line and not line.startswith("#"):
            found.append(_rule(line, f"{path}:{number}"))
    return tuple(found)


def memberships(rules: Iterable[Rule], values: Iterable[str]) -> frozenset[tuple[str, str]]:
    """The (project's name, role) of all rules that any value matches."""
    found = set()
    for value in values:
        for rule in rules if len(value) <= LONGEST else ():
            match = rule.pattern.fullmatch(value)
            project = match.expand(rule.project) if match else ""
            if project and len(project) <= 255 and project.isprintable():
                found.add((project, rule.role))
    return frozenset(found)


def told(name: str, groups: str, separator: str) -> Told | None:
    """From the two headers of a request; None when no single user is named.

    A name with a separator in it may be two, one of which the client has added.
    """
    user = _text(name).strip()
    if not user or len(user) > 255 or not user.isprintable() or "," in user or separator in user:
        return None
    values = (value.strip() for value in _text(groups).split(separator))
    return Told(user, tuple(value for value in values if value))


def _rule(line: str, place: str) -> Rule:
    words = line.split()
    if len(words) < 3:
        raise ConfigError(f"{place}: expected PATTERN PROJECT ROLE, found {line!r}")
    project, role = " ".join(words[1:-1]), words[-1]
    if role not in ROLES:
        raise ConfigError(f"{place}: role {role!r} is none of {', '.join(ROLES)}")
    try:
        pattern = re.compile(words[0])
        _check_template(pattern, project)
    except re.error as err:
        raise ConfigError(f"{place}: {err}") from err
    return Rule(pattern, project, role)


def _check_template(pattern: re.Pattern[str], project: str) -> None:
    """re.error when it names a group that the pattern has not."""
    for number, name in re.findall(r"\\(?:(\d)|g<(\w+)>)", project):
        if (number or name).isdecimal() and int(number or name) > pattern.groups:
            raise re.error(f"project {project!r}: the pattern has no group {number or name}")
        if name and not name.isdecimal() and name not in pattern.groupindex:
            raise re.error(f"project {project!r}: the pattern has no group {name!r}")


def _text(header: str) -> str:
    """WSGI (PEP 3333) hands the octets over as Latin-1, and the web servers write UTF-8; what is none is left out."""
    return header.encode("latin-1", "replace").decode("utf-8", "replace")
