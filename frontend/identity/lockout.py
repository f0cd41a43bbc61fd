"""Guesses of passwords: how many did not fit, by whose they were to be and by where they came from.

Counted in the database, so that all workers and fronts count together. Whoever has guessed too often is not listened
to for a while: a user's or credential's guesses get the same 401 as a wrong password does, an address's get 429.
What does not exist is counted, too, so that nothing tells it from what does.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections.abc import Mapping
from typing import Any

from flask import request
from sqlalchemy import Connection, Engine, case, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from frontend.database import db
from frontend.web import context
from frontend.web.fault import TooManyRequests, Unauthorized

log = logging.getLogger(__name__)

MOST = 50_000
"""Rows. Beyond, the oldest that lock nothing are forgotten first."""

_table = db.attempt
ADDRESS, USER, CREDENTIAL, UNKNOWN = "address", "user", "credential", "unknown"


class Guess:
    """One password or secret that somebody says; `ident` is None when there is nothing that it could be of."""

    def __init__(self, kind: str, ident: str | None, said: str) -> None:
        services = context.services()
        self._limits = services.settings.identity
        self._engine = services.engine
        self._said = said
        self._from = client_address(self._limits.proxies)
        # What does not exist has any name and any length, and perhaps a password in place of a name.
        unknown = f"{UNKNOWN}:{services.signer.mark(f'attempt {kind} {said}')}"
        self._whose = f"{kind}:{ident}" if ident is not None else unknown
        self._counted = False

    def check(self, connection: Connection) -> None:
        """Unauthorized, or TooManyRequests of an address, while no guess is looked at."""
        now = time.time()
        keys = [key for key, _ in self._keys()]
        found = db.rows(connection, select(_table).where(_table.c.key.in_(keys)))
        until = {row["key"]: row["until"] for row in found if row["until"] is not None and row["until"] > now}
        self._counted = any(row["key"] == self._whose for row in found)
        for key, end in until.items():
            if key != self._whose:
                log.warning("too many wrong passwords from %s: it is not listened to", self._from)
                raise TooManyRequests(math.ceil(end - now))
        if until:
            log.warning("no token for %r from %s: locked after too many wrong passwords", self._said, self._from)
            raise Unauthorized

    def failed(self) -> Unauthorized:
        """Count it; what to raise."""
        log.warning("no token for %r from %s", self._said, self._from or request.remote_addr)
        for key in count(self._engine, self._keys(), time.time(), self._limits.attempt_minutes * 60):
            log.warning("%s is locked for %g minutes: too many wrong passwords", key, self._limits.attempt_minutes)
        return Unauthorized()

    def succeeded(self) -> None:
        """Forget the user's guesses that did not fit. The address's stay: it may know one password and guess others."""
        if self._counted:
            with self._engine.begin() as connection:
                connection.execute(delete(_table).where(_table.c.key == self._whose))

    def _keys(self) -> list[tuple[str, int]]:
        keys = [(self._whose, self._limits.attempts)]
        if self._from is not None:
            keys.append((f"{ADDRESS}:{self._from}", self._limits.address_attempts))
        return [(key, limit) for key, limit in keys if limit]


def count(engine: Engine, keys: list[tuple[str, int]], now: float, window: float) -> list[str]:
    """One more for each (key, how many lock it); the keys that are locked by that, for `window` seconds."""
    locked = []
    with engine.begin() as connection:
        for key, limit in sorted(keys):  # in one order, so that two never wait for each other
            number, until = _add(connection, key, limit, now, window)
            if number == 1:
                _prune(connection, now, window)
            if until is not None and number == limit:
                locked.append(key)
    return locked


def client_address(proxies: tuple[str, ...]) -> str | None:
    """Where a request comes from: the last of the way that is no proxy of ours; an IPv6 address's /64.

    None when only proxies are known, or what they say is no address: then nobody else is to be taken for it.
    """
    way = [request.remote_addr or "", *reversed(request.headers.get("X-Forwarded-For", "").split(","))]
    for step in way:
        text = step.strip()
        if text in proxies or (not text and step is way[0]):  # a socket's peer has no address
            continue
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return None
        if address.version == 6:
            return str(ipaddress.ip_network((address, 64), strict=False))
        return str(address)
    return None


def rows(connection: Connection) -> list[dict[str, Any]]:
    """All that is counted, the newest first."""
    return db.rows(connection, select(_table).order_by(_table.c.since.desc(), _table.c.key))


def release(connection: Connection, key: str | None) -> int:
    """Forget what was counted of one key, or of all; how many there were."""
    where = [] if key is None else [_table.c.key == key]
    return connection.execute(delete(_table).where(*where)).rowcount


def locked_until(row: Mapping[str, Any], now: float) -> float | None:
    """The end of a row's lock, if it has one."""
    until: float | None = row["until"]
    return until if until is not None and until > now else None


def _add(connection: Connection, key: str, limit: int, now: float, window: float) -> tuple[int, float | None]:
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    end = now + window if limit <= 1 else None
    fresh = _table.c.since > now - window
    statement = make(_table).values(key=key, count=1, since=now, until=end)
    again = {
        "count": case((fresh, _table.c.count + 1), else_=1),
        "since": case((fresh, _table.c.since), else_=now),
        "until": case((fresh & (_table.c.count + 1 >= limit), now + window), else_=end),
    }
    done = connection.execute(
        statement.on_conflict_do_update(index_elements=["key"], set_=again).returning(_table.c.count, _table.c.until)
    ).one()
    return done[0], done[1]


def _prune(connection: Connection, now: float, window: float) -> None:
    """Forget what counts no more, and the oldest of too many."""
    free = _table.c.until.is_(None) | (_table.c.until <= now)
    connection.execute(delete(_table).where(_table.c.since <= now - window, free))
    surplus = (connection.execute(select(func.count()).select_from(_table)).scalar() or 0) - MOST
    if surplus > 0:
        oldest = select(_table.c.key).order_by(~free, _table.c.since).limit(surplus)
        connection.execute(delete(_table).where(_table.c.key.in_(oldest)))
