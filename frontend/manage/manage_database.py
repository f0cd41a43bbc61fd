"""The version of the database's tables."""

from __future__ import annotations

import argparse
import json

from frontend.database import migration
from frontend.manage.manage_base import Answer, Command, Context


def _version_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "exit code: 0 they are this program's, 1 they are others"
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def version(context: Context, options: argparse.Namespace) -> Answer:
    found = migration.version(context.engine_as_is)
    code = 0 if found == migration.NEWEST else 1
    if options.json:
        return Answer(json.dumps({"database": found, "program": migration.NEWEST}) + "\n", code)
    shown = "there are no tables" if found is None else found or f"older than {min(migration.VERSIONS)}"
    return Answer(f"database: {shown}\nprogram:  {migration.NEWEST}, {migration.VERSIONS[migration.NEWEST]}\n", code)


def _upgrade_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dry-run", action="store_true", help="try it, roll it back and print the statements; others wait meanwhile"
    )


def upgrade(context: Context, options: argparse.Namespace) -> str:
    engine = context.engine_as_is
    found = migration.version(engine)
    if found == migration.NEWEST:
        return f"its tables are of version {found} already\n"
    if options.dry_run:
        return "".join(f"{statement};\n" for statement in migration.rehearse(engine))
    migration.ensure(engine)
    return f"its tables are of version {migration.NEWEST} now\n"


COMMANDS = (
    Command("db-version", "Tell which version the database's tables are of", _version_arguments, version),
    Command("db-upgrade", "Make the database's tables, or bring them up to date", _upgrade_arguments, upgrade),
)
