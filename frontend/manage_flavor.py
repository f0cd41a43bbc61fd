"""Flavors: the sizes that servers come in."""

from __future__ import annotations

import argparse
import uuid

from sqlalchemy import delete, select

from frontend import db
from frontend.manage_base import (
    Command,
    Context,
    create,
    if_missing,
    label,
    named,
    no_arguments,
    positive,
    table_of,
    whole,
)
from ganeti_ext.errors import ExtError


def _create_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=label)
    parser.add_argument("--vcpus", type=positive, required=True)
    parser.add_argument("--ram", type=positive, required=True, metavar="MiB")
    parser.add_argument("--disk", type=whole, required=True, metavar="GiB", help="0: as large as the image")
    parser.add_argument("--id", type=label, help="default: a new UUID")
    if_missing(parser)


def flavor_create(context: Context, options: argparse.Namespace) -> str:
    ident = options.id or str(uuid.uuid4())
    if len(ident) > 36:
        raise ExtError(f"flavor id {ident!r}: it is longer than 36 characters")
    values = {"id": ident, "name": options.name, "vcpus": options.vcpus, "ram": options.ram, "disk": options.disk}
    return create(context, db.flavor, "flavor", values, if_missing=options.if_missing) + "\n"


def flavor_list(context: Context, _: argparse.Namespace) -> str:
    columns = (db.flavor.c.id, db.flavor.c.name, db.flavor.c.vcpus, db.flavor.c.ram, db.flavor.c.disk)
    with context.engine.connect() as connection:
        found = connection.execute(select(*columns).order_by(db.flavor.c.ram, db.flavor.c.vcpus, db.flavor.c.name))
        return table_of(("ID", "NAME", "VCPUS", "RAM", "DISK"), [tuple(row) for row in found])


def _delete_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="its name or id; servers that were made from it stay as they are")


def flavor_delete(context: Context, options: argparse.Namespace) -> str:
    with context.engine.begin() as connection:
        flavor = named(connection, db.flavor, "flavor", options.name)
        connection.execute(delete(db.flavor).where(db.flavor.c.id == flavor["id"]))
    return ""


COMMANDS = (
    Command("flavor-create", "Make a flavor and print its id", _create_arguments, flavor_create),
    Command("flavor-list", "List flavors", no_arguments, flavor_list),
    Command("flavor-delete", "Delete a flavor", _delete_arguments, flavor_delete),
)
