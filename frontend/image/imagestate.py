"""What becomes of an image's row while it is filled, and when it goes.

    queued -> saving -> active                     an upload
    queued -> uploading -> importing -> active     an upload that waits for its import (glance-direct)
    queued -> importing -> active                  a download (web-download)

Whoever fills one says so again and again (`lease`); where nobody does any more, it is `queued` once more, and what was
left in the store is taken away (imagecare.py). One who only slept finds that it is not his (`filler`), and leaves all
as it is. A snapshot of a server is `saving` without a lease: Ganeti's job tells.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from frontend.database import db
from frontend.image.imageprocess import Store, Stored
from frontend.usage import meter
from frontend.web.fault import TooLarge, Unavailable
from ganeti_ext.errors import CommandError, ExtError

log = logging.getLogger(__name__)

QUEUED, SAVING, UPLOADING, IMPORTING = "queued", "saving", "uploading", "importing"
ACTIVE, DEACTIVATED, DELETED = "active", "deactivated", "deleted"
FILLED = (ACTIVE, DEACTIVATED)
LEASE = 120.0  # seconds
_AGAIN = 20.0


class LostError(Exception):
    """Who fills the image was not heard of for so long that he was given up, and another may be at it."""


def filler() -> str:
    """A new word for one who fills an image."""
    return uuid.uuid4().hex


def turn(engine: Engine, ident: str, before: str, after: str, by: str | None = None, **values: Any) -> bool:
    """From one status to another, unless it is in neither: of two at once, one does it. Or unless `by` fills it not."""
    with engine.begin() as connection:
        return turn_in(connection, ident, before, after, by, **values)


def turn_in(connection: Connection, ident: str, before: str, after: str, by: str | None = None, **values: Any) -> bool:
    """The same in a transaction. One that waits for content again has none of the quota."""
    column = db.image.c
    write = update(db.image).where(column.id == ident, column.status == before)
    if by is not None:
        write = write.where(column.filler == by)
    empty = {"size": 0} if after == QUEUED else {}
    new = {"status": after, "updated": time.time(), "lease": None, **empty, **values}
    turned = connection.execute(write.values(new)).rowcount > 0
    if turned:
        meter.of_image(connection, ident, time.time())
    return turned


@contextlib.contextmanager
def filling(engine: Engine, image: Mapping[str, Any], status: str) -> Iterator[None]:
    """While an image, which was queued and is when that fails, is filled by its `filler`."""
    ident, by = image["id"], image["filler"]

    def renew() -> None:
        column = db.image.c
        with engine.begin() as connection:
            mine = (column.id == ident, column.status.in_((status, DELETED)), column.filler == by)
            connection.execute(update(db.image).where(*mine).values(lease=time.time() + LEASE))

    try:
        with repeated(renew, _AGAIN):
            yield
    except BaseException:
        turn(engine, ident, status, QUEUED, by, filler=None)
        forget_if_deleted(engine, ident)
        raise


@contextlib.contextmanager
def working(ident: str) -> Iterator[None]:
    """Unavailable when the image store is not what it should be; the administrator's words go to the log."""
    try:
        yield
    except CommandError as err:
        log.error("image %s: %s", ident, err)
        raise Unavailable("The image store does not work now. Try again later.") from err


@contextlib.contextmanager
def repeated(act: Callable[[], None], seconds: float) -> Iterator[None]:
    """Act again and again, in a thread, whatever this one waits for."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(seconds):
            try:
                act()
            except SQLAlchemyError as err:
                log.warning("database: %s", str(err).split("\n", 1)[0])

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def filled(
    engine: Engine, store: Store, image: Mapping[str, Any], status: str, stored: Stored, room: Callable[..., int]
) -> bool:
    """The image is in the store: it is active, unless somebody deleted it meanwhile; then it goes.

    `room` tells in a transaction how many octets it may have. TooLarge when another took the room meanwhile: then it
    goes, too, and waits for content again. LostError: the image is another's to fill, and what is in the store his.
    """
    values = {"size": stored.size, "sha256": stored.sha256, "md5": stored.md5, "pool": stored.pool}
    values |= {"disk_format": "raw"}  # as what is downloaded is
    with engine.begin() as connection:
        fits = stored.size <= room(connection, image["owner_id"], image["id"])
        is_active = fits and turn_in(connection, image["id"], status, ACTIVE, image["filler"], **values)
    if is_active:
        log.info("image %s: active, %d octets", image["id"], stored.size)
        return True
    try:
        deleted = is_deleted(engine, image, status)
    except LostError:
        turn(engine, image["id"], QUEUED, SAVING, lease=0.0)  # if it is nobody's: imagecare.py clears the store
        raise
    if deleted:
        log.info("image %s was deleted while it was filled", image["id"])
        drop(engine, store, image)
        return False
    _take_back(engine, store, image, status)
    raise TooLarge(f"Quota exceeded for images: no room is left for {stored.size} octets.")


def is_deleted(engine: Engine, image: Mapping[str, Any], status: str) -> bool:
    """Of an image that its `filler` was filling. LostError when he is not the one any more."""
    with engine.connect() as connection:
        row = db.row(connection, select(db.image).where(db.image.c.id == image["id"]))
    if row is None or row["status"] == DELETED:
        return True
    if (row["status"], row["filler"]) == (status, image["filler"]):
        return False
    raise LostError(f"image {image['id']}: who filled it was not heard of for {LEASE:g} s; it is {row['status']} now")


def give_back(engine: Engine, store: Store, image: Mapping[str, Any], status: str) -> None:
    """After a transaction that failed: unless its end came to the database all the same, the content may come again.

    Where the database does not work now either, imagecare.py sees to it when nobody says any more that he fills it.
    """
    with contextlib.suppress(SQLAlchemyError):
        if turn(engine, image["id"], status, status, image["filler"], lease=time.time() + LEASE):
            _take_back(engine, store, image, status)


def _take_back(engine: Engine, store: Store, image: Mapping[str, Any], status: str) -> None:
    """Where the store does not let go of it, imagecare.py tries again, while nobody says that he fills the image."""
    if cleared(store, image, "its content, for which there is no room,"):
        turn(engine, image["id"], status, QUEUED, image["filler"], filler=None)
        forget_if_deleted(engine, image["id"])


def drop(engine: Engine, store: Store, image: Mapping[str, Any]) -> None:
    """Take a deleted image out of the store, then its row; the row stays, to be tried again, when that fails."""
    if cleared(store, image, "it is deleted, and its content"):
        forget_if_deleted(engine, image["id"])


def cleared(store: Store, image: Mapping[str, Any], what: str) -> bool:
    """Whether nothing of the image is in the store now; else the log says so of `what`."""
    try:
        store.remove(image["id"], image["provider"])
    except ExtError as err:
        log.error("image %s: %s stays for now: %s", image["id"], what, err)
        return False
    return True


def forget_if_deleted(engine: Engine, ident: str) -> None:
    column = db.image.c
    with engine.begin() as connection:
        connection.execute(delete(db.image).where(column.id == ident, column.status == DELETED))


def staged(folder: str, ident: str) -> str:
    """Where an upload lies that waits for its import."""
    return os.path.join(folder, ident)


def unstage(folder: str, ident: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(staged(folder, ident))


def stored_as(image: Mapping[str, Any]) -> str:
    """What the store calls it: its id, or the snapshot of a server that it is."""
    origin: str = image["origin"] or ""
    return origin.partition(":")[2] or image["id"]
