"""The text that we load by `nft -f -`, read back: what it makes. Text in, values out."""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Mapping

_BASE = re.compile(r"type \w+ hook (\w+).* priority (-?\d+); policy (\w+)")


class Chain(namedtuple("Chain", "hook priority policy rules")):
    """`hook` and `policy` are "" for a chain that no hook calls."""

    __slots__ = ()
    hook: str
    priority: int
    policy: str
    rules: list[str]


class Ruleset:
    """What is there when the text is loaded, and nothing was before.

    Tables are FAMILY NAME; `chains` by (table, name), `elements` by (table, set), keys with their data, "" in a set.
    """

    def __init__(self, text: str) -> None:
        self.chains: dict[tuple[str, str], Chain] = {}
        self.elements: dict[tuple[str, str], dict[str, str]] = {}
        for line in text.splitlines():
            verb, kind, family, table, *rest = line.split(" ", 5)
            act = _VERBS.get((verb, kind))
            if act:
                act(self, (f"{family} {table}", rest[0]), rest[1] if rest[1:] else "")

    def add_chain(self, place: tuple[str, str], text: str) -> None:
        base = _BASE.search(text)
        hook, priority, policy = base.groups() if base else ("", "0", "")
        self.chains.setdefault(place, Chain(hook, int(priority), policy, []))

    def flush_chain(self, place: tuple[str, str], _text: str) -> None:
        self.chains[place].rules.clear()

    def delete_chain(self, place: tuple[str, str], _text: str) -> None:
        del self.chains[place]

    def add_rule(self, place: tuple[str, str], text: str) -> None:
        self.chains[place].rules.append(text)

    def add_element(self, place: tuple[str, str], text: str) -> None:
        for element in text.strip("{ }").split(", "):
            key, _, data = element.partition(" : ")
            self.elements.setdefault(place, {})[key] = data

    def delete_element(self, place: tuple[str, str], text: str) -> None:
        del self.elements[place][text.strip("{ }").partition(" : ")[0]]


_VERBS: Mapping[tuple[str, str], Callable[[Ruleset, tuple[str, str], str], None]] = {
    ("add", "chain"): Ruleset.add_chain,
    ("flush", "chain"): Ruleset.flush_chain,
    ("delete", "chain"): Ruleset.delete_chain,
    ("add", "rule"): Ruleset.add_rule,
    ("add", "element"): Ruleset.add_element,
    ("delete", "element"): Ruleset.delete_element,
}
