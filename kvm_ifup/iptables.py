"""Puts firewall profiles into legacy iptables, for hosts whose rules live there: profile_iptables.py says what.

One commit a table, under the lock that iptables itself takes. Chains that are not ours are never written to, but for
the one jump at the head of FORWARD.
"""

from __future__ import annotations

import contextlib
import ipaddress

from kvm_ifup import xtables
from kvm_ifup.profile import MASK
from kvm_ifup.profile_iptables import DISPATCH, FAMILIES, IPV4, JUMP, SET, Rule, beside, chains, line, ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from kvm_ifup.iptables_kept import Kept
    from kvm_ifup.profile import Profile

_FORWARD = "FORWARD"
_NAMES = {4: "/proc/net/ip_tables_names", 6: "/proc/net/ip6_tables_names"}


def put(profiles: Mapping[int, Profile], mask: int = MASK, kept: Kept | None = None) -> bool:
    """Put these profiles, by number, in force; others that are there stay. Whether anything had to change.

    `kept` is told of it. CommandError when that cannot be done: the table in question then is as it was.
    """
    with xtables.library() as iptc:
        changed = []
        others = kept is not None and kept.intact()
        for family in FAMILIES:
            table = _Filter(iptc, family)
            changed.append(table.put(beside(table.chains(), chains(profiles, family, mask))))
        if kept is not None:
            kept.keep(profiles, mask, others=others)
    return any(changed)


def remove() -> bool:
    """Take away all that is ours; whether there was anything."""
    families = _present()
    if not families:
        return False
    with xtables.library() as iptc:
        changed = [_Filter(iptc, family).put({}) for family in families]
    return any(changed)


def found() -> list[str]:
    """What is ours, as `iptables -S` and `ip6tables -S` print it, with the jumps in FORWARD."""
    families = _present()
    if not families:
        return []
    with xtables.library() as iptc:
        return [text for family in families for text in _Filter(iptc, family).lines()]


class _Filter:
    """The filter table of one family as it is now."""

    def __init__(self, iptc: Any, family: int) -> None:
        self._iptc, self._family = iptc, family
        self._table = (iptc.Table if family == IPV4 else iptc.Table6)("filter", autocommit=False)
        self._table.refresh()

    def put(self, wanted: Mapping[str, tuple[Rule, ...]]) -> bool:
        """Make our chains what is wanted; whether anything had to change."""
        there = self.chains()
        if there == wanted and self._jumps() == ([0] if wanted else []):
            return False
        for name in wanted:
            if name not in there:
                self._table.create_chain(name)
        changed = [name for name in {**there, **wanted} if there.get(name) != wanted.get(name)]
        for name in changed:
            self._table.flush_entries(name)
        for name in changed:
            for rule in wanted.get(name, ()):
                self._chain(name).append_rule(self._made(rule))
        self._lead(bool(wanted))
        for name in there:
            if name not in wanted:
                self._table.delete_chain(name)
        self._table.commit()
        return True

    def lines(self) -> list[str]:
        """What is ours."""
        tool = "iptables" if self._family == IPV4 else "ip6tables"
        named = [*([(_FORWARD, (JUMP,))] * len(self._jumps())), *self.chains().items()]
        return [f"{tool} {line(name, rule)}" for name, rules in named for rule in rules]

    def chains(self) -> dict[str, tuple[Rule, ...]]:
        """Those of ours that are there."""
        names = [chain.name for chain in self._table.chains if ours(chain.name)]
        return {name: tuple(_read(rule) for rule in self._chain(name).rules) for name in names}

    def _chain(self, name: str) -> Any:
        return self._iptc.Chain(self._table, name)

    def _jumps(self) -> list[int]:
        """Where in FORWARD the jumps to us are. Rules of others are not taken apart: their matches may be unknown."""
        return [place for place, (target, _) in enumerate(self._forward()) if target == DISPATCH.encode()]

    def _forward(self) -> Iterator[tuple[bytes, Any]]:
        entry = self._table.first_rule(_FORWARD)
        while entry:
            yield self._table.get_target(entry), entry
            entry = self._table.next_rule(entry)

    def _lead(self, wanted: bool) -> None:
        """One jump at the head of FORWARD, or none."""
        if self._jumps() == ([0] if wanted else []):
            return
        forward = self._chain(_FORWARD)
        while self._jumps():
            entry = next(entry for target, entry in self._forward() if target == DISPATCH.encode())
            forward.delete_rule(self._table.create_rule(entry, forward))
        if wanted:
            forward.insert_rule(self._made(JUMP))

    def _made(self, rule: Rule) -> Any:
        made = (self._iptc.Rule if self._family == IPV4 else self._iptc.Rule6)()
        if rule.protocol:
            made.protocol = str(rule.protocol)
        if rule.source:
            made.src = rule.source
        for name, options in rule.matches:
            match = made.create_match(name)
            for option, value in options:
                match.set_parameter(option, value.split() if name == SET else value)
        target = made.create_target(rule.target)
        for option, value in rule.options:
            target.set_parameter(option, value)
        return made


def _read(rule: Any) -> Rule:
    """A rule of ours, from the library's."""
    source = ipaddress.ip_network(rule.src)
    return Rule(
        target=rule.target.name,
        protocol=rule.get_ip().proto,
        source=str(source) if source.prefixlen else "",
        matches=tuple((match.name, _options(match)) for match in rule.matches),
        options=_options(rule.target),
    )


def _options(part: Any) -> tuple[tuple[str, str], ...]:
    return tuple((name, " ".join(values)) for name, values in part.get_all_parameters().items())


def _present() -> list[int]:
    """The families that have a filter table. To ask the library would make one."""
    families = []
    for family, path in _NAMES.items():
        with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as file:
            families += [family] if "filter" in file.read().split() else []
    return families
