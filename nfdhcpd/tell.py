"""What the daemon answered, for people: records in, lines out."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from nfdhcpd.describe import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ganeti_ext.session import Record

_COLUMNS = ("tap", "instance", "mac", "ipv4", "ipv6", "answered", "dropped")
REASONS: Mapping[str, str] = {
    "malformed": "broke the rules of its protocol",
    "spoofed": "came from another MAC than the binding's",
    "other": "was for another server or host",
    "nothing": "asked for what the binding does not have",
    "noted": "told something and asked nothing",
    "ignored": "is not answered by anybody",
    "unsent": "was answered, but the tap did not take the answer",
    "refused": "came while the binding was bad",
}
PROBES: Mapping[str, str] = {
    "discover": "a DHCP DISCOVER",
    "request": "a DHCP REQUEST",
    "rs": "a router solicitation",
    "solicit": "a DHCPv6 SOLICIT",
    "information": "a DHCPv6 INFORMATION-REQUEST",
}


def natural(tap: str) -> list[tuple[int, str]]:
    """A key to sort by: tap10 comes after tap9."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", tap)]


def clean(text: str) -> str:
    """A text without what a terminal would act on: guests have a say in it."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def table(records: Iterable[Record]) -> Iterator[str]:
    """The answer to `list`: those who are served in columns, then the others."""
    ordered = sorted(records, key=lambda record: natural(record["tap"]))
    served = [record for record in ordered if "why" not in record]
    rows = [[name.upper() for name in _COLUMNS]]
    rows += [[clean(str(record[name])) or "-" for name in _COLUMNS] for record in served]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    for record in ordered:
        if "why" in record:
            yield clean(f"{record['tap']}: not served: {record['why']}")


def guest(about: Record) -> Iterator[str]:
    """The first record of the answer to `show`."""
    yield clean(f"{about['tap']} ({about['instance'] or 'unnamed'})")
    facts = {
        "MAC": about["mac"] + (", and any other" if about["macspoof"] else ""),
        "IPv4": about["ipv4"] or "none",
        "IPv6": about["ipv6"] or "none",
        "interface index": about["ifindex"],
        "answered from MAC": about["server_mac"],
        "answered": counts(about["answered"]),
    }
    for label, value in facts.items():
        yield _pair(label, str(value))
    for reason, count in sorted(about["dropped"].items()):
        yield _pair("not answered", f"{count}: {reason}, {REASONS.get(reason, 'for a reason unknown here')}")


def counts(found: Mapping[str, int]) -> str:
    """DISCOVER 3, REQUEST 2."""
    return clean(", ".join(f"{name} {count}" for name, count in sorted(found.items()))) or "nothing so far"


def answer(record: Record) -> Iterator[str]:
    """What a synthetic message would be answered."""
    asked = PROBES.get(record["ask"], record["ask"])
    if "why" in record:
        yield clean(f"To {asked}: no answer: {record['why']}")
        return
    yield clean(f"To {asked}: {record['told']}")
    for label, value in describe(bytes.fromhex(record["frame"])):
        yield _pair(label, value)


def transaction(record: Record) -> str:
    """One line of `watch`."""
    if "lost" in record:
        return f"... {record['lost']} more came faster than they could be shown"
    day, part = divmod(record["time"], 1)
    clock = time.strftime("%H:%M:%S", time.localtime(day)) + f"{part:.3f}"[1:]
    guest_ = f"{record['tap']} ({record['instance'] or 'unnamed'})"
    return clean(f"{clock} {guest_}: {record['asked'] or 'a packet'}: {record['told']} ({record['us']:g} us)")


def _pair(label: str, value: str) -> str:
    return clean(f"  {label + ':':<24} {value}")
