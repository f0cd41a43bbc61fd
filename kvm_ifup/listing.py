"""What `nft -j list ruleset` says of our tables (libnftables-json(5)), in a form that can be compared. Pure."""

from __future__ import annotations

import json
from collections import namedtuple
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

TABLE = "ganeti_ext"


class Listing(namedtuple("Listing", "tables chains rules elements")):
    """`tables` are families; by (family, name): hooks of chains, rules of chains, elements of sets and maps.

    Hooks, rules and elements are JSON texts, alike only when they mean the same to the nft that said them.
    """

    __slots__ = ()
    tables: frozenset[str]
    chains: dict[tuple[str, str], str]
    rules: dict[tuple[str, str], list[str]]
    elements: dict[tuple[str, str], list[str]]


def parse(text: str) -> Listing:
    """What is ours in a listing; ValueError or KeyError when it is none."""
    tables = set()
    found = Listing(frozenset(), {}, {}, {})
    for (kind, one), *_ in (item.items() for item in json.loads(text)["nftables"]):
        if kind == "table" and one["name"] == TABLE:
            tables.add(one["family"])
        elif one.get("table") != TABLE:
            continue
        elif kind == "chain":
            found.chains[one["family"], one["name"]] = _dump(one, ("type", "hook", "dev", "prio", "policy"))
            found.rules.setdefault((one["family"], one["name"]), [])
        elif kind == "rule":
            found.rules.setdefault((one["family"], one["chain"]), []).append(_dump(one, ("expr", "comment")))
        elif kind in ("set", "map"):
            found.elements[one["family"], one["name"]] = [json.dumps(each) for each in one.get("elem", ())]
    return found._replace(tables=frozenset(tables))


def key(element: str) -> str:
    """The key of an element as nft takes it."""
    found = json.loads(element)
    return _key(found[0] if isinstance(found, list) else found)


def _key(found: Any) -> str:
    if isinstance(found, str):
        return found if found[:2] == "0x" or ":" in found or found.replace(".", "").isdecimal() else f'"{found}"'
    if isinstance(found, dict):
        (kind, what) = next(iter(found.items()))
        return _KINDS[kind](what)
    return str(found)


_KINDS: Mapping[str, Callable[[Any], str]] = {
    "concat": lambda parts: " . ".join(map(_key, parts)),
    "prefix": lambda prefix: f"{prefix['addr']}/{prefix['len']}",
    "range": lambda ends: "-".join(map(_key, ends)),
    "elem": lambda elem: _key(elem["val"]),
}


def tap(element: str) -> str:
    """The interface that an element is keyed by; "" when it is keyed by something else."""
    first = key(element).partition(" . ")[0]
    return first.strip('"') if first.startswith('"') else ""


def _dump(one: Mapping[str, Any], names: Iterable[str]) -> str:
    return json.dumps({name: one[name] for name in names if name in one}, sort_keys=True)
