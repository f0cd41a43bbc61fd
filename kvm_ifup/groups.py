"""Several firewall profiles as one, and tenants' groups as profiles, out of Ganeti's file of the cluster's tags.

Ganeti takes that file to every node, by itself (ganeti_ext/groups.py says what stands in it), so a node has to ask
nobody. A group that the file does not have, or that cannot be read, lets nothing come: it fails closed.
"""

from __future__ import annotations

from ipaddress import ip_network

from ganeti_ext import groups
from ganeti_ext.protocols import EXTENSIONS, ICMPV6, NUMBERS
from ganeti_ext.selection import JOINT, OWN
from kvm_ifup import groupfile
from kvm_ifup.profile import ACCEPT, ANY4, ANY6, CUT, DROP, ICMP, KEEP, PORTED, Allow, Profile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ganeti_ext.groups import Rule, Said

_read: tuple[object, dict[str, list[str]]] = (None, {})


def composed(name: str, load: Callable[[str], Profile]) -> Profile:
    """What profiles and groups let come together; `load` reads those of files, and its ConfigError is passed on.

    One that lets anything come does so for all; one that cuts what stands does so for all, too.
    """
    names = name.split(JOINT)
    found = [_profile(part) if part.startswith(OWN) else load(part) for part in names]
    opens = any(each.new == ACCEPT for each in found)
    return Profile(
        name=name,
        path="",
        description=", and ".join(each.description or each.name for each in found),
        established=CUT if any(each.established == CUT for each in found) else KEEP,
        new=ACCEPT if opens else DROP,
        allowed=() if opens else tuple(dict.fromkeys(allow for each in found for allow in each.allowed)),
    )


def said(key: str) -> Said:
    """What the file says of a group."""
    unknown = groups.Said(0, None, "Ganeti's file of the cluster's tags does not have it")
    try:
        return groups.read(_tags().get(key, ()), (key,)).get(key, unknown)
    except OSError as err:
        return unknown._replace(wrong=str(err))


def allowed(key: str, rules: tuple[Rule, ...]) -> Iterator[Allow]:
    """What rules let come to a guest; those that no node can judge by are left out, and let nothing come."""
    for number, rule in enumerate(rules):
        if rule.direction == groups.INGRESS:
            try:
                yield _allow(f"{key}-{number}", rule)
            except ValueError:
                continue


def _profile(part: str) -> Profile:
    key = part.removeprefix(OWN)
    found = said(key)
    if found.group is None:
        words = f"security group {key}, which lets nothing come: {found.wrong or 'it was deleted'}"
        return Profile(part, "", words, KEEP, DROP, ())
    words = f"security group {found.group.name!r:.60} of project {found.group.project:.40}"
    return Profile(part, "", words, KEEP, DROP, tuple(allowed(key, found.group.rules)))


def _allow(name: str, rule: Rule) -> Allow:
    protocol = NUMBERS[rule.protocol] if rule.protocol in NUMBERS else _number(rule.protocol)
    ports: tuple[tuple[int, int], ...] = ()
    types: tuple[int, ...] = ()
    code = None
    if protocol in (ICMP, ICMPV6):
        if (protocol == ICMP) is not (rule.family == 4):
            raise ValueError("ICMP of the other family")
        types, code = () if rule.first is None else (rule.first,), rule.last
    elif (rule.first, rule.last) != (None, None):
        if protocol not in PORTED or rule.first is None or rule.last is None:
            raise ValueError("only tcp, udp and sctp have ports")
        ports = ((rule.first, rule.last),)
    if rule.family == 6 and protocol in EXTENSIONS:
        raise ValueError("packet filters look behind it")
    network = ip_network(rule.remote, strict=False) if rule.remote else ip_network(ANY4 if rule.family == 4 else ANY6)
    if network.version != rule.family:
        raise ValueError("the network is of the other family")
    ip4, ip6 = ((str(network),), ()) if rule.family == 4 else ((), (str(network),))
    members = None if rule.group is None else groups.key_of(rule.group)
    return Allow(name, protocol, ports, types, ip4, ip6, code, members)


def _number(protocol: str | None) -> int | None:
    if protocol is None:
        return None
    number = int(protocol)
    if not 1 <= number <= 255:
        raise ValueError(f"{protocol} is no protocol")
    return number


def _tags() -> dict[str, list[str]]:
    """The tags of each group, by its key, of the file as it is now; it is read again only when it has changed."""
    global _read  # noqa: PLW0603 (a daemon asks for many groups, and for each at every change)
    now = groupfile.stamp()
    if now is None:
        return {}
    if now != _read[0]:
        found: dict[str, list[str]] = {}
        with open(groupfile.path(), encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith(groups.HEAD):
                    found.setdefault(line[len(groups.HEAD) :].partition(".")[0], []).append(line.rstrip("\n"))
        _read = (now, found)
    return _read[1]
