"""Images: what servers' disks are cloned from."""

from __future__ import annotations

import argparse
import json
import os
import stat
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import delete, insert, select

from frontend.database import db
from frontend.effect import translate_image
from frontend.image import forgetimage
from frontend.image.imageprocess import Store, Wanted
from frontend.image.imagevalues import FORMATS
from frontend.manage.manage_base import Command, Context, if_missing, label, named, no_arguments, pair, table_of, whole
from frontend.usage import meter
from ganeti_ext.errors import ExtError

_GIB = 1 << 30


def store_of(context: Context) -> Store:
    """The image store, with the administrator's own rights: the file may be one that only he reads."""
    return Store(context.settings.images.command, context.owner.raised)


def _create_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", type=label, required=True)
    parser.add_argument("--file", required=True, help="a disk image; it is copied")
    parser.add_argument("--format", choices=("auto", *FORMATS), default="auto", help="of the file (default: found out)")
    parser.add_argument("--provider", help="that is to have it (default: as servers')")
    parser.add_argument("--public", action="store_true", help="for every project")
    parser.add_argument("--project", help="the owner's name or id; without --public only for that project")
    parser.add_argument("--min-disk", type=whole, metavar="GiB", help="of a flavor (default: the image's size)")
    parser.add_argument("--min-ram", type=whole, default=0, metavar="MiB", help="of a flavor (default: %(default)s)")
    parser.add_argument("--property", type=pair, action="append", default=[], metavar="NAME=VALUE")
    if_missing(parser)


def image_create(context: Context, options: argparse.Namespace) -> str:
    if not options.public and not options.project:
        raise ExtError("say --public or --project: nobody could use the image")
    with context.engine.begin() as connection:
        owner = named(connection, db.project, "project", options.project)["id"] if options.project else None
        same = (db.image.c.name == options.name, db.image.c.owner_id == owner, db.image.c.status != "deleted")
        there = connection.execute(select(db.image.c.id).where(*same)).scalar()
    if there is not None:
        if not options.if_missing:
            raise ExtError(f"image {options.name!r} exists already")
        return f"{there}\n"
    _check_file(context, options.file)
    ident, store = str(uuid.uuid4()), store_of(context)
    provider = options.provider or context.settings.front.provider
    stored = store.take(Wanted(ident, options.format, provider, None), options.file, _progress())
    row = {
        "id": ident,
        "name": options.name,
        "owner_id": owner,
        "visibility": "public" if options.public else "private",
        "size": stored.size,
        "sha256": stored.sha256,
        "md5": stored.md5,
        "pool": stored.pool,
        "provider": provider,
        "min_disk": -(-stored.size // _GIB) if options.min_disk is None else options.min_disk,
        "min_ram": options.min_ram,
        "created": time.time(),
        "properties": dict(options.property),
    }
    try:
        with context.engine.begin() as connection:
            connection.execute(insert(db.image).values(row))
            meter.of_image(connection, ident, time.time())
    except BaseException:
        store.remove(ident, provider)
        raise
    return f"{ident}\n"


def _check_file(context: Context, path: str) -> None:
    """What is read to its end is to have one."""
    try:
        with context.owner.raised():
            mode = os.stat(path).st_mode
    except OSError as err:
        raise ExtError(f"image {path}: {err.strerror}") from err
    if not stat.S_ISREG(mode):
        raise ExtError(f"image {path}: not a regular file")


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
        meter.of_image(connection, options.id, time.time())
    return f"{options.id}\n"


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no UUID") from None


def image_list(context: Context, _: argparse.Namespace) -> str:
    image = db.image.c
    columns = (image.id, image.name, image.visibility, db.project.c.name, image.status, image.size, image.min_disk)
    query = select(*columns, image.min_ram, image.provider).select_from(db.image.outerjoin(db.project))
    with context.engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(query.order_by(image.name, image.created))]
    head = ("ID", "NAME", "VISIBILITY", "PROJECT", "STATUS", "SIZE", "MIN DISK", "MIN RAM", "PROVIDER")
    return table_of(head, found)


def _name_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="its name or id")


def image_show(context: Context, options: argparse.Namespace) -> str:
    """All that is known of it, a line each; what is no text, as JSON."""
    with context.engine.connect() as connection:
        image = named(connection, db.image, "image", options.name)
        member = db.image_member.c
        members = db.rows(connection, select(db.image_member).where(member.image_id == image["id"]))
        query = select(db.project.c.name).where(db.project.c.id == image["owner_id"])
        project = connection.execute(query).scalar()
    shown = {**image, "project": project, "members": {row["project_id"]: row["status"] for row in members}}
    return "".join(f"{key}: {_text(value)}\n" for key, value in shown.items())


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _delete_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="its name or id; servers that were made from it keep their disks")


def image_delete(context: Context, options: argparse.Namespace) -> str:
    """Whatever its status, and protected or not."""
    with context.engine.begin() as connection:
        image = named(connection, db.image, "image", options.name)
        # The row first: an image without its content could still be asked for.
        connection.execute(delete(db.image).where(db.image.c.id == image["id"]))
        meter.of_image(connection, image["id"], time.time())
        forgetimage.touch_snapshot(connection, image)
    if image["origin"]:
        volume = image["origin"].partition(":")[2]
        return f"its snapshot stays: ganeti-ext-storage remove {volume}\n"
    try:
        store_of(context).remove(image["id"], image["provider"])
    except ExtError as err:
        raise ExtError(f"image {image['id']} is forgotten, but its content stays: {err}") from err
    return ""


def _progress() -> Callable[[Mapping[str, Any]], None]:
    """Shows percents where a person looks on."""
    if not sys.stderr.isatty():
        return lambda _: None
    last = ""

    def show(line: Mapping[str, Any]) -> None:
        nonlocal last
        percent = line.get("percent")
        words = f"{line.get('phase', '')} {'' if percent is None else f'{percent} %'}".rstrip()
        if words != last:
            last = words
            sys.stderr.write(f"\r{words:20}" + ("\n" if percent == 100 else ""))
            sys.stderr.flush()

    return show


COMMANDS = (
    Command("image-create", "Copy a disk image into the store and print its id", _create_arguments, image_create),
    Command(
        "image-register", "Make known again an image that was made of a server", _register_arguments, image_register
    ),
    Command("image-list", "List images; sizes in octets, GiB and MiB", no_arguments, image_list),
    Command("image-show", "Show an image and its members", _name_argument, image_show),
    Command("image-delete", "Delete an image and its content", _delete_arguments, image_delete),
)
