"""Whether the update path is alive, and a probe of it."""

from __future__ import annotations

import argparse
import json

from frontend.database import db
from frontend.effect import remote
from frontend.manage.manage_base import Answer, Command, Context, table_of
from frontend.update import health, probe
from frontend.update.health import Part
from ganeti_ext.errors import ExtError


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object, as GET /health")
    parser.add_argument(
        "--probe", action="store_true", help="send a job that changes nothing through Ganeti, and wait for word of it"
    )


def show(context: Context, options: argparse.Namespace) -> Answer:
    """Exit code 0 when all is well, else 1."""
    engine = db.open_engine(context.settings.front.database)
    parts = dict(health.examine(engine, context.settings))
    if options.probe and parts["database"].ok and parts["schema"].ok:
        parts["probe"] = _probe(context)
    code = 0 if health.healthy(parts) else 1
    if options.json:
        return Answer(json.dumps(health.report(parts)) + "\n", code)
    rows = [(name, "ok" if part.ok else "BAD", part.about) for name, part in parts.items()]
    return Answer(table_of(("PART", "STATE", "ABOUT"), rows), code)


def _probe(context: Context) -> Part:
    try:
        took = probe.run(context.engine, remote.of(context.settings))
    except ExtError as err:
        return Part(False, str(err))
    return Part(True, f"came through in {took:.2f} s", {"took": round(took, 3)})


COMMANDS = (Command("health", "Tell whether the update path is alive, part by part", _arguments, show),)
