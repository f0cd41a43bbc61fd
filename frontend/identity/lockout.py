"""Guesses of passwords: whoever has guessed too often is not listened to for a while.

A user's or credential's guesses get the same 401 as a wrong password does, an address's get 429. How they are counted:
attempts.py.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import time

from flask import request
from sqlalchemy.engine import Connection

from frontend.identity import attempts
from frontend.identity.attempts import ADDRESS, UNKNOWN
from frontend.web import context
from frontend.web.fault import TooManyRequests, Unauthorized

log = logging.getLogger(__name__)


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
        found = attempts.rows(connection, keys)
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
        for key in attempts.count(self._engine, self._keys(), time.time(), self._limits.attempt_minutes * 60):
            log.warning("%s is locked for %g minutes: too many wrong passwords", key, self._limits.attempt_minutes)
        return Unauthorized()

    def succeeded(self) -> None:
        """Forget the user's guesses that did not fit. The address's stay: it may know one password and guess others."""
        if self._counted:
            with self._engine.begin() as connection:
                attempts.release(connection, self._whose)

    def _keys(self) -> list[tuple[str, int]]:
        keys = [(self._whose, self._limits.attempts)]
        if self._from is not None:
            keys.append((f"{ADDRESS}:{self._from}", self._limits.address_attempts))
        return [(key, limit) for key, limit in keys if limit]


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
