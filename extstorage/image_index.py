"""Which blocks the images of a directory have: a database beside them, which may be lost: it can be made anew.

It says where a block may be found; whether it is there the kernel finds out when it compares.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING

from extstorage import image_rights
from extstorage.warning import warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from extstorage.image_digest import Blocks

NAME = ".blocks.sqlite"
_VERSION = 1
_WAIT = 60.0  # seconds for another node's change
_AT_ONCE = 500  # checksums in one question
_FIND = "SELECT digest, id, at FROM block JOIN image ON image.number = block.image WHERE digest IN"
_TABLES = (
    "CREATE TABLE image (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, state TEXT NOT NULL)",
    "CREATE TABLE block (digest BLOB, image INTEGER, at INTEGER, PRIMARY KEY (digest, image)) WITHOUT ROWID",
    "CREATE INDEX block_image ON block (image)",
    f"PRAGMA user_version = {_VERSION}",
)


class Index:
    """The database of one directory, opened."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def state(self, ident: str) -> str:
        """What an image's file was when its blocks were noted; empty when they never were."""
        row = self._connection.execute("SELECT state FROM image WHERE id = ?", (ident,)).fetchone()
        return str(row[0]) if row else ""

    def find(self, digests: Sequence[bytes]) -> dict[bytes, list[tuple[str, int]]]:
        """Images that may have these blocks, and as their how manieth."""
        found: dict[bytes, list[tuple[str, int]]] = {}
        for start in range(0, len(digests), _AT_ONCE):
            part = digests[start : start + _AT_ONCE]
            rows = self._connection.execute(f"{_FIND} ({','.join('?' * len(part))})", part)
            for digest, ident, at in rows:
                found.setdefault(digest, []).append((ident, at))
        return found

    def note(self, ident: str, state: str, blocks: Blocks) -> None:
        """Put an image's blocks in the place of those that were noted before."""
        with self._connection:
            self._forget(ident)
            number = self._connection.execute("INSERT INTO image (id, state) VALUES (?, ?)", (ident, state)).lastrowid
            rows: Iterable[tuple[bytes, int | None, int]] = (
                (digest, number, at) for at, digest in (blocks[index] for index in range(len(blocks)))
            )
            self._connection.executemany("INSERT OR IGNORE INTO block VALUES (?, ?, ?)", rows)

    def mark(self, ident: str, state: str) -> None:
        """What the file of an image is whose blocks are noted."""
        with self._connection:
            self._connection.execute("UPDATE image SET state = ? WHERE id = ?", (state, ident))

    def forget(self, ident: str) -> None:
        with self._connection:
            self._forget(ident)

    def _forget(self, ident: str) -> None:
        self._connection.execute("DELETE FROM block WHERE image = (SELECT number FROM image WHERE id = ?)", (ident,))
        self._connection.execute("DELETE FROM image WHERE id = ?", (ident,))


@contextlib.contextmanager
def opened(folder: str, *, make: bool = True) -> Iterator[Index | None]:
    """The index of a directory; None where there is none and none is to be made, or when it cannot be used now.

    One that is damaged is begun anew.
    """
    path = f"{folder}/{NAME}"
    connection = _connected(path) if make or os.path.exists(path) else None
    try:
        yield Index(connection) if connection else None
    except sqlite3.DatabaseError as err:
        warn("cow", f"{path}: {err}: what is identical stays stored twice until: ganeti-ext-storage image dedup")
        if not isinstance(err, sqlite3.OperationalError):  # no disk full, no lock: it is broken
            _remove(path)
    finally:
        if connection:
            connection.close()


def _connected(path: str) -> sqlite3.Connection | None:
    for _ in range(2):
        try:
            connection = sqlite3.connect(path, timeout=_WAIT)
            if _prepare(connection):
                image_rights.share(path, os.path.dirname(path))
                return connection
            connection.close()
        except sqlite3.OperationalError as err:
            warn("cow", f"{path}: {err}")
            return None
        except sqlite3.DatabaseError:
            connection.close()
        _remove(path)
    return None


def _prepare(connection: sqlite3.Connection) -> bool:
    """Make the tables where they lack; False when it is another version's."""
    # It may be lost, so no write of it is awaited.
    connection.execute("PRAGMA synchronous = OFF")
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for text in _TABLES:
                connection.execute(text)
    return version in (0, _VERSION)


def _remove(path: str) -> None:
    for name in (path, f"{path}-journal"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
