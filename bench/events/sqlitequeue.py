"""The floor's way without a broker: a table in a SQLite file, and a datagram that wakes the other end."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3


def _open(path: str, synchronous: str) -> sqlite3.Connection:
    """A connection whose statements are each a transaction."""
    db = sqlite3.connect(path, isolation_level=None, timeout=30)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(f"PRAGMA synchronous={synchronous}")
    db.execute("CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)")
    return db


class Sender:
    """Puts; with synchronous=FULL each message is on the disk when `send` returns."""

    def __init__(self, path: str, synchronous: str) -> None:
        self._db = _open(path, synchronous)
        self._wake = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._address = f"{path}.wake"

    def send(self, body: str) -> None:
        self._db.execute("INSERT INTO message (body) VALUES (?)", (body,))
        with contextlib.suppress(BlockingIOError):  # it was told already
            self._wake.sendto(b"\0", self._address)

    def flush(self) -> None:
        """Nothing is kept back."""


class Taker:
    """Takes what is there, and forgets it when it is done."""

    def __init__(self, path: str, synchronous: str) -> None:
        self._db = _open(path, synchronous)
        self._wake = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}.wake")
        self._wake.bind(f"{path}.wake")
        self._last = 0

    def take(self) -> list[str]:
        """The oldest 100 at most; waits for the first."""
        while True:
            query = "SELECT seq, body FROM message WHERE seq > ? ORDER BY seq LIMIT 100"
            rows = self._db.execute(query, (self._last,)).fetchall()
            if rows:
                self._last = rows[-1][0]
                return [body for _, body in rows]
            self._wake.recv(16)

    def done(self) -> None:
        self._db.execute("DELETE FROM message WHERE seq <= ?", (self._last,))
