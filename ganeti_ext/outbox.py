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
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cursor (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
# Counted in PRAGMA user_version, as files of older versions are taken over with what waits in them.
_CHANGES = (
    """
    ALTER TABLE message ADD COLUMN put_at REAL NOT NULL DEFAULT 0;
    ALTER TABLE message ADD COLUMN passing INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE message ADD COLUMN slot TEXT;
    CREATE INDEX message_passing ON message (passing);
    CREATE UNIQUE INDEX message_slot ON message (slot) WHERE slot IS NOT NULL;
    """,
)
# One that takes the place of another comes last.
_INSERT = "INSERT OR REPLACE INTO message (key, body, put_at, passing, slot) VALUES (?, ?, ?, ?, ?)"
_LOST = "lost"  # the slot of the message that says what was dropped
_NEEDLESS = 2
_SLACK = 100  # the part of the limit that is made free at once, as each time has to count


class Message(NamedTuple):
    """`put_at` is in seconds since the epoch, 0.0 for one that an older version put."""

    seq: int
    key: str
    body: str
    put_at: float = 0.0


class Put(NamedTuple):
    """A message to come. `passing` ones are dropped first; of those with the same `slot` only the newest waits.

    `needless` ones wait where there is room: before any other is dropped they go, and nobody is told.
    """

    key: str
    body: str
    passing: bool = False
    slot: str | None = None
    needless: bool = False

    @property
    def rank(self) -> int:
        """What the column `passing` has."""
        return _NEEDLESS if self.needless else int(self.passing)


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many messages had to go, and how many of these were not passing."""

    count: int = 0
    kept: int = 0


class Bound(NamedTuple):
    """How many messages may wait, and the message about those that were dropped.

    `lost` gets the body of the last such message, if that still waits, and what was dropped since.
    """

    limit: int
    lost: Callable[[str | None, Dropped], Put]


@dataclass(frozen=True, slots=True)
class Fullness:
    """What waits: `oldest` is when the oldest was put (seconds since the epoch; 0.0 for none), `octets` on the disk."""

    count: int
    oldest: float
    octets: int


class Outbox:
    """The queue at `path`; its directory must be writable by writer and taker (WAL files stand beside it)."""

    def __init__(self, path: str) -> None:
        self._wake = f"{path}.wake"
        self._waker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        _create(path)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._sync("FULL")
        self._db.executescript(_SCHEMA)
        self._change_schema()

    def put(
        self,
        messages: Iterable[Put | tuple[str, str]],
        cursors: dict[str, str | None] | None = None,
        bound: Bound | None = None,
        *,
        lasting: bool = True,
    ) -> Dropped:
        """Add messages, or (routing key, body) pairs, and set cursors (None forgets one), all or nothing.

        Where more than `bound` allows would wait, the oldest go, passing ones first, and the message about it comes.
        What was put survives the death of the process; if it is `lasting`, the loss of power, too. Else the last puts
        may be undone then, whole and with their cursors: for who has a source that can be read again.
        """
        now = time.time()
        self._sync("FULL" if lasting else "NORMAL")
        with self._transaction():
            rows = ((one.key, one.body, now, one.rank, one.slot) for one in (Put(*item) for item in messages))
            added = self._db.executemany(_INSERT, rows).rowcount
            stands = [(name, value) for name, value in (cursors or {}).items() if value is not None]
            gone = [(name,) for name, value in (cursors or {}).items() if value is None]
            self._db.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?)", stands)
            self._db.executemany("DELETE FROM cursor WHERE name = ?", gone)
            dropped = self._enforce(bound, now) if bound and added > 0 else Dropped()
        if added > 0:
            self._notify()
        return dropped

    def cursors(self) -> dict[str, str]:
        """Every cursor by name."""
        return dict(self._db.execute("SELECT name, value FROM cursor"))

    def take(self, limit: int, after: int = 0) -> list[Message]:
        """The oldest messages with seq > after; they stay until dropped."""
        rows = self._db.execute(
            "SELECT seq, key, body, put_at FROM message WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
        )
        return [Message(*row) for row in rows]

    def drop(self, seqs: Iterable[int]) -> None:
        """Forget delivered messages."""
        with self._transaction():
            self._db.executemany("DELETE FROM message WHERE seq = ?", [(seq,) for seq in seqs])

    def __len__(self) -> int:
        count: int = self._db.execute("SELECT count(*) FROM message").fetchone()[0]
        return count

    def fullness(self) -> Fullness:
        """How much waits; cheap enough to be asked each second."""
        oldest = self._db.execute("SELECT put_at FROM message ORDER BY seq LIMIT 1").fetchone()
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return Fullness(len(self), oldest[0] if oldest else 0.0, (pages - free) * size)

    def listen(self) -> socket.socket:
        """The taker's end of the wake-up: readable when messages were put. Drain it before `take`."""
        # What a taker drops may come again after a loss of power; to wait for the disk each time would halve its pace.
        self._sync("NORMAL")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._wake)
        wake = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        wake.bind(self._wake)
        os.chmod(self._wake, stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP)
        return wake

    def close(self) -> None:
        self._waker.close()
        self._db.close()

    def _sync(self, how: str) -> None:
        """Whether each end of a transaction waits for the disk (FULL), and with it all those before (WAL)."""
        self._db.execute(f"PRAGMA synchronous={how}")

    def _enforce(self, bound: Bound, now: float) -> Dropped:
        """Inside the transaction, so that the limit holds at each moment."""
        first, last = self._db.execute("SELECT min(seq), max(seq) FROM message").fetchone()
        if last - first < bound.limit or (count := len(self)) <= bound.limit:
            return Dropped()
        count -= self._db.execute("DELETE FROM message WHERE passing = ?", (_NEEDLESS,)).rowcount
        if count <= bound.limit:
            return Dropped()
        said = self._db.execute("SELECT body FROM message WHERE slot = ?", (_LOST,)).fetchone()
        excess = count - bound.limit + bound.limit // _SLACK + (0 if said else 1)
        passing = self._drop_oldest(1, excess)
        kept = self._drop_oldest(0, excess - passing)
        dropped = Dropped(passing + kept, kept)
        lost = bound.lost(said[0] if said else None, dropped)
        self._db.execute(_INSERT, (lost.key, lost.body, now, False, _LOST))
        return dropped

    def _drop_oldest(self, passing: int, count: int) -> int:
        gone: int = self._db.execute(
            "DELETE FROM message WHERE seq IN (SELECT seq FROM message"
            " WHERE passing = ? AND slot IS NOT ? ORDER BY seq LIMIT ?)",
            (passing, _LOST, count),
        ).rowcount
        return gone

    def _change_schema(self) -> None:
        """Bring a file of an older version up to date; several connections may try at once."""
        for number, change in enumerate(_CHANGES, 1):
            if self._db.execute("PRAGMA user_version").fetchone()[0] < number:
                with self._transaction():
                    if self._db.execute("PRAGMA user_version").fetchone()[0] < number:
                        for statement in change.split(";"):
                            self._db.execute(statement)
                        self._db.execute(f"PRAGMA user_version = {number}")

    def _notify(self) -> None:
        # OSError: nobody listens, or it was told already; in both cases the message is safe in the file.
        with contextlib.suppress(OSError):
            self._waker.sendto(b"\0", self._wake)

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
