"""Identity v3: tokens."""

from __future__ import annotations

import time

from flask import Response, jsonify, request
from sqlalchemy import delete, insert
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from frontend.database import db
from frontend.identity import accounts, identity_login, identity_view, keystone
from frontend.identity.tokens import Proof
from frontend.web import context, discovery, schema
from frontend.web.fault import BadRequest, NotFound, Unauthorized

METHODS = ("password", "token", "application_credential")


def authenticate(text: str | None) -> context.Caller:
    """Whose token it is; Unauthorized unless the user and his role in its project are still there."""
    if context.services().settings.identity.source == "keystone":
        return keystone.caller(request.environ)
    if not text:
        raise Unauthorized
    token = context.services().signer.read(text)
    with context.database() as connection:
        found = accounts.standing(connection, token, identity_login.oldest())
    if found is None or context.services().signer.mark(found.held) != token.mark:
        raise Unauthorized
    if token.project_id and not found.roles:
        raise Unauthorized
    return context.Caller(token, found.name, found.roles)


def issue_token() -> tuple[Response, int]:
    """POST /auth/tokens: a token for what shows who somebody is, in the scope that is asked for."""
    auth = schema.mapping(schema.body(), "auth")
    proof, bound_to = _prove(schema.mapping(auth, "identity"))
    with context.database() as connection:
        project = identity_login.scope(connection, proof.user_id, auth.get("scope"))
    project_id = project["id"] if project else None
    if bound_to is not None and project_id not in (None, bound_to):
        raise Unauthorized  # an application credential is for its project alone
    return answer(proof, bound_to or project_id)


def answer(proof: Proof, project_id: str | None) -> tuple[Response, int]:
    """A new token, as POST /auth/tokens tells it."""
    text, _ = context.services().signer.issue(proof, project_id)
    found = authenticate(text)
    with context.database() as connection:
        told = jsonify({"token": _shown(connection, found)})
    told.headers["X-Subject-Token"] = text
    return told, 201


def show_token() -> Response:
    """GET /auth/tokens: what the token in X-Subject-Token says; others' tokens are not shown."""
    subject = _subject()
    with context.database() as connection:
        told = jsonify({"token": _shown(connection, subject)})
    told.headers["X-Subject-Token"] = request.headers["X-Subject-Token"]
    return told


def revoke_token() -> tuple[str, int]:
    """DELETE /auth/tokens: the one in X-Subject-Token ends. It is written down until it would have ended by itself."""
    token = _subject().token
    table = db.revocation
    try:
        with context.services().engine.begin() as connection:
            connection.execute(delete(table).where(table.c.expires <= time.time()))
            connection.execute(insert(table).values(audit_id=token.audit_id, expires=token.expires))
    except IntegrityError:  # two at once
        pass
    return "", 204


def _prove(identity: dict[str, object]) -> tuple[Proof, str | None]:
    """Who it is, and the project that the proof is bound to."""
    methods = schema.items(identity, "methods")
    if methods == ["password"]:
        return identity_login.by_password(schema.mapping(schema.mapping(identity, "password"), "user")), None
    if methods == ["application_credential"]:
        return identity_login.by_credential(schema.mapping(identity, "application_credential"))
    if methods == ["token"]:
        given = authenticate(schema.text(schema.mapping(identity, "token"), "id", longest=4096)).token
        return identity_login.by_token(given), given.project_id if given.credential is not None else None
    raise BadRequest(f"methods: expected one of {', '.join(METHODS)}, got {str(methods)[:80]}")


def _subject() -> context.Caller:
    """Of the token in X-Subject-Token; an admin's may be anybody's."""
    caller = context.caller()
    try:
        found = authenticate(request.headers.get("X-Subject-Token"))
    except Unauthorized as err:
        raise NotFound("Could not find token.") from err
    if found.user_id != caller.user_id and accounts.ADMIN not in caller.roles:
        raise NotFound("Could not find token.")
    return found


def _shown(connection: Connection, whose: context.Caller) -> dict[str, object]:
    token = whose.token
    shown: dict[str, object] = {
        "methods": list(token.methods),
        "user": {**identity_view.named({"id": token.user_id, "name": whose.user_name}), "password_expires_at": None},
        "audit_ids": [token.audit_id],
        "issued_at": identity_view.stamp(token.issued),
        "expires_at": identity_view.stamp(token.expires),
    }
    for row in accounts.projects(connection, token.user_id):
        if row["id"] == token.project_id:
            shown["project"] = identity_view.named(row)
            shown["is_domain"] = False
            shown["roles"] = identity_view.roles(whose.roles)
            shown["catalog"] = discovery.catalog(token.project_id)
    credential = accounts.credential(connection, token.credential) if token.credential else None
    if credential is not None:
        shown["application_credential"] = {
            "id": credential["id"],
            "name": credential["name"],
            "restricted": not credential["unrestricted"],
        }
    return shown
