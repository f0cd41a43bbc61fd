"""Keypairs of users. The private half of one that is made here is told once and kept nowhere."""

from __future__ import annotations

import logging
import string
import time
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import delete, func, insert, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from frontend.compute import sshkey
from frontend.database import db
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, Forbidden, NotFound

log = logging.getLogger(__name__)

_SAFE = frozenset(string.ascii_letters + string.digits + "_- ")  # Nova's below microversion 2.92
_LONGEST = 16384  # characters of a public key
_SSH = "ssh"


def find(connection: Connection, user_id: str, name: str) -> dict[str, Any] | None:
    """A user's keypair of this name."""
    column = db.keypair.c
    return db.row(connection, select(db.keypair).where(column.user_id == user_id, column.name == name))


def list_all() -> Response:
    """GET /os-keypairs, by name."""
    query = select(db.keypair).where(db.keypair.c.user_id == _owner(request.args))
    with context.database() as connection:
        found = db.rows(connection, query.order_by(db.keypair.c.name))
    keys = ("name", "public_key", "fingerprint")
    return jsonify({"keypairs": [{"keypair": _shown(row, *keys)} for row in found]})


def show(keypair_name: str) -> Response:
    """GET /os-keypairs/NAME."""
    with context.database() as connection:
        row = find(connection, _owner(request.args), keypair_name)
    if row is None:
        raise _unknown(keypair_name)
    shown = {
        **_shown(row, "name", "public_key", "fingerprint", "user_id"),
        "id": zlib.crc32(f"{row['user_id']} {row['name']}".encode()) & 0x7FFFFFFF,  # Nova's has a number
        "created_at": datetime.fromtimestamp(row["created"], UTC).strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "updated_at": None,
        "deleted": False,
        "deleted_at": None,
    }
    return jsonify({"keypair": shown})


def create() -> tuple[Response, int]:
    """POST /os-keypairs: with `public_key` that one, without a new pair."""
    sent = schema.mapping(schema.body(), "keypair")
    name, public, owner = _name(sent), _public_key(sent), _owner(sent)
    if context.version() >= (2, 2) and sent.get("type") not in (None, _SSH):
        raise BadRequest(f"type: {sent['type']!r:.80}: only 'ssh' is supported, nothing brings others into guests")
    private = None
    if public is None:
        private, public = sshkey.generate(context.services().settings.front.key_type)
    try:
        fingerprint = sshkey.fingerprint(public)
    except ValueError as err:
        raise BadRequest(f"Keypair data is invalid: public_key: {err}") from err
    row = {"user_id": owner, "name": name, "type": _SSH, "public_key": public, "fingerprint": fingerprint}
    _insert({**row, "created": time.time()})
    log.info("keypair %r of user %s: %s", name, owner, "imported" if private is None else "made")
    shown = _shown(row, "name", "public_key", "fingerprint", "user_id")
    if private is not None:
        shown["private_key"] = private
    return jsonify({"keypair": shown}), 201 if context.version() >= (2, 2) else 200


def remove(keypair_name: str) -> tuple[str, int]:
    """DELETE /os-keypairs/NAME. Servers keep the key that they were made with."""
    column, owner = db.keypair.c, _owner(request.args)
    with context.database() as connection:
        gone = connection.execute(delete(db.keypair).where(column.user_id == owner, column.name == keypair_name))
        connection.commit()
    if not gone.rowcount:
        raise _unknown(keypair_name)
    return "", 204 if context.version() >= (2, 2) else 202


def _insert(row: Mapping[str, Any]) -> None:
    allowed = context.services().settings.quota.keypairs
    count = select(func.count()).select_from(db.keypair).where(db.keypair.c.user_id == row["user_id"])
    with context.database() as connection:
        if connection.execute(count).scalar_one() >= allowed:
            raise Forbidden(f"Quota exceeded, too many key pairs: {allowed} are allowed")
        try:
            connection.execute(insert(db.keypair).values(row))
            connection.commit()
        except IntegrityError as err:
            raise Conflict(f"Key pair '{row['name']}' already exists.") from err


def _name(sent: Mapping[str, Any]) -> str:
    name = schema.text(sent, "name")
    if not _SAFE.issuperset(name):
        raise BadRequest(
            f"Keypair data is invalid: name: {name!r} has other characters than letters, digits, _, - and blank"
        )
    return name


def _public_key(sent: Mapping[str, Any]) -> str | None:
    value = sent.get("public_key")
    if isinstance(value, str):
        value = value.strip() or " "  # clients send the file with its newline; a blank one is none
    found: str | None = schema.text({"public_key": value}, "public_key", None, longest=_LONGEST)
    return found


def _owner(asked: Mapping[str, Any]) -> str:
    """Whose keypairs are meant: the caller's own; from 2.10 on an administrator may name another user."""
    caller = context.caller()
    named = schema.text(asked, "user_id", None) if context.version() >= (2, 10) else None
    if named in (None, caller.user_id):
        return caller.user_id
    if "admin" not in caller.roles:
        raise Forbidden("user_id: only an administrator may name another user.")
    return str(named)


def _shown(row: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    more = ("type",) if context.version() >= (2, 2) else ()
    return {key: row[key] for key in (*keys, *more)}


def _unknown(name: str) -> NotFound:
    return NotFound(f"Keypair {name} not found for user {context.caller().user_id}")
