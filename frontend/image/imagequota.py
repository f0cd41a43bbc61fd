"""What projects may have of images, and have. Who checks that inserts or fills the row in the same transaction."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from frontend.database import db, turns
from frontend.image.imagestate import DELETED
from frontend.quota import limits
from frontend.settings import Quota, Settings
from frontend.usage import budget
from frontend.web.fault import Forbidden, TooLarge

GIB = 1 << 30
NO_END = 1 << 62
"""Octets that no image has."""

_OWN = ("images", "image_gigabytes")


def used(connection: Connection, project: str | None, but: str = "") -> tuple[int, int]:
    """How many images a project has, and their octets; an image that is being filled has what was announced of it."""
    column = db.image.c
    mine = (column.owner_id == project, column.status != DELETED, column.id != but)
    query = select(func.count(), func.coalesce(func.sum(column.size), 0)).where(*mine)
    count, octets = connection.execute(query).one()
    return int(count), int(octets)


def check(connection: Connection, project: str, octets: int = 0) -> None:
    """Forbidden when the project may not have one more, of so many octets as far as one knows."""
    turns.take(connection, project)
    budget.check(connection, project)
    allowed, (count, there) = limits.of(connection, project, _OWN), used(connection, project)
    if limits.is_over(allowed["images"], count, 1):
        raise Forbidden(f"Quota exceeded for images: the project has {allowed['images']}, and may have no more.")
    most = allowed["image_gigabytes"] * GIB
    if 0 <= most <= there:
        raise Forbidden(f"Quota exceeded for images: {there} of {most} octets are used.")
    if limits.is_over(most, there, octets):
        raise Forbidden(f"Quota exceeded for images: {there} of {most} octets are used, and {octets} are asked for.")


def left(connection: Connection, project: str | None, image: str, quota: Quota) -> int:
    """Octets that an image may have beside the project's others. `quota`: the settings of whoever asks."""
    turns.take(connection, project)
    own = limits.given(connection, project or "")
    gigabytes = own.get("image_gigabytes", limits.standing(connection, quota)["image_gigabytes"])
    return gigabytes * GIB - used(connection, project, image)[1] if gigabytes >= 0 else NO_END


def room(connection: Connection, settings: Settings, project: str | None, image: str) -> int:
    """Octets that may be sent for an image; TooLarge when the project has no room left."""
    found = left(connection, project, image, settings.quota)
    if found <= 0:
        raise TooLarge(f"Quota exceeded for images: {used(connection, project, image)[1]} octets are used.")
    return min(settings.images.max_upload, found)
