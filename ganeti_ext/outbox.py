"""A durable queue of messages in one SQLite file, with a wake-up.

It is eventd's spool before RabbitMQ and, where no RabbitMQ is configured, the broker itself: eventd puts,
the front's consumer on the same machine takes. A message and the cursor that says how far the source was
read change in one transaction, so a crash neither loses nor repeats one.

One writer process and one taker process; both may restart at any time.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cursor (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class Message(NamedTuple):
    seq: int
    key: str
    body: str


class Outbox:
    """The queue at `path`; its directory must be writable by writer and taker (WAL files stand beside it)."""

    def __init__(self, path: str) -> None:
        self._wake = f"{path}.wake"
        _create(path)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA journal_mode=WAL")
        # FULL: what was put survives the loss of power, not only of the process.
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def put(self, messages: Iterable[tuple[str, str]], cursors: dict[str, str | None] | None = None) -> int:
        """Add (routing key, body) pairs and set cursors (None forgets one), all or nothing.

        Returns how many messages were added.
        """
        with self._transaction():
            added = self._db.executemany("INSERT INTO message (key, body) VALUES (?, ?)", messages).rowcount
            for name, value in (cursors or {}).items():
                if value is None:
                    self._db.execute("DELETE FROM cursor WHERE name = ?", (name,))
                else:
                    self._db.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?)", (name, value))
        if added > 0:
            self._notify()
        return max(added, 0)

    def cursors(self) -> dict[str, str]:
        """Every cursor by name."""
        return dict(self._db.execute("SELECT name, value FROM cursor"))

    def take(self, limit: int, after: int = 0) -> list[Message]:
        """The oldest messages with seq > after; they stay until dropped."""
        rows = self._db.execute("SELECT seq, key, body FROM message WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
        return [Message(*row) for row in rows]

    def drop(self, seqs: Iterable[int]) -> None:
        """Forget delivered messages."""
        with self._transaction():
            self._db.executemany("DELETE FROM message WHERE seq = ?", [(seq,) for seq in seqs])

    def __len__(self) -> int:
        count: int = self._db.execute("SELECT count(*) FROM message").fetchone()[0]
        return count

    def listen(self) -> socket.socket:
        """The taker's end of the wake-up: readable when messages were put. Drain it before `take`."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._wake)
        wake = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        wake.bind(self._wake)
        os.chmod(self._wake, stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP)
        return wake

    def close(self) -> None:
        self._db.close()

    def _notify(self) -> None:
        # OSError: nobody listens, or it was told already; in both cases the message is safe in the file.
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as wake:
            wake.sendto(b"\0", self._wake)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _create(path: str) -> None:
    """Make the file, if there is none, before SQLite would.

    Writer and taker may be different users of one group, and SQLite gives the files beside it the mode that it
    has when they are made: with the first connection, which may stay for as long as its process.
    """
    with contextlib.suppress(FileExistsError):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660)
        os.fchmod(fd, 0o660)
        os.close(fd)


def drain(wake: socket.socket) -> None:
    """Empty the wake-up socket."""
    with contextlib.suppress(BlockingIOError):
        while wake.recv(16):
            pass
