"""What Ganeti keeps of ports that were made beforehand, as tags of their network. Pure.

    ganeti-ext:port:ID:MAC:ADDRESS:PROJECT        MAC with hyphens; ADDRESS: `-` if it has none
    ganeti-ext:floating:ID:MAC:ADDRESS:PROJECT    the same of a floating address (floatingips.py)
    ganeti-ext:said:ID.N:PART                     part N (from 0) of what is said of it: its facts, as JSON, escaped

So a database that is made anew has them again (reconcile/difference_port.py). They concern nobody else: what is kept
of a network here has no such tags, and nodes are not told of them (eventd/tagged.py).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ganeti_ext import tags

Row = Mapping[str, Any]

ROOM = 100_000
"""Octets of such tags that a network may have: Ganeti hands all of a network's tags to the nodes' scripts in one
variable, of which Linux takes 131,072 octets (execve(2), MAX_ARG_STRLEN)."""

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PORT = re.compile(
    rf"{tags.PREFIX}:(?P<kind>port|floating):(?P<id>{_UUID}):(?P<mac>[0-9a-f]{{2}}(?:-[0-9a-f]{{2}}){{5}})"
    rf":(?P<address>-|[0-9.]+):(?P<project>[0-9a-f-]{{1,36}})"
)
_SAID = re.compile(rf"{tags.PREFIX}:said:(?P<id>{_UUID})\.(?P<number>[0-9]+):(?P<part>.*)", re.DOTALL)
_KNOWN = ("name", "description", "groups", "profile", "pairs", "open", "down", "label", "port")  # facts: portstore.py
_LONGEST = 128  # characters of a tag


def kept(row: Row) -> list[str]:
    """The tags of a port's row."""
    kind, mac = "floating" if row["facts"].get("floating") else "port", row["mac"].replace(":", "-")
    found = [f"{tags.PREFIX}:{kind}:{row['id']}:{mac}:{row['address'] or '-'}:{row['project_id']}"]
    said = {key: row["facts"][key] for key in _KNOWN if row["facts"].get(key) or row["facts"].get(key) == []}
    if said:
        text = tags.escape(json.dumps(said, separators=(",", ":"), sort_keys=True, ensure_ascii=False))
        head = f"{tags.PREFIX}:said:{row['id']}"
        room = _LONGEST - len(f"{head}.99:")
        parts = [text[start : start + room] for start in range(0, len(text), room)]
        found += [f"{head}.{number}:{part}" for number, part in enumerate(parts)]
    return found


def others(some: Iterable[str]) -> list[str]:
    """A network's tags without those of ports, in order."""
    return sorted(tag for tag in some if not tag.startswith(tags.PORTS))


def of_port(some: Iterable[str], ident: str) -> list[str]:
    """Those of a network's tags that are one port's."""
    return [tag for tag in some if (found := _PORT.fullmatch(tag) or _SAID.fullmatch(tag)) and found["id"] == ident]


def size(some: Iterable[str]) -> int:
    """Octets that ports' tags take of a network's."""
    return sum(len(tag) + 1 for tag in some if tag.startswith(tags.PORTS))


def read(some: Iterable[str], network: str) -> list[dict[str, Any]]:
    """The ports that a network's tags tell of, without times; `network` is its id. Damaged tags are left out."""
    some = list(some)
    found = []
    for match in filter(None, map(_PORT.fullmatch, some)):
        address = None if match["address"] == "-" else match["address"]
        try:
            ipaddress.IPv4Address(address or "0.0.0.0")  # noqa: S104 (none at all)
        except ValueError:
            continue
        row = {"id": match["id"], "project_id": match["project"], "network": network, "address": address}
        facts = _said(some, match["id"])
        if match["kind"] == "floating":
            facts["floating"] = True
        found.append({**row, "mac": match["mac"].replace("-", ":"), "facts": facts})
    return found


def _said(some: Iterable[str], ident: str) -> dict[str, Any]:
    parts = {int(each["number"]): each["part"] for each in map(_SAID.fullmatch, some) if each and each["id"] == ident}
    try:
        said = json.loads(tags.unescape("".join(parts[number] for number in range(len(parts))))) if parts else {}
    except (ValueError, KeyError):
        return {}
    return {key: value for key, value in said.items() if key in _KNOWN} if isinstance(said, dict) else {}
