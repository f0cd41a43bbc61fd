"""Rules of nftables on the fields of one packet: those expressions of nft(8) that our rules use.

A match on a field that the packet does not have does not hold, whatever it is compared with: as in the kernel, where
loading it breaks off the rule.
"""

from __future__ import annotations

import re
from collections import namedtuple
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from ganeti_ext.errors import ExtError
from kvm_ifup.fields import STATES, Unsaid, mac
from kvm_ifup.packet_words import PacketError
from kvm_ifup.profile import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kvm_ifup.fields import Fields
    from kvm_ifup.nfttext import Ruleset

_TOKEN = re.compile(r"\{[^}]*\}|\"[^\"]*\"|[^\s{\"]+")
_NAMES = (
    *("iifname", "oifname", "meta mark", "meta l4proto", "meta nfproto", "ct state", "ct mark", "vlan id"),
    *("ether saddr", "ether daddr", "ether type", "arp saddr ether", "arp saddr ip"),
    *("ip saddr", "ip daddr", "ip frag-off", "ip6 saddr", "ip6 daddr", "frag frag-off"),
    *(f"{proto} {what}" for proto in ("icmp", "icmpv6") for what in ("type", "code")),
    *(f"{proto} {side}" for proto in ("tcp", "udp", "sctp") for side in ("sport", "dport")),
    *("@nh,48,16", "@nh,64,128", "@th,0,16", "@th,64,64", "@th,64,128"),
)
_FIELDS = {tuple(name.split()): name for name in _NAMES}
_WORDS = {**PROTOCOLS, **STATES, "ipv4": 2, "ipv6": 10}
_ENDS = ("accept", "drop", "return", "goto", "jump")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class RuleError(ExtError):
    """A rule that is none of ours, or of a newer release."""


class Step(namedtuple("Step", "table chain rule verdict")):
    """A rule that was looked at: `verdict` is None when the packet does not match, "" when that decides nothing."""

    __slots__ = ()
    table: str
    chain: str
    rule: str
    verdict: str | None


def walk(ruleset: Ruleset, table: str, chain: str, fields: Fields) -> Iterator[Step]:
    """The rules that a packet meets from the chain of a hook on, in order; the last has `drop` when it is dropped.

    A policy of `drop` is said as a rule of the chain whose end was reached. Marks that are set stand in `fields`.
    """
    last = Step(table, chain, "", None)
    for last in _chain(ruleset, table, chain, fields):
        yield last
    policy = ruleset.chains[table, chain].policy
    if policy == "drop" and last.verdict not in ("accept", "drop"):
        yield Step(table, last.chain, f"policy drop of {chain}", "drop")


def _chain(ruleset: Ruleset, table: str, chain: str, fields: Fields) -> Iterator[Step]:
    for rule in ruleset.chains[table, chain].rules:
        verdict = _verdict(ruleset, table, rule, fields)
        yield Step(table, chain, rule, verdict)
        word, _, target = (verdict or "").partition(" ")
        if word in ("goto", "jump"):
            last = None
            for last in _chain(ruleset, table, target, fields):
                yield last
            ended = last is not None and last.verdict in ("accept", "drop")
            if word == "goto" or ended:
                return
        elif word:
            return


def _verdict(ruleset: Ruleset, table: str, rule: str, fields: Fields) -> str | None:
    tokens = _TOKEN.findall(rule)
    while tokens:
        if tokens[0] in _ENDS:
            return " ".join(tokens[:2] if tokens[0] in ("goto", "jump") else tokens[:1])
        if tokens[0] == "comment" or tokens[:3] == ["ct", "zone", "set"]:
            return ""
        if tokens[:3] == ["meta", "mark", "set"]:
            fields["meta mark"] = _mark(tokens, fields)
            return ""
        found = _match(ruleset, table, tokens, fields)
        if found is None or found:
            return found
    return ""


def _mark(tokens: list[str], fields: Fields) -> int:
    """`meta mark set meta mark & A`, and `| B` behind it."""
    numbers = [int(token, 16) for token in tokens if token.startswith("0x")]
    mark = fields["meta mark"]
    assert isinstance(mark, int)
    return mark & numbers[0] | (numbers[1] if numbers[1:] else 0)


def _match(ruleset: Ruleset, table: str, tokens: list[str], fields: Fields) -> str | None:
    """Take one match from the tokens: None when it does not hold, "" when it does, or a verdict of a map."""
    rule = " ".join(tokens)
    values = _load(tokens, fields, rule)
    if tokens[0] == "&":
        mask = _span(tokens[1])[0]
        values = [value & mask if isinstance(value, int) and isinstance(mask, int) else value for value in values]
        del tokens[:2]
    negated = tokens[0] == "!="
    if tokens[0] in ("!=", "=="):
        del tokens[0]
    if None in values:
        return None
    if tokens[0] == "vmap":
        elements = ruleset.elements.get((table, tokens[1][1:]), {})
        return next((data for key, data in elements.items() if _holds(key, values)), None)
    operand = tokens.pop(0)
    if operand.startswith("@"):
        keys = list(ruleset.elements.get((table, operand[1:]), ()))
    else:
        keys = operand.strip("{ }").replace(" ", "").split(",")
    return "" if any(_holds(key, values) for key in keys) is not negated else None


def _load(tokens: list[str], fields: Fields, rule: str) -> list[int | str | None]:
    """Take the fields that are looked at, joined by dots, from the tokens; None for one that the packet lacks."""
    values: list[int | str | None] = []
    while True:
        name, size = next(
            ((_FIELDS[key], size) for size in (3, 2, 1) if (key := tuple(tokens[:size])) in _FIELDS), ("", 0)
        )
        if not name:
            raise RuleError(f"cannot read the rule {rule!r} from {' '.join(tokens)!r} on")
        del tokens[:size]
        value = fields.get(name)
        if isinstance(value, Unsaid):
            raise PacketError(f"say {value.word} too: the rule `{rule}` looks at it")
        values.append(value)
        if not tokens or tokens[0] != ".":
            return values
        del tokens[0]


def _holds(key: str, values: list[int | str | None]) -> bool:
    return all(_within(value, part) for value, part in zip(values, key.split(" . "), strict=True))


def _within(value: int | str | None, text: str) -> bool:
    if isinstance(value, str):
        return value == text.strip('"')
    first, last = _span(text)
    return value is not None and first <= value <= last


def _span(text: str) -> tuple[int, int]:
    """The first and the last number that a constant means."""
    if "/" in text:
        network = ip_network(text)
        return int(network.network_address), int(network.broadcast_address)
    first, dash, last = text.partition("-")
    return _number(first), _number(last if dash else first)


def _number(text: str) -> int:
    if text in _WORDS:
        return _WORDS[text]
    if _MAC.fullmatch(text):
        return mac(text)
    if ":" in text or "." in text:
        return int(ip_address(text))
    return int(text, 16 if text.startswith("0x") else 10)
