"""Application credentials: what a program proves with who has sent it, in one project, without his password."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import delete as delete_rows
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from werkzeug.security import generate_password_hash

from frontend.database import db
from frontend.identity import accounts, identity_view
from frontend.identity.accounts import ADMIN
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, Forbidden, NotFound

MOST = 100
"""Of one user: each is a row that is looked through by name."""
LONGEST = 4096  # characters of a secret or a description


def list_credentials(user_id: str) -> Response:
    """GET /users/ID/application_credentials, by ?name= if given."""
    _only_own(user_id)
    name = request.args.get("name")
    with context.database() as connection:
        found = accounts.credentials(connection, user_id)
    shown = [_shown(row) for row in found if name is None or row["name"] == name]
    return jsonify({"application_credentials": shown, "links": identity_view.links()})


def show(user_id: str, credential_id: str) -> Response:
    return jsonify({"application_credential": _shown(_find(user_id, credential_id))})


def create(user_id: str) -> tuple[Response, int]:
    """POST /users/ID/application_credentials: for the project of the caller's token. Tells the secret, once."""
    caller = context.caller()
    if user_id != caller.user_id:
        raise NotFound(f"Could not find user: {user_id}.")
    _check_restricted()
    sent = schema.mapping(schema.body(), "application_credential")
    row, secret = new(sent, user_id, context.project_id(), caller.roles)
    return jsonify({"application_credential": {**_shown(row), "secret": secret}}), 201


def delete(user_id: str, credential_id: str) -> tuple[str, int]:
    """DELETE /users/ID/application_credentials/ID: its tokens end with it."""
    _check_restricted()
    _find(user_id, credential_id)
    table = db.application_credential
    with context.services().engine.begin() as connection:
        connection.execute(delete_rows(table).where(table.c.id == credential_id))
    return "", 204


def new(sent: Mapping[str, Any], user_id: str, project_id: str, held: frozenset[str]) -> tuple[dict[str, Any], str]:
    """Make what the body asks for, of the roles that are `held`; its row and its secret."""
    secret = _secret(sent) or secrets.token_urlsafe(48)
    if schema.items(sent, "access_rules"):
        raise BadRequest("access_rules: not supported")
    row = {
        "id": uuid.uuid4().hex,
        "user_id": user_id,
        "project_id": project_id,
        "name": schema.text(sent, "name"),
        "secret_hash": generate_password_hash(secret),
        "description": _description(sent),
        "roles": _roles(schema.items(sent, "roles"), held),
        "unrestricted": _boolean(sent, "unrestricted"),
        "created": time.time(),
        "expires": _expiry(sent),
    }
    with context.database() as connection:
        if len(accounts.credentials(connection, user_id)) >= MOST:
            raise Forbidden(f"You have {MOST} application credentials, and no more are allowed.")
    try:
        with context.services().engine.begin() as connection:
            connection.execute(insert(db.application_credential).values(row))
    except IntegrityError as err:
        raise Conflict(f"There is an application credential {row['name']!r} already.") from err
    return row, secret


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "user_id": row["user_id"],
        "project_id": row["project_id"],
        "system": None,
        "roles": [{"id": role, "name": role, "domain_id": None} for role in row["roles"]],
        "unrestricted": bool(row["unrestricted"]),
        "expires_at": None if row["expires"] is None else _stamp(row["expires"]),
        "links": identity_view.link(f"users/{row['user_id']}/application_credentials", row["id"]),
    }


def _find(user_id: str, credential_id: str) -> dict[str, Any]:
    _only_own(user_id)
    with context.database() as connection:
        found = accounts.credential(connection, credential_id)
    if found is None or found["user_id"] != user_id:
        raise NotFound(f"Could not find application credential: {credential_id}.")
    return found


def _only_own(user_id: str) -> None:
    caller = context.caller()
    if user_id != caller.user_id and ADMIN not in caller.roles:
        raise NotFound(f"Could not find user: {user_id}.")


def _check_restricted() -> None:
    """A credential makes and ends no others unless it was made so: ending it stops whoever got hold of it."""
    ident = context.caller().token.credential
    if ident is None:
        return
    with context.database() as connection:
        found = accounts.credential(connection, ident)
    if found is None or not found["unrestricted"]:
        raise Forbidden("A restricted application credential may not manage application credentials.")


def _secret(sent: Mapping[str, Any]) -> str | None:
    secret = sent.get("secret") or None
    if secret is not None and (not isinstance(secret, str) or len(secret) > LONGEST):
        raise BadRequest(f"secret: expected a string of at most {LONGEST} characters")
    return secret


def _description(sent: Mapping[str, Any]) -> str | None:
    words = sent.get("description") or None
    if words is not None and (not isinstance(words, str) or len(words) > LONGEST or "\0" in words):
        raise BadRequest(f"description: expected a text of at most {LONGEST} characters")
    return words


def _roles(asked: list[Any], held: frozenset[str]) -> list[str]:
    """Those that are asked for by name or id, all without any; BadRequest names the one that is not held."""
    names = set()
    for each in asked:
        name = (each.get("name") or each.get("id")) if isinstance(each, dict) else None
        if not isinstance(name, str):
            raise BadRequest("roles: expected a list of objects with a name")
        if name not in held:
            raise BadRequest(f"roles: you have no role {name!r:.80} in this project")
        names.add(name)
    return sorted(names or held)


def _boolean(sent: Mapping[str, Any], key: str) -> bool:
    value = sent.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise BadRequest(f"{key}: expected true or false")
    return value


def _expiry(sent: Mapping[str, Any]) -> float | None:
    """UTC seconds since 1970 of an ISO 8601 time, which is UTC unless it says another zone."""
    text = schema.text(sent, "expires_at", None)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as err:
        raise BadRequest(f"expires_at: {text!r} is no time as 2026-01-31T12:00:00") from err
    if seconds <= time.time():
        raise BadRequest(f"expires_at: {text!r} has passed")
    return seconds


def _stamp(seconds: float) -> str:
    """As Keystone writes it here, other than in tokens: without a zone."""
    return datetime.fromtimestamp(round(seconds, 6), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
