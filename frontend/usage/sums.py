"""What was used in a period, added up: of the spans of things, each as long as it lies in the period. Pure but `of`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.settings import Credits
from frontend.usage import price, spans

Row = Mapping[str, Any]

_HOUR = 3600.0
_SPAN = db.usage_span.c
_GIB_HOURS = {spans.VOLUME: "volume_gib_hours", spans.SNAPSHOT: "snapshot_gib_hours", spans.IMAGE: "image_gib_hours"}


@dataclass
class Used:
    """Hours, and hours times how much."""

    server_hours: float = 0.0
    core_hours: float = 0.0
    ram_gib_hours: float = 0.0
    disk_gib_hours: float = 0.0
    """Of servers' own disks."""
    volume_gib_hours: float = 0.0
    snapshot_gib_hours: float = 0.0
    image_gib_hours: float = 0.0
    address_hours: float = 0.0
    credits: float = 0.0
    things: set[tuple[str, str]] = field(default_factory=set)
    """Of which any was used: kind and id."""


def of(connection: Connection, start: float, end: float, project: str | None = None) -> Sequence[Row]:
    """The spans that lie in a period at least in part, of one project or of all; in the order of their beginning."""
    lies = (_SPAN.alive.is_(True), _SPAN.began < end, or_(_SPAN.until.is_(None), _SPAN.until > start))
    mine = () if project is None else (_SPAN.project_id == project,)
    query = select(db.usage_span).where(*lies, *mine)
    return db.rows(connection, query.order_by(_SPAN.began, _SPAN.kind, _SPAN.thing, _SPAN.job, _SPAN.op_index))


def flavor_prices(connection: Connection) -> dict[str, float]:
    """Those of flavors that have one, by their ids."""
    return price.flavors(db.rows(connection, select(db.flavor.c.id, db.flavor.c.extra_specs)))


def by(
    found: Iterable[Row], key: tuple[str, ...], start: float, end: float, prices: Credits, own: Mapping[str, float]
) -> dict[tuple[str, ...], Used]:
    """Added up for all spans that have the same in these columns. `end` is no later than now."""
    sums: dict[tuple[str, ...], Used] = defaultdict(Used)
    for span in found:
        hours = spans.seconds(span["began"], span["until"], start, end) / _HOUR
        if hours > 0:
            _add(sums[tuple(str(span[column]) for column in key)], span, hours, price.per_hour(span, prices, own))
    return dict(sums)


def _add(used: Used, span: Row, hours: float, cost: float) -> None:
    used.things.add((span["kind"], span["thing"]))
    used.credits += hours * cost
    if span["kind"] == spans.SERVER:
        used.server_hours += hours
        used.core_hours += hours * span["vcpus"]
        used.ram_gib_hours += hours * span["ram"] / 1024
        used.disk_gib_hours += hours * span["gib"]
    elif span["kind"] == spans.ADDRESS:
        used.address_hours += hours
    else:
        name = _GIB_HOURS[span["kind"]]
        setattr(used, name, getattr(used, name) + hours * span["gib"])
