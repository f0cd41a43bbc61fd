"""The image store as its users see it, whatever the provider: what goes in, what comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from extstorage.image_digest import Blocks
    from extstorage.image_record import Record
    from extstorage.image_report import Report


class Entry(NamedTuple):
    """An image, or a snapshot that is one. Octets and times as of found.Found."""

    id: str
    kind: str
    origin: str | None
    logical: int
    physical: int | None
    exclusive: int | None
    created: float | None
    record: Record


class Offer(NamedTuple):
    """A content that is whole: how long, its SHA-256 or an empty text, its blocks, and what to keep beside it."""

    size: int
    sha256: str
    blocks: Blocks
    record: Record


class Made(NamedTuple):
    """Octets that the data of a new image takes, and how many of them it shares because they were there already."""

    physical: int | None
    shared: int


class Removed(NamedTuple):
    """`clones` need the data, which goes with the last of them."""

    clones: tuple[str, ...] = ()


class Reader(Protocol):
    """The content of an image."""

    @property
    def size(self) -> int:
        """In octets."""

    def read(self, offset: int, count: int) -> bytes:
        """So many octets, or fewer."""


class Making(Protocol):
    """A new image, of which nothing is left with the end of its `with` block but what was published."""

    @property
    def content(self) -> int:
        """An empty file for the raw content."""

    def scratch(self) -> int:
        """Another empty file."""

    def publish(self, offer: Offer, told: Report) -> Made:
        """Have the image be there, whole, with its record, in one step."""

    def dedup(self, offer: Offer, told: Report) -> int:
        """Let a published image share what was there already; octets."""


class Place(Protocol):
    """The images of one store."""

    MERGES: bool
    """Whether images that are there already can be made to share what they have in common."""

    def has(self, ident: str) -> bool: ...

    def entries(self) -> Iterator[Entry]:
        """All images, then snapshots that are."""

    def entry(self, ident: str) -> Entry | None: ...

    def record(self, ident: str) -> Record: ...

    def put(self, ident: str, record: Record) -> None: ...

    def remove(self, ident: str) -> Removed | None:
        """Delete an image and its record; None when there was none."""

    def opened(self, ident: str) -> AbstractContextManager[Reader]: ...

    def making(self, ident: str, work: str) -> AbstractContextManager[Making]:
        """`work`: a directory for files that are not the store's. Known when there is such an image."""

    def left(self) -> Iterator[str]:
        """What killed calls left."""

    def sweep(self) -> list[str]:
        """Remove that; returns it."""

    def share(self, ident: str, told: Report, *, again: bool) -> tuple[int, int] | None:
        """Octets of an image that were looked at, and of these what it shares now with what was there already.

        None when it was looked at before and has not changed, unless that is to be done `again`.
        """

    def settle(self, told: Report) -> None:
        """Free the room that what several images share keeps beyond what it needs."""
