"""What a network's tags say of its subnets, beside what Ganeti has fields for. Pure.

Ganeti's network has one subnet of each family. Their names and the like are facts (tags.NETWORK); what their guests are
told is what nfdhcpd reads (docs/nfdhcpd.md): name servers, routes, how addresses come about, and whether it answers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from ganeti_ext import tags

NAMESERVERS, ROUTES, MODE, ONLY = "nameservers", "routes", "ipv6_mode", "only"
LONGEST = 128  # characters of a tag
HIDDEN4 = tags.encode({"hidden4": "1"})[0]
_FAMILY = {4: "ipv4", 6: "ipv6"}  # as nfdhcpd calls them

# How guests come to their IPv6 addresses: Neutron's word, and nfdhcpd's.
MODES = {"slaac": "slaac", "dhcpv6-stateless": "slaac+dhcpv6", "dhcpv6-stateful": "dhcpv6"}
WORDS = {ours: theirs for theirs, ours in MODES.items()}


class Subnet(NamedTuple):
    """One of the two."""

    name: str = ""
    description: str = ""
    labels: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    """FIRST-LAST, where not all of it is one."""
    nameservers: tuple[str, ...] = ()
    """In the order of the tenant."""
    routes: tuple[str, ...] = ()
    """DESTINATION@GATEWAY."""
    dhcp: bool = True
    """Whether guests are told of it."""
    mode: str = ""
    """Of IPv6, one of nfdhcpd's; empty: as its configuration says."""


def read(known: Sequence[str], version: int) -> Subnet:
    """The subnet of this version of a network with these tags."""
    return _read(tuple(known), version)


@lru_cache(maxsize=8192)
def facts(known: tuple[str, ...]) -> Mapping[str, str]:
    """tags.decode, of the same tags again and again."""
    return tags.decode(known)


@lru_cache(maxsize=8192)
def _read(known: tuple[str, ...], version: int) -> Subnet:
    said = facts(known)
    terms = list(_terms(known, version))
    only = [value for _, key, value in _said(known) if key == ONLY]
    return Subnet(
        name=said.get(f"name{version}", ""),
        description=said.get(f"description{version}", ""),
        labels=split(said.get(f"label{version}", "")),
        pools=split(said.get(f"pool{version}", "")),
        nameservers=tuple(each for _, key, value in terms if key == NAMESERVERS for each in value.split()),
        routes=tuple(each for _, key, value in terms if key == ROUTES for each in value.split()),
        dhcp=tags.NFDHCPD in known and all(value == _FAMILY[version] for value in only),
        mode=next((value for _, key, value in terms if key == MODE), ""),
    )


def write(known: Sequence[str], version: int, subnet: Subnet | None, other: int | None) -> list[str]:
    """The tags that say this of the subnet; None: that there is none. All else that the network has stays.

    `other` is the version of the network's other subnet, if it has one. ValueError when name servers do not fit into a
    tag.
    """
    gone = {tag for tag, *_ in _terms(known, version)} | {tag for tag, key, _ in _said(known) if key == ONLY}
    gone |= tags.carrying(known, [key for key in tags.NETWORK if key.endswith(str(version))])
    told = [version] if subnet is not None and subnet.dhcp else []
    if other is not None and read(known, other).dhcp:
        told.append(other)
    there = [each for each in (version if subnet is not None else None, other) if each is not None]
    kept = [tag for tag in known if tag not in gone and tag != tags.NFDHCPD]
    return [*kept, *_served(told, there), *(_tags(version, subnet) if subnet is not None else ())]


def change(known: Sequence[str], facts: Mapping[str, str]) -> list[str]:
    """The tags with these facts in place of what they say of them; an empty text takes a fact away."""
    gone = tags.carrying(known, facts)
    kept = [tag for tag in known if tag not in gone]
    return [*kept, *tags.encode({key: text for key, text in facts.items() if text})]


def _served(told: Sequence[int], there: Sequence[int]) -> list[str]:
    """Without the first of them, questions go onto the wire: for a DHCP server of the tenant's own."""
    if not told:
        return []
    only = [f"{tags.TERM}{ONLY}:{_FAMILY[told[0]]}"] if len(told) < len(there) else []
    return [tags.NFDHCPD, *only]


def _tags(version: int, subnet: Subnet) -> Iterator[str]:
    facts = {
        "name": subnet.name,
        "description": subnet.description,
        "label": ",".join(subnet.labels),
        "pool": ",".join(subnet.pools),
    }
    yield from tags.encode({f"{key}{version}": text for key, text in facts.items() if text})
    if subnet.nameservers:
        # In one tag, as of several nobody knows the order.
        tag = f"{tags.TERM}{NAMESERVERS}:{'*20'.join(subnet.nameservers)}"
        if len(tag) > LONGEST:
            raise ValueError(
                f"dns_nameservers: {', '.join(subnet.nameservers)} are {len(tag)} characters in a tag of Ganeti's, "
                f"at most {LONGEST} are possible"
            )
        yield tag
    yield from (f"{tags.TERM}{ROUTES}:{route}" for route in subnet.routes)
    if subnet.mode:
        yield f"{tags.TERM}{MODE}:{tags.escape(subnet.mode)}"


def _terms(known: Iterable[str], version: int) -> Iterator[tuple[str, str, str]]:
    """Tag, key and value of what is said of this version alone."""
    for tag, key, value in _said(known):
        of = {MODE: 6, NAMESERVERS: _version(value), ROUTES: _version(value.partition("@")[2])}.get(key)
        if of == version:
            yield tag, key, value


def _said(known: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Tag, key and value of what nfdhcpd is to tell; what cannot be read is somebody else's matter."""
    for tag in sorted(known):
        if tag.startswith(tags.TERM):
            try:
                yield tag, *tags.term(tag)
            except ValueError:
                continue


def _version(text: str) -> int | None:
    try:
        return ipaddress.ip_address(text.partition(" ")[0]).version
    except ValueError:
        return None


def split(text: str) -> tuple[str, ...]:
    """Of labels, or pools."""
    return tuple(filter(None, text.split(",")))
