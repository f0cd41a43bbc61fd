"""Flavors: the sizes that servers come in."""

from __future__ import annotations

import argparse
import uuid

from sqlalchemy import delete, insert, select, update

from frontend.compute import extraspec
from frontend.database import db
from frontend.manage.manage_base import (
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
from frontend.usage import price
from ganeti_ext.errors import ExtError


def _create_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=label)
    parser.add_argument("--vcpus", type=positive, required=True)
    parser.add_argument("--ram", type=positive, required=True, metavar="MiB")
    parser.add_argument("--disk", type=whole, required=True, metavar="GiB", help="0: as large as the image")
    parser.add_argument("--id", type=label, help="default: a new UUID")
    parser.add_argument("--private", action="store_true", help="for the projects that flavor-access names alone")
    _note_arguments(parser)
    if_missing(parser)


def _note_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--description", type=label, help="for administrators")
    parser.add_argument(
        "--extra-spec",
        type=_spec,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="shown to tenants; repeatable",
    )


def _spec(text: str) -> tuple[str, str]:
    try:
        name, value = extraspec.pair(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
    if name == price.SPEC and not price.is_price(value):
        raise argparse.ArgumentTypeError(f"{text}: {value!r} is no number of credits from 0 on")
    return name, value


def flavor_create(context: Context, options: argparse.Namespace) -> str:
    ident = options.id or str(uuid.uuid4())
    if len(ident) > 36:
        raise ExtError(f"flavor id {ident!r}: it is longer than 36 characters")
    values = {
        "id": ident,
        **{name: getattr(options, name) for name in ("name", "vcpus", "ram", "disk", "description")},
        "public": not options.private,
        "extra_specs": dict(options.extra_spec),
    }
    return create(context, db.flavor, "flavor", values, if_missing=options.if_missing) + "\n"


def flavor_list(context: Context, _: argparse.Namespace) -> str:
    flavor = db.flavor.c
    with context.engine.connect() as connection:
        rows = db.rows(connection, select(db.flavor).order_by(flavor.ram, flavor.vcpus, flavor.name))
        whose: dict[str, list[str]] = {}
        access = db.flavor_access.c
        named = select(access.flavor_id, db.project.c.name).join(db.project, db.project.c.id == access.project_id)
        for flavor_id, name in connection.execute(named.order_by(db.project.c.name)):
            whose.setdefault(flavor_id, []).append(name)
    head = ("ID", "NAME", "VCPUS", "RAM", "DISK", "FOR", "EXTRA SPECS", "DESCRIPTION")
    shown = [
        (
            *(row[name] for name in ("id", "name", "vcpus", "ram", "disk")),
            "all" if row["public"] else ",".join(whose.get(row["id"], [])) or "none",
            " ".join(f"{name}={value}" for name, value in sorted(row["extra_specs"].items())) or None,
            row["description"],
        )
        for row in rows
    ]
    return table_of(head, shown)


def _set_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="its name or id; its size stays, as servers have been made of it")
    _note_arguments(parser)
    parser.add_argument("--no-extra-spec", action="append", default=[], metavar="NAME", help="take it away; repeatable")
    visible = parser.add_mutually_exclusive_group()
    visible.add_argument("--public", action="store_true", default=None, help="for all projects")
    visible.add_argument("--private", action="store_false", dest="public", help="for those of flavor-access alone")


def flavor_set(context: Context, options: argparse.Namespace) -> str:
    with context.engine.begin() as connection:
        flavor = named(connection, db.flavor, "flavor", options.name)
        specs = {**flavor["extra_specs"], **dict(options.extra_spec)}
        for name in options.no_extra_spec:
            if specs.pop(name, None) is None:
                raise ExtError(f"flavor {options.name!r} has no extra spec {name!r}")
        values = {"extra_specs": specs}
        values |= {key: value for key in ("description", "public") if (value := getattr(options, key)) is not None}
        connection.execute(update(db.flavor).where(db.flavor.c.id == flavor["id"]).values(values))
    return ""


def _access_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="its name or id; it is not public")
    parser.add_argument("--add", action="append", default=[], metavar="PROJECT", help="by name or id; repeatable")
    parser.add_argument("--remove", action="append", default=[], metavar="PROJECT", help="by name or id; repeatable")


def flavor_access(context: Context, options: argparse.Namespace) -> str:
    column = db.flavor_access.c
    with context.engine.begin() as connection:
        flavor = named(connection, db.flavor, "flavor", options.name)
        if flavor["public"]:
            raise ExtError(f"flavor {options.name!r} is public: every project has access to it")
        for name in options.remove:
            project = named(connection, db.project, "project", name)
            connection.execute(
                delete(db.flavor_access).where(column.flavor_id == flavor["id"], column.project_id == project["id"])
            )
        have = set(connection.execute(select(column.project_id).where(column.flavor_id == flavor["id"])).scalars())
        for ident in {named(connection, db.project, "project", name)["id"] for name in options.add} - have:
            connection.execute(insert(db.flavor_access).values(flavor_id=flavor["id"], project_id=ident))
    return ""


def _delete_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="its name or id; servers that were made from it stay as they are")


def flavor_delete(context: Context, options: argparse.Namespace) -> str:
    with context.engine.begin() as connection:
        flavor = named(connection, db.flavor, "flavor", options.name)
        connection.execute(delete(db.flavor).where(db.flavor.c.id == flavor["id"]))
    return ""


COMMANDS = (
    Command("flavor-create", "Make a flavor and print its id", _create_arguments, flavor_create),
    Command("flavor-set", "Change what is said of a flavor, and whether it is public", _set_arguments, flavor_set),
    Command("flavor-access", "Give projects a flavor that is not public, or take it", _access_arguments, flavor_access),
    Command("flavor-list", "List flavors", no_arguments, flavor_list),
    Command("flavor-delete", "Delete a flavor", _delete_arguments, flavor_delete),
)
