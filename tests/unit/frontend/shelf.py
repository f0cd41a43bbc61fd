"""An image store in this process, for models: and what is sent to it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from frontend.image.imageprocess import Exists, Refused, Store, Stored, Wanted
from ganeti_ext.errors import CommandError
from tests.unit.frontend.conftest import GIB

SPARSE = b"QFI\xfb"  # an image of a format in which a disk of so many GiB takes a few octets


class Shelf:
    """The store: `images` are the octets of disks by id, `fails` is how many calls of it from now on the first fails.

    A process of the store that has begun does not depend on who started it, but for what that sends.
    """

    def __init__(self, step: Callable[[], None]) -> None:
        self.images: dict[str, int] = {}
        self.fails = 0
        self._step = step

    def patches(self) -> Iterator[Any]:
        """In the place of what starts the program."""
        for name in ("receive", "take", "remove", "has", "note"):
            act = getattr(self, name)
            yield mock.patch.object(Store, name, lambda _store, *args, act=act: act(*args))

    def _works(self) -> None:
        self._step()
        self.fails -= 1
        if self.fails == 0:
            raise CommandError("image store: exit code 1")

    @contextlib.contextmanager
    def receive(self, wanted: Wanted) -> Iterator[Shelf.Receiver]:
        self._works()
        yield Shelf.Receiver(self, wanted)

    def take(self, wanted: Wanted, path: str, _progress: object) -> Stored:
        self._works()
        return self.keep(wanted, Path(path).read_bytes())

    def keep(self, wanted: Wanted, data: bytes) -> Stored:
        if wanted.ident in self.images:
            raise Exists("there is one")
        size = data[len(SPARSE)] * GIB if data.startswith(SPARSE) else len(data)
        if wanted.size not in (None, len(data)) or size > (wanted.most or 0):
            raise Refused("it is not what was said, or too large")
        self.images[wanted.ident] = size
        self._step()
        return Stored(size, "m", "s", None)

    def remove(self, ident: str, _provider: object) -> None:
        self._works()
        self.images.pop(ident, None)
        self._step()

    def has(self, ident: str, _provider: object) -> bool:
        self._works()
        return ident in self.images

    def note(self, *_: object) -> None:
        self._works()

    class Receiver:
        def __init__(self, shelf: Shelf, wanted: Wanted) -> None:
            self._shelf, self._wanted, self._data = shelf, wanted, b""

        def write(self, data: bytes) -> None:
            self._shelf._step()
            self._data += data

        def finish(self) -> Stored:
            return self._shelf.keep(self._wanted, self._data)


class Content(io.BytesIO):
    """What a tenant sends, in pieces: `comes` is called before each."""

    def __init__(self, data: bytes, comes: Callable[[int], None]) -> None:
        super().__init__(data)
        self._comes, self._at = comes, 0

    def read(self, _size: int | None = -1, /) -> bytes:
        self._at += 1
        self._comes(self._at)
        return super().read(100)

    def readinto(self, buffer: Any, /) -> int:
        piece = self.read()
        buffer[: len(piece)] = piece
        return len(piece)
