"""Tokens: signed, not stored. What is in them can be read by whoever holds one, so nothing secret is."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
import tempfile
import time
from typing import NamedTuple

from itsdangerous import BadData, URLSafeTimedSerializer

from frontend.web.fault import Unauthorized
from ganeti_ext.errors import ConfigError


class Token(NamedTuple):
    user_id: str
    project_id: str | None
    mark: str
    """Of the password that the user had, or of the credential's secret: a new one ends the tokens."""
    methods: tuple[str, ...]
    audit_id: str
    issued: int
    expires: int
    """UTC seconds since 1970."""
    credential: str | None = None
    """The application credential that it was got for."""


class Proof(NamedTuple):
    """Who somebody is, and how that was shown: what a token is issued for."""

    user_id: str
    mark: str
    methods: tuple[str, ...]
    until: int | None = None
    """UTC seconds: the end of what it was shown with, which the token cannot outlive."""
    credential: str | None = None


class Signer:
    """Makes and reads tokens."""

    def __init__(self, secret: str, hours: float) -> None:
        self._key = secret.encode()
        self._seconds = int(hours * 3600)
        self._serializer = URLSafeTimedSerializer(
            secret,
            salt="ganeti-ext token 1",
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )

    def mark(self, password_hash: str) -> str:
        return hmac.new(self._key, password_hash.encode(), hashlib.sha256).hexdigest()[:16]

    def issue(self, proof: Proof, project_id: str | None) -> tuple[str, Token]:
        """A new token and its text."""
        now = int(time.time())
        expires = min(now + self._seconds, proof.until or now + self._seconds)
        audit_id = secrets.token_urlsafe(16)
        token = Token(proof.user_id, project_id, proof.mark, proof.methods, audit_id, now, expires, proof.credential)
        return self._serializer.dumps(token), token

    def read(self, text: str) -> Token:
        """What a token says; Unauthorized when it is not ours, damaged or over."""
        try:
            said = Token(*self._serializer.loads(text, max_age=self._seconds))
        except (BadData, ValueError, TypeError) as err:
            raise Unauthorized from err
        if time.time() >= said.expires:
            raise Unauthorized
        return said._replace(methods=tuple(said.methods))


def load_secret(path: str) -> str:
    """The secret in a file, which is made when it lacks. Several processes may start at once: one makes it."""
    with contextlib.suppress(FileExistsError):
        if not os.path.exists(path):
            _make_secret(path)
    try:
        with open(path, encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            secret = file.read().strip()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"secret file {path}: {err}") from err
    if mode & 0o077:
        raise ConfigError(f"secret file {path}: mode {mode:04o} lets others read it, expected 0600")
    if len(secret) < 32:
        raise ConfigError(f"secret file {path}: {len(secret)} characters, at least 32 are needed")
    return secret


def _make_secret(path: str) -> None:
    try:
        fd, draft = tempfile.mkstemp(prefix=".secret.", dir=os.path.dirname(path))  # mode 0600
    except OSError as err:
        raise ConfigError(f"secret file {path}: {err}") from err
    try:
        with open(fd, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(fd)
        os.link(draft, path)  # unlike rename, it leaves another process's secret alone
    finally:
        os.unlink(draft)
