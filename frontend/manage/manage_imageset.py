"""Images: what is said of them, whom they are shown to, and those that lie in the store and nobody knows."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.image.imageadopt import Adopter, Default
from frontend.image.imagestate import ACTIVE, DEACTIVATED
from frontend.image.imagevalues import VISIBILITIES
from frontend.manage.manage_base import Command, Context, label, named, pair, table_of, whole
from frontend.manage.manage_image import store_of
from ganeti_ext.errors import ExtError


def _set_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="its name or id")
    parser.add_argument("--rename", type=label, metavar="NAME")
    parser.add_argument("--visibility", choices=VISIBILITIES)
    parser.add_argument("--project", help="its owner from now on: name or id")
    parser.add_argument("--min-disk", type=whole, metavar="GiB")
    parser.add_argument("--min-ram", type=whole, metavar="MiB")
    for name, what in (("protected", "whether tenants cannot delete it"), ("hidden", "whether lists leave it out")):
        parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=what)
    parser.add_argument("--active", action=argparse.BooleanOptionalAction, help="whether it may be used")
    parser.add_argument("--property", type=pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--no-property", action="append", default=[], metavar="NAME")
    parser.add_argument("--tag", type=label, action="append", default=[])
    parser.add_argument("--no-tag", action="append", default=[], metavar="TAG")


def image_set(context: Context, options: argparse.Namespace) -> str:
    with context.engine.begin() as connection:
        image = named(connection, db.image, "image", options.name)
        values = {name: getattr(options, name) for name in ("visibility", "min_disk", "min_ram", "protected", "hidden")}
        values |= {"name": options.rename}
        if options.project:
            values["owner_id"] = named(connection, db.project, "project", options.project)["id"]
        if options.active is not None:
            values["status"] = _status(image, is_active=options.active)
        new: dict[str, Any] = {key: value for key, value in values.items() if value is not None}
        new["properties"] = _properties(image, options)
        new["tags"] = sorted({*image["tags"], *options.tag} - {*options.no_tag})
        write = update(db.image).where(db.image.c.id == image["id"])
        connection.execute(write.values({**new, "updated": time.time()}))
    return ""


def _status(image: Mapping[str, Any], *, is_active: bool) -> str:
    if image["status"] not in (ACTIVE, DEACTIVATED):
        raise ExtError(f"image {image['id']} is {image['status']}: it has no content yet")
    return ACTIVE if is_active else DEACTIVATED


def _properties(image: Mapping[str, Any], options: argparse.Namespace) -> dict[str, str]:
    old = image["properties"] or {}
    for name in options.no_property:
        if name not in old:
            raise ExtError(f"image {image['id']} has no property {name!r}")
    kept = {name: value for name, value in old.items() if name not in options.no_property}
    return {**kept, **dict(options.property)}


def _members_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="its name or id")
    for name, what in (("add", "show it to this project"), ("accept", "and let its lists have it"), ("remove", "")):
        parser.add_argument(f"--{name}", action="append", default=[], metavar="PROJECT", help=what or None)


def image_members(context: Context, options: argparse.Namespace) -> str:
    """Whom it is shown to, once it is changed as asked for."""
    column = db.image_member.c
    with context.engine.begin() as connection:
        image = named(connection, db.image, "image", options.name)
        for status, names in (("pending", options.add), ("accepted", options.accept), (None, options.remove)):
            for name in names:
                project = named(connection, db.project, "project", name)["id"]
                _answer(connection, image, project, status)
        joined = db.image_member.outerjoin(db.project, db.project.c.id == column.project_id)
        query = select(column.project_id, db.project.c.name, column.status).select_from(joined)
        found = connection.execute(query.where(column.image_id == image["id"]).order_by(column.created)).all()
        connection.execute(update(db.image).where(db.image.c.id == image["id"]).values(noted=-time.time()))
    return table_of(("ID", "PROJECT", "STATUS"), [tuple(row) for row in found])


def _answer(connection: Connection, image: Mapping[str, Any], project: str, status: str | None) -> None:
    column = db.image_member.c
    if status and image["visibility"] != "shared":
        raise ExtError(f"image {image['id']} is {image['visibility']}: only a shared one has members")
    connection.execute(delete(db.image_member).where(column.image_id == image["id"], column.project_id == project))
    if status:
        now = time.time()
        row = {"image_id": image["id"], "project_id": project, "status": status, "created": now, "updated": now}
        connection.execute(insert(db.image_member).values(row))


def _adopt_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="*", help="of an image or a snapshot saved-ID (default: all that nobody knows)")
    parser.add_argument("--project", help="the owner, name or id, of those whose facts name none that there is")
    parser.add_argument("--public", action="store_true", help="those without facts are for every project")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")


def image_adopt(context: Context, options: argparse.Namespace) -> str:
    """What was put into a store by hand, or whose row the database lost; snapshots of volumes, too."""
    listed = store_of(context).listed()
    missing = {*options.id} - {one["id"] for one in listed}
    if missing:
        raise ExtError(f"not in any store: {' '.join(sorted(missing))}")
    shown = []
    with context.engine.begin() as connection:
        other = named(connection, db.project, "project", options.project)["id"] if options.project else None
        adopter = Adopter(connection, Default(other, options.public), dry_run=options.dry_run)
        for one in listed:
            if not options.id or one["id"] in options.id:
                shown += [(one["id"], one["provider"], done.name, done.said) for done in adopter.adopt(one)]
    return table_of(("ID", "PROVIDER", "NAME", "DID"), shown)


COMMANDS = (
    Command("image-set", "Change what is said of an image", _set_arguments, image_set),
    Command("image-members", "List, add and remove projects that an image is shown to", _members_arguments,
            image_members),
    Command("image-adopt", "Make known what lies in the image stores and nobody knows", _adopt_arguments, image_adopt),
)  # fmt: skip
