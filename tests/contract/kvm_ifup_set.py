"""What is set on a node for its taps, as the kernel and the files tell it, one line for each thing."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.contract.kvm_ifup_node import Node

# Of profiles and of networks, not of taps.
_COMMON = ("inet profiles", "inet zones", "bridge enforced")
_PLACES = ("/run/ganeti-ext/taps", "/var/lib/nfdhcpd")
_QUESTIONS = """
for family in 4 6; do
	echo "family $family"
	printf 'rule show\\nroute show table all\\n' | ip -$family -batch -
done
echo proxy
ip neigh show proxy
"""
_RULE = re.compile(r"\d+:\t")


def for_taps(node: Node) -> set[str]:
    """All that there is for taps: rules and routes, proxy neighbours, chains and elements of nftables, files."""
    return routing(node) | files(node) | own(nftables(node))


def own(rules: set[str]) -> set[str]:
    """Of chains and elements, those that are taps'."""
    return {line for line in rules if not line.startswith(_COMMON)}


def routing(node: Node) -> set[str]:
    """Rules, routes and proxy neighbours that no kernel makes by itself."""
    lines = Counter(_answers(node.run("sh", "-c", _QUESTIONS)))
    found = {line: count for line, count in lines.items() if "proto kernel" not in line and "table local" not in line}
    return {line if count == 1 else f"{line}, {count} times" for line, count in found.items()}


def _answers(said: str) -> Iterator[str]:
    """Each with what it is: rule4, route6, proxy."""
    family = ""
    for line in said.splitlines():
        if line.startswith("family "):
            family = line[7:]
        elif line == "proxy":
            family = ""
        else:
            rest, count = _RULE.subn("", line, count=1) if _RULE.match(line) else (line, 0)
            kind = ("rule" if count else "route") + family if family else "proxy"
            yield " ".join([kind, *rest.split()])


def files(node: Node) -> set[str]:
    """Records and bindings; drafts of them, too."""
    folders = ((place, node.file(place)) for place in _PLACES)
    return {f"{place}/{path.name}" for place, folder in folders if folder.exists() for path in folder.iterdir()}


def nftables(node: Node) -> set[str]:
    """Our elements, and the chains of taps."""
    found = set()
    for item in json.loads(node.run("nft", "-j", "list", "ruleset"))["nftables"]:
        ((kind, what),) = item.items()
        if what.get("table") != "ganeti_ext":
            continue
        if kind == "chain" and what["name"].startswith("port_"):
            found.add(f"{what['family']} chain {what['name']}")
        if kind in ("set", "map"):
            found |= {f"{what['family']} {what['name']} {_text(element)}" for element in what.get("elem", ())}
    return found


def _text(value: Any) -> str:
    """An element of nft's JSON as it is written elsewhere."""
    if isinstance(value, list):
        return " : ".join(map(_text, value))
    if not isinstance(value, dict):
        return str(value)
    ((kind, what),) = value.items()
    if kind == "concat":
        return " . ".join(map(_text, what))
    if kind == "range":
        return "-".join(map(_text, what))
    if kind == "prefix":
        return f"{what['addr']}/{what['len']}"
    return f"{kind} {what['target']}"
