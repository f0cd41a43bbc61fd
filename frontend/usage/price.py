"""What things cost an hour, by [credits] and by flavors' own prices. Pure.

A price is what it is now: who changes one changes what the past has cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from frontend.settings import Credits
from frontend.usage import spans

SPEC = "credits:hour"
"""The extra spec of a flavor that has its price."""


def flavors(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The prices of flavors that have one, by their ids."""
    return {row["id"]: price for row in rows if (price := _number(row["extra_specs"].get(SPEC))) is not None}


def per_hour(span: Mapping[str, Any], prices: Credits, own: Mapping[str, float]) -> float:
    """Credits; `span` as a row of the table, `own` as `flavors` has it."""
    kind = span["kind"]
    if kind == spans.SERVER:
        size = span["vcpus"] * prices.vcpu + span["ram"] / 1024 * prices.ram + span["gib"] * prices.disk
        return own.get(span["flavor_id"], size)
    if kind == spans.ADDRESS:
        return prices.address
    each: float = getattr(prices, kind)
    return float(span["gib"] * each)


def is_price(text: str) -> bool:
    """Whether a text may be the value of SPEC."""
    return _number(text) is not None


def _number(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if 0 <= found < float("inf") else None
