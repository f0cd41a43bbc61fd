"""Firewall profiles as rules of iptables, a neutral list for both families; kvm_ifup/iptables.py puts them in.

    FORWARD -> ganeti-ext -> by mark -> ganeti-ext-PROFILE

What may pass returns: the rules behind ours in FORWARD, and its policy, are the administrator's. The dispatcher then
takes the number out of the mark, as profile_nft.py's does: what still has one was not judged.
"""

from __future__ import annotations

from collections import namedtuple

from kvm_ifup import member_sets, profile
from kvm_ifup.profile import ANY4, ANY6, DROP, ICMP, ICMPV6, MASK, UDP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kvm_ifup.profile import Allow, Profile

DISPATCH = "ganeti-ext"
_LONGEST = 28  # of a chain's name: XT_EXTENSION_MAXNAMELEN (linux/netfilter/x_tables.h) less the final zero
_MOST_PORTS = 15  # of a multiport match, where a range counts twice: XT_MULTI_PORTS (xt_multiport.h)
_ICMP = {ICMP: ("icmp", "icmp-type"), ICMPV6: ("icmp6", "icmpv6-type")}

SET, _MATCHED = "set", "match-set"  # of ipset(8): its name, and which address is looked up
IPV4, IPV6 = 4, 6
FAMILIES = (IPV4, IPV6)


class Rule(namedtuple("Rule", "target protocol source matches options", defaults=(0, "", (), ()))):
    """One rule, in the words in which `iptables -S` says it.

    `protocol` 0 and `source` "" are any; `matches` are of (match, options), and an option is (name, value);
    `options` are those of the target.
    """

    __slots__ = ()
    target: str
    protocol: int
    source: str
    matches: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    options: tuple[tuple[str, str], ...]


def _comment(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return "comment", (("comment", text),)


JUMP = Rule(DISPATCH, matches=(_comment("ganeti-ext: firewall profiles of guests"),))


def chains(profiles: Mapping[int, Profile], family: int, mask: int = MASK) -> dict[str, tuple[Rule, ...]]:
    """All chains of ours, by name, for the profiles by number; none when there are no profiles."""
    if not profiles:
        return {}
    found = {DISPATCH: tuple(_dispatch(profiles, mask))}
    for number, each in sorted(profiles.items()):
        found[chain(each.name, number)] = tuple(_judge(each, family))
    return found


def beside(
    there: Mapping[str, tuple[Rule, ...]], wanted: Mapping[str, tuple[Rule, ...]]
) -> dict[str, tuple[Rule, ...]]:
    """What is wanted, and the profiles that are there and of which nothing is said."""
    if not wanted:
        return dict(there)
    *new, clear = wanted[DISPATCH]
    marks = {rule.matches for rule in new}
    stay = [
        rule
        for rule in there.get(DISPATCH, ())
        if rule.target in there and rule.target not in wanted and rule.matches not in marks
    ]
    ordered = sorted([*stay, *new], key=_mark)
    kept = {rule.target: there[rule.target] for rule in stay}
    return {**kept, **wanted, DISPATCH: (*ordered, clear)}


def _mark(rule: Rule) -> tuple[int, str]:
    """Its number first: a longer one is a greater one."""
    text = str(rule.matches)
    return len(text), text


def chain(name: str, number: int) -> str:
    """A profile's chain. A name that is too long is cut, and the number tells it from others that begin alike."""
    whole = f"{DISPATCH}-{name}"
    return whole if len(whole) <= _LONGEST else f"{DISPATCH}-{name[:12]}.{number}"


def ours(name: str) -> bool:
    """Whether a chain of this name is one of ours."""
    return name == DISPATCH or name.startswith(f"{DISPATCH}-")


def line(chain_name: str, rule: Rule) -> str:
    """A rule as `iptables -S` prints it."""
    words = [f"-A {chain_name}"]
    words += [f"-s {rule.source}"] if rule.source else []
    words += [f"-p {rule.protocol}"] if rule.protocol else []
    for match, options in rule.matches:
        words += [f"-m {match}", *_words(options)]
    return " ".join([*words, f"-j {rule.target}", *_words(rule.options)])


def _words(options: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for name, value in options:
        yield f'--{name} "{value}"' if " " in value and name != _MATCHED else f"--{name} {value}"


def _dispatch(profiles: Mapping[int, Profile], mask: int) -> Iterator[Rule]:
    for number, each in sorted(profiles.items()):
        mark = f"{profile.mark(number, mask):#x}/{mask:#x}"
        yield Rule(chain(each.name, number), matches=(("mark", (("mark", mark),)),))
    yield Rule("MARK", options=(("set-xmark", f"0x0/{mask:#x}"),))


def _judge(each: Profile, family: int) -> Iterator[Rule]:
    if each.new != DROP:
        return
    yield Rule("RETURN", matches=(_state("RELATED,ESTABLISHED"),))
    yield from _needed(family)
    yield Rule("DROP", matches=(_state("INVALID"),))
    for allow in each.allowed:
        yield from _allow(allow, family)
    yield Rule("DROP")


def _state(states: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return "conntrack", (("ctstate", states),)


def _needed(family: int) -> Iterator[Rule]:
    """What passes whatever the profile says."""
    protocol, types = (ICMP, profile.NEEDED4) if family == IPV4 else (ICMPV6, profile.NEEDED6)
    match, option = _ICMP[protocol]
    for kind in types:
        yield Rule("RETURN", protocol, matches=((match, ((option, str(kind)),)),))
    server, client = profile.DHCP4 if family == IPV4 else profile.DHCP6
    yield Rule("RETURN", UDP, matches=(("udp", (("sport", str(server)), ("dport", str(client)))),))


def _allow(allow: Allow, family: int) -> Iterator[Rule]:
    sources, every = (allow.ip4, ANY4) if family == IPV4 else (allow.ip6, ANY6)
    among: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    if allow.members:
        sources = sources and (every,)
        among = ((SET, ((_MATCHED, f"{member_sets.legacy(allow.members, family)} src"),)),)
    for source in sources:
        for match in _whats(allow):
            yield Rule(
                "RETURN",
                allow.protocol or 0,
                "" if source == every else source,
                (*among, *match, _comment(f"allow {allow.name}")),
            )


def _whats(allow: Allow) -> Iterator[tuple[tuple[str, tuple[tuple[str, str], ...]], ...]]:
    """One match for each rule that the ports or types need; an empty one when there are none."""
    if allow.types:
        match, option = _ICMP[allow.protocol or 0]
        code = "" if allow.code is None else f"/{allow.code}"
        yield from (((match, ((option, f"{kind}{code}"),)),) for kind in allow.types)
    elif allow.ports:
        yield from ((("multiport", (("dports", ",".join(some)),)),) for some in _ports(allow.ports))
    else:
        yield ()


def _ports(ranges: tuple[tuple[int, int], ...]) -> Iterator[list[str]]:
    """As many as one multiport match takes."""
    some: list[str] = []
    room = _MOST_PORTS
    for first, last in ranges:
        size = 1 if first == last else 2
        if size > room:
            yield some
            some, room = [], _MOST_PORTS
        some.append(str(first) if first == last else f"{first}:{last}")
        room -= size
    yield some
