"""The image store as far as tenants fill it: files that they upload, where the administrator lets them (max_upload)."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import IO

from sqlalchemy import delete

from frontend import context, db, imagefile
from frontend.fault import BadRequest, Fault, Forbidden
from ganeti_ext import files
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

_CHUNK = 1 << 20


class TooLarge(Fault):
    http_status = 413


def check() -> None:
    """Forbidden where nobody uploads anything."""
    settings = context.services().settings
    if not settings.images.max_upload:
        raise Forbidden("Images cannot be uploaded here: ask the administrator to register one.")
    if settings.front.provider != "cow":
        raise Forbidden(f"Images cannot be uploaded to {settings.front.provider}: ask the administrator.")


def fill(ident: str, stream: IO[bytes]) -> imagefile.Stored:
    """Write an upload into the store; TooLarge, or ExtError when it is no raw image or cannot be written."""
    path = _path(ident)
    draft = os.path.join(os.path.dirname(path), f".upload-{ident}")
    try:
        with open(draft, "xb") as file:
            _copy(stream, file)
        return imagefile.store(draft, path, lambda _done, _size: None)
    except ExtError as err:
        if isinstance(err, Fault) or isinstance(err.__cause__, OSError):
            raise
        log.warning("image %s: %s", ident, err)
        raise BadRequest("What was sent is no raw image: only a disk's own content can be used.") from err
    except OSError as err:
        raise ExtError(f"image {ident}: {err}") from err
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)


def remove(ident: str) -> None:
    """The row first: an image without its file could still be asked for."""
    with context.database() as connection:
        connection.execute(delete(db.image).where(db.image.c.id == ident))
        connection.commit()
    try:
        files.remove(_path(ident))
    except OSError as err:
        log.error("image %s is forgotten, but its file stays: %s", ident, err)


def _copy(stream: IO[bytes], file: IO[bytes]) -> None:
    most, size = context.services().settings.images.max_upload, 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if size > most:
            raise TooLarge(f"An image may have {most} octets at most.")
        file.write(chunk)


def _path(ident: str) -> str:
    return os.path.join(context.services().settings.images.directory, "images", f"{ident}.raw")
