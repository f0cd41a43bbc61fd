"""PUT /v2/images/ID/file and /stage: content of images, as tenants send it; GET .../file: as they get it back.

An upload keeps a thread of this process busy, and a process of the image store. If either end breaks off, nothing of
it stays, and the image is `queued` again.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import time
from collections.abc import Iterator
from typing import Any

from flask import Response, request
from sqlalchemy.exc import SQLAlchemyError

from frontend.image import imagequota, images, imagestate
from frontend.image.imageprocess import Exists, Export, Refused, Store, Wanted
from frontend.image.imagestate import LEASE, QUEUED, SAVING, UPLOADING, LostError
from frontend.image.imagevalues import CONTAINERS
from frontend.web import context, schema
from frontend.web.fault import BadMediaType, BadRequest, Conflict, Fault, Forbidden, TooLarge, Unavailable

log = logging.getLogger(__name__)

_DATA = "application/octet-stream"


def upload(image_id: str) -> tuple[str, int]:
    """204 when it is in the store; what is refused there is 400 with the reason."""
    image, most = _begin(image_id, SAVING)
    services = context.services()
    store = Store(services.settings.images.command)
    wanted = Wanted(image_id, image["disk_format"], image["provider"], most, request.content_length)
    with imagestate.filling(services.engine, image, SAVING):
        try:
            with imagestate.working(image_id), store.receive(wanted) as receiver:
                for chunk in schema.received(most, "image"):
                    receiver.write(chunk)
                stored = receiver.finish()
        except Refused as err:
            log.info("image %s: %s", image_id, err)
            raise BadRequest(str(err)) from err
        except Exists as err:
            log.warning("image %s: %s", image_id, err)
            raise _in_the_way(image) from err
    room = functools.partial(imagequota.left, quota=services.settings.quota)
    try:
        imagestate.filled(services.engine, store, image, SAVING, stored, room)
    except LostError as err:
        raise _given_up(err, image_id) from err
    except SQLAlchemyError:
        imagestate.give_back(services.engine, store, image, SAVING)
        raise
    return "", 204


def _given_up(err: LostError, image_id: str) -> Conflict:
    log.warning("%s", err)
    return Conflict(f"The upload to image {image_id} stood still for too long and was given up.")


def _in_the_way(image: dict[str, Any]) -> Fault:
    """What to tell of content that is there already: that of an upload given up, if one was, or nobody knows whose."""
    ident, engine = image["id"], context.services().engine
    left = {"lease": 0.0, "filler": imagestate.filler()}  # imagecare.py's from now on
    if image["earlier"] and imagestate.turn(engine, ident, SAVING, SAVING, image["filler"], **left):
        return Unavailable("What an upload that was given up has left is taken away now. Try again.")
    return Conflict(f"Image {ident} has content already.")


def stage(image_id: str) -> tuple[str, int]:
    """Kept as it comes, until it is imported (imageimport.py); TooLarge when others took the room meanwhile."""
    image, most = _begin(image_id, UPLOADING)
    services = context.services()
    folder = services.settings.images.staging
    path = imagestate.staged(folder, image_id)
    draft = f"{path}.{image['filler']}.draft"
    with imagestate.filling(services.engine, image, UPLOADING):
        try:
            os.makedirs(folder, mode=0o750, exist_ok=True)
            with open(draft, "wb") as file:
                file.writelines(schema.received(most, "image"))
            size = os.path.getsize(draft)
            # It waits for ever now, and nobody has to say that he is at it.
            with services.engine.begin() as connection:
                left = imagequota.left(connection, image["owner_id"], image_id, services.settings.quota)
                if size > left:
                    raise TooLarge(f"Quota exceeded for images: no room is left for {size} octets.")
                if imagestate.turn_in(connection, image_id, UPLOADING, UPLOADING, image["filler"], size=size):
                    os.rename(draft, path)
                    return "", 204
            imagestate.is_deleted(services.engine, image, UPLOADING)
        except LostError as err:
            raise _given_up(err, image_id) from err
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)
    return "", 204


def download(image_id: str) -> Response:
    """200 with the content, which is raw whatever was sent; 204 while there is none."""
    image = images.need(image_id)
    if image["status"] == imagestate.DEACTIVATED and not context.is_admin():
        raise Forbidden(f"Image {image_id} is deactivated.")
    if image["status"] not in imagestate.FILLED:
        return Response(status=204)
    headers = {"Content-Length": str(image["size"])}
    if image["md5"]:
        headers["Content-MD5"] = image["md5"]
    if request.method == "HEAD":
        return Response(headers=headers, mimetype=_DATA)
    store = Store(context.services().settings.images.command)
    with imagestate.working(image_id), contextlib.ExitStack() as undo:
        export = store.export(imagestate.stored_as(image), image["provider"])
        undo.callback(export.close)
        pieces = iter(export)
        first = next(pieces, b"")  # what fails at once is an answer still, and no torso
        undo.pop_all()
    return Response(_Body(export, first, pieces), headers=headers, mimetype=_DATA)


class _Body:
    """What the server sends, and closes when it, or the client, is done."""

    def __init__(self, export: Export, first: bytes, rest: Iterator[bytes]) -> None:
        self._export, self._first, self._rest = export, first, rest

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        yield from self._rest

    def close(self) -> None:
        self._export.close()


def _begin(image_id: str, status: str) -> tuple[dict[str, Any], int]:
    """The image, which is the caller's to fill from now on, and how many octets it may have."""
    settings = context.services().settings
    image = images.need_own(image_id, "upload to")
    if not settings.images.max_upload:
        raise Forbidden("Images cannot be uploaded here: ask the administrator to register one.")
    if request.mimetype != _DATA:
        raise BadMediaType(f"Content-Type {request.mimetype!r}: expected {_DATA}")
    if image["disk_format"] is None or image["container_format"] not in CONTAINERS:
        raise BadRequest("Properties disk_format, container_format must be set prior to saving data.")
    size = request.content_length or 0
    with context.database() as connection:
        most = imagequota.room(connection, settings, image["owner_id"], image_id)
        if size > most:
            raise TooLarge(f"The image may have {most} octets at most.")
        # What is announced is taken from the quota at once; what it comes to, when it is known.
        taken: dict[str, Any] = {"size": size, "lease": time.time() + LEASE, "filler": imagestate.filler()}
        if not imagestate.turn_in(connection, image_id, QUEUED, status, **taken):
            raise Conflict(f"Image {image_id} has a file already, or is getting one (status {image['status']}).")
        connection.commit()
    with contextlib.suppress(AttributeError):  # before Flask 3.1 max_body holds for files, too
        # One more: of what announces no size, werkzeug refuses the end behind as much as it may have (LimitedStream).
        request.max_content_length = most + 1
    return {**image, "filler": taken["filler"], "earlier": image["filler"]}, most
