"""ganeti-ext-manage usage-storage: what projects' servers, volumes, snapshots and images take, logically and really."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.manage.manage_base import Command, Context, named, table_of
from frontend.volume import storageusage
from frontend.volume.storageusage import Owners, Use
from ganeti_ext.command import run
from ganeti_ext.errors import ExtError

_SECONDS = 600.0  # for a node that looks at each of its volumes
_EPILOG = (
    "Without --from this machine measures its own stores, as a master candidate of Ganeti can. From another one: "
    "ssh MASTER ganeti-ext-storage image usage --json | ganeti-ext-manage usage-storage --from -"
)
_HEAD = ("project_id", "project", "kind", "count", "logical", "physical", "exclusive")
_UNITS = ("B", "K", "M", "G", "T", "P")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument("--from", dest="source", metavar="FILE", help="what a node has measured; - is stdin")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="octets, but in a table")
    parser.add_argument("--project", help="only this one's, by name or id")


def usage_storage(context: Context, options: argparse.Namespace) -> str:
    measured = list(_measured(context, options.source))
    with context.engine.connect() as connection:
        found = storageusage.summed(measured, _owners(connection))
        names = {row.id: row.name for row in connection.execute(select(db.project.c.id, db.project.c.name))}
        if options.project:
            wanted = named(connection, db.project, "project", options.project)["id"]
            found = [use for use in found if use.project == wanted]
    return _SHAPES[options.format](found, names)


def _measured(context: Context, source: str | None) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_lines(context, source), 1):
        try:
            row = json.loads(line)
            if not (isinstance(row["name"], str) and isinstance(row["kind"], str) and row["logical"] >= 0):
                raise ValueError(line)
        except (ValueError, KeyError, TypeError):
            raise ExtError(f"line {number}: {line[:80]!r} is not of `ganeti-ext-storage image usage --json`") from None
        yield row


def _lines(context: Context, source: str | None) -> list[str]:
    if source is None:
        with context.owner.raised():
            argv = [context.settings.images.command, "image", "usage", "--json"]
            return run(argv, timeout=_SECONDS).splitlines()
    if source == "-":
        return sys.stdin.read().splitlines()
    try:
        with context.owner.raised(), open(source, encoding="utf-8") as file:
            return file.read().splitlines()
    except OSError as err:
        raise ExtError(f"{source}: {err.strerror}") from err


def _owners(connection: Connection) -> Owners:
    def mapped(key: Any, owner: Any, *conditions: Any) -> dict[str, Any]:
        return {row[0]: row[1] for row in connection.execute(select(key, owner).where(*conditions))}

    volume, server, snapshot, image = db.volume.c, db.server.c, db.volume_snapshot.c, db.image.c
    return Owners(
        mapped(volume.id, volume.project_id, volume.deleted.is_(None)),
        mapped(snapshot.id, snapshot.project_id),
        mapped(image.id, image.owner_id),
        mapped(server.instance, server.project_id, server.deleted.is_(None)),
    )


def _row(use: Use, names: Mapping[str, str]) -> tuple[Any, ...]:
    return (use.project, names.get(use.project, use.project), *use[1:])


def _table(found: Sequence[Use], names: Mapping[str, str]) -> str:
    rows = [(names.get(use.project, use.project) or "-", use.kind, use.number, *map(_size, use[3:])) for use in found]
    return table_of(("PROJECT", "KIND", "COUNT", "LOGICAL", "PHYSICAL", "EXCLUSIVE"), rows)


def _csv(found: Sequence[Use], names: Mapping[str, str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEAD)
    writer.writerows(_row(use, names) for use in found)
    return text.getvalue()


def _json(found: Sequence[Use], names: Mapping[str, str]) -> str:
    return json.dumps([dict(zip(_HEAD, _row(use, names), strict=True)) for use in found], indent=1) + "\n"


def _size(octets: int | None) -> str | None:
    if octets is None:
        return None
    value, unit = float(octets), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f}{_UNITS[unit]}" if unit else f"{octets}B"


_SHAPES: Mapping[str, Callable[[Sequence[Use], Mapping[str, str]], str]] = {
    "table": _table,
    "csv": _csv,
    "json": _json,
}
COMMANDS = (
    Command("usage-storage", "Tell what each project's servers, volumes, snapshots and images take", _arguments,
            usage_storage),
)  # fmt: skip
