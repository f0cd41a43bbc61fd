"""ganeti-ext-manage usage-report: what projects have used in a period, by kinds and flavors, in hours and credits."""

from __future__ import annotations

import argparse
import csv
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from frontend.database import db
from frontend.manage.manage_base import Command, Context, named, table_of
from frontend.usage import sums
from frontend.usage.sums import Used
from ganeti_ext.errors import ExtError

_HOURS = (
    *("server_hours", "core_hours", "ram_gib_hours", "disk_gib_hours", "volume_gib_hours", "snapshot_gib_hours"),
    *("image_gib_hours", "address_hours"),
)
HEAD = ("project_id", "project", "kind", "flavor", "count", *_HOURS, "credits")
_DIGITS = 6
"""Of an hour behind the point: less than a hundredth of a second."""

Line = dict[str, Any]


def _moment(text: str) -> float:
    """An ISO 8601 time, UTC where it says no zone, for argparse."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 time") from err
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="start", type=_moment, required=True, metavar="TIME", help="ISO 8601; UTC")
    parser.add_argument("--to", dest="end", type=_moment, metavar="TIME", help="the first moment that is not counted")
    parser.add_argument("--project", help="only this one's, by name or id")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")


def usage_report(context: Context, options: argparse.Namespace) -> str:
    now = time.time()
    end = now if options.end is None else options.end
    if options.start >= end:
        raise ExtError("--from is not before --to")
    with context.engine.connect() as connection:
        project = named(connection, db.project, "project", options.project)["id"] if options.project else None
        names = {row.id: row.name for row in connection.execute(select(db.project.c.id, db.project.c.name))}
        flavors = {row.id: row.name for row in connection.execute(select(db.flavor.c.id, db.flavor.c.name))}
        end = min(end, now)
        found = sums.of(connection, options.start, end, project)
        prices = sums.flavor_prices(connection)
    key = ("project_id", "kind", "flavor_id")
    used = sums.by(found, key, options.start, end, context.settings.credits, prices)
    return _SHAPES[options.format](lines(used, names, flavors))


def lines(used: Mapping[tuple[str, ...], Used], names: Mapping[str, str], flavors: Mapping[str, str]) -> list[Line]:
    """One for each project, kind and flavor (of volumes and snapshots: the type), in this order."""
    made = [
        {
            "project_id": project,
            "project": names.get(project, ""),
            "kind": kind,
            "flavor": flavors.get(flavor, flavor),
            "count": len(each.things),
            **{name: round(getattr(each, name), _DIGITS) for name in (*_HOURS, "credits")},
        }
        for (project, kind, flavor), each in used.items()
    ]
    return sorted(made, key=lambda line: (line["project"], line["project_id"], line["kind"], line["flavor"]))


def _csv(found: Sequence[Line]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, HEAD, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return out.getvalue()


def _json(found: Sequence[Line]) -> str:
    return json.dumps(found, indent=1) + "\n"


def _table(found: Sequence[Line]) -> str:
    """Without ids, and without hours of what nobody has."""
    seen = [name for name in _HOURS if any(line[name] for line in found)]
    shown = ("project", "kind", "flavor", "count")
    rows = [(*(line[name] for name in shown), *(f"{line[name]:.2f}" for name in (*seen, "credits"))) for line in found]
    return table_of([name.upper().replace("_", " ") for name in (*shown, *seen, "credits")], rows)


_SHAPES: Mapping[str, Callable[[Sequence[Line]], str]] = {"csv": _csv, "json": _json, "table": _table}

COMMANDS = (Command("usage-report", "Say what projects have used in a period", _arguments, usage_report),)
