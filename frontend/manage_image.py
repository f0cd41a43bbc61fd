"""Images: the templates that servers' disks are cloned from."""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, insert, select

from frontend import db, imagefile, translate_image
from frontend.manage_base import Command, Context, if_missing, label, named, no_arguments, table_of, whole
from ganeti_ext import files
from ganeti_ext.errors import ExtError

_GIB = 1 << 30


def _create_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", type=label, required=True)
    parser.add_argument("--file", required=True, help="a raw disk image; it is copied")
    parser.add_argument("--public", action="store_true", help="for every project")
    parser.add_argument("--project", help="the owner's name or id; without --public only for that project")
    parser.add_argument("--min-disk", type=whole, metavar="GiB", help="of a flavor (default: the image's size)")
    parser.add_argument("--min-ram", type=whole, default=0, metavar="MiB", help="of a flavor (default: %(default)s)")
    if_missing(parser)


def image_create(context: Context, options: argparse.Namespace) -> str:
    if not options.public and not options.project:
        raise ExtError("say --public or --project: nobody could use the image")
    with context.engine.begin() as connection:
        owner = named(connection, db.project, "project", options.project)["id"] if options.project else None
        same = (db.image.c.name == options.name, db.image.c.owner_id == owner)
        there = connection.execute(select(db.image.c.id).where(*same)).scalar()
    if there is not None:
        if not options.if_missing:
            raise ExtError(f"image {options.name!r} exists already")
        return f"{there}\n"
    ident = str(uuid.uuid4())
    path = _path(context, ident)
    with context.owner.raised():
        stored = imagefile.store(options.file, path, _progress())
    try:
        _register(context, ident, options, owner, stored)
    except BaseException:
        with context.owner.raised():
            files.remove(path)
        raise
    return f"{ident}\n"


def _register(
    context: Context, ident: str, options: argparse.Namespace, owner: str | None, stored: imagefile.Stored
) -> None:
    row: dict[str, Any] = {
        "id": ident,
        "name": options.name,
        "owner_id": owner,
        "visibility": "public" if options.public else "private",
        "size": stored.size,
        "sha256": stored.sha256,
        "min_disk": -(-stored.size // _GIB) if options.min_disk is None else options.min_disk,
        "min_ram": options.min_ram,
        "created": time.time(),
        "properties": {},
    }
    with context.engine.begin() as connection:
        connection.execute(insert(db.image).values(row))


def _register_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=_uuid, help="the image's id: its snapshot is the volume saved-ID")
    parser.add_argument("--name", type=label, required=True)
    parser.add_argument("--project", required=True, help="the owner's name or id")
    parser.add_argument("--size", type=whole, metavar="GiB", required=True, help="the volume's")
    parser.add_argument("--provider", default="cow", help="that has the volume (default: %(default)s)")


def image_register(context: Context, options: argparse.Namespace) -> str:
    """What a tenant made of a server, and the database lost."""
    with context.engine.begin() as connection:
        if connection.execute(select(db.image.c.id).where(db.image.c.id == options.id)).scalar() is not None:
            raise ExtError(f"image {options.id} exists already")
        row: dict[str, Any] = {
            "id": options.id,
            "name": options.name,
            "owner_id": named(connection, db.project, "project", options.project)["id"],
            "visibility": "private",
            "size": options.size * _GIB,
            "sha256": "",
            "min_disk": options.size,
            "min_ram": 0,
            "created": time.time(),
            "properties": {"image_type": "snapshot"},
            "origin": translate_image.origin(options.id),
            "provider": options.provider,
            "protected": False,
        }
        connection.execute(insert(db.image).values(row))
    return f"{options.id}\n"


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no UUID") from None


def image_list(context: Context, _: argparse.Namespace) -> str:
    image = db.image.c
    columns = (image.id, image.name, image.visibility, db.project.c.name, image.size, image.min_disk, image.min_ram)
    query = select(*columns).select_from(db.image.outerjoin(db.project)).order_by(image.name, image.created)
    with context.engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(query)]
    return table_of(("ID", "NAME", "VISIBILITY", "PROJECT", "SIZE", "MIN DISK", "MIN RAM"), found)


def _delete_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="its name or id; servers that were made from it keep their disks")


def image_delete(context: Context, options: argparse.Namespace) -> str:
    with context.engine.begin() as connection:
        image = named(connection, db.image, "image", options.name)
        # The row first: an image without its file could still be asked for.
        connection.execute(delete(db.image).where(db.image.c.id == image["id"]))
    if image["origin"]:
        volume = image["origin"].partition(":")[2]
        return f"its snapshot stays: ganeti-ext-storage remove {volume}\n"
    path = _path(context, image["id"])
    try:
        with context.owner.raised():
            files.remove(path)
    except OSError as err:
        raise ExtError(f"image {image['id']} is forgotten, but its file stays: {err}") from err
    return ""


def _path(context: Context, ident: str) -> str:
    folder = os.path.join(context.settings.images.directory, "images")
    with context.owner.raised():
        if not os.path.isdir(folder):
            raise ExtError(f"{folder} does not exist: is the image store not mounted?")
    return os.path.join(folder, f"{ident}.raw")


def _progress() -> Callable[[int, int], None]:
    """Shows percents where a person looks on."""
    if not sys.stderr.isatty():
        return lambda _done, _size: None
    last = -1

    def show(done: int, size: int) -> None:
        nonlocal last
        percent = done * 100 // size
        if percent != last:
            last = percent
            sys.stderr.write(f"\r{percent:3d} %" + ("\n" if done == size else ""))
            sys.stderr.flush()

    return show


COMMANDS = (
    Command("image-create", "Copy a raw disk image into the store and print its id", _create_arguments, image_create),
    Command(
        "image-register", "Make known again an image that was made of a server", _register_arguments, image_register
    ),
    Command("image-list", "List images; sizes in octets, GiB and MiB", no_arguments, image_list),
    Command("image-delete", "Delete an image and its file", _delete_arguments, image_delete),
)
