"""Identity v3: tokens, and what a user may see of himself and his projects."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import Connection

from frontend import accounts, context, discovery, schema
from frontend.accounts import DOMAIN
from frontend.fault import BadRequest, NotFound, Unauthorized
from frontend.tokens import Token

log = logging.getLogger(__name__)


def authenticate(text: str | None) -> context.Caller:
    """Whose token it is; Unauthorized unless the user and his role in its project are still there."""
    if not text:
        raise Unauthorized
    services = context.services()
    token = services.signer.read(text)
    with context.database() as connection:
        user = accounts.user(connection, ident=token.user_id)
        if user is None or not user["enabled"] or services.signer.mark(user["password_hash"]) != token.mark:
            raise Unauthorized
        roles = accounts.roles(connection, user["id"], token.project_id) if token.project_id else frozenset()
    if token.project_id and not roles:
        raise Unauthorized
    return context.Caller(token, user["name"], roles)


def issue_token() -> tuple[Response, int]:
    """POST /auth/tokens: a token for a password, or for another token, in the scope that is asked for."""
    auth = schema.mapping(schema.body(), "auth")
    identity = schema.mapping(auth, "identity")
    methods = schema.items(identity, "methods")
    signer = context.services().signer
    until: int | None = None
    earlier: tuple[str, ...] = ()
    user: dict[str, Any] | None
    with context.database() as connection:
        if methods == ["password"]:
            user = _by_password(connection, schema.mapping(schema.mapping(identity, "password"), "user"))
        elif methods == ["token"]:
            given = authenticate(schema.text(schema.mapping(identity, "token"), "id", longest=4096)).token
            user, until, earlier = accounts.user(connection, ident=given.user_id), given.expires, given.methods
        else:
            raise BadRequest(f"methods: expected ['password'] or ['token'], got {str(methods)[:80]}")
        if user is None:
            raise Unauthorized
        project = _scope(connection, user["id"], auth.get("scope"))
        proven = tuple(dict.fromkeys((*earlier, *methods)))
        text, token = signer.issue(
            user["id"], project["id"] if project else None, signer.mark(user["password_hash"]), proven, until
        )
        shown = _token(connection, token)
    answer = jsonify({"token": shown})
    answer.headers["X-Subject-Token"] = text
    return answer, 201


def show_token() -> Response:
    """GET /auth/tokens: what the token in X-Subject-Token says; others' tokens are not shown."""
    subject = _subject()
    with context.database() as connection:
        answer = jsonify({"token": _token(connection, subject)})
    answer.headers["X-Subject-Token"] = request.headers["X-Subject-Token"]
    return answer


def revoke_token() -> tuple[str, int]:
    """DELETE /auth/tokens. A signed token cannot be taken back: it ends by itself, or with a new password."""
    _subject()
    return "", 204


def show_catalog() -> Response:
    return jsonify({"catalog": discovery.catalog(), "links": _links()})


def list_projects() -> Response:
    """The caller's projects, by ?name= if given."""
    name = request.args.get("name")
    with context.database() as connection:
        found = accounts.projects(connection, context.caller().user_id)
    shown = [_project(row) for row in found if name is None or row["name"] == name]
    return jsonify({"projects": shown, "links": _links()})


def list_user_projects(user_id: str) -> Response:
    _only_self(user_id)
    return list_projects()


def show_project(project_id: str) -> Response:
    with context.database() as connection:
        for row in accounts.projects(connection, context.caller().user_id):
            if row["id"] == project_id:
                return jsonify({"project": _project(row)})
    raise NotFound(f"Could not find project: {project_id}.")


def show_user(user_id: str) -> Response:
    _only_self(user_id)
    user = {"id": user_id, "name": context.caller().user_name, "domain_id": DOMAIN["id"], "enabled": True, "links": {}}
    return jsonify({"user": user})


def show_domain(domain_id: str) -> Response:
    if domain_id != DOMAIN["id"]:
        raise NotFound(f"Could not find domain: {domain_id}.")
    return jsonify({"domain": {**DOMAIN, "enabled": True, "description": "", "links": {}}})


def _by_password(connection: Connection, sent: Mapping[str, Any]) -> dict[str, Any]:
    ident, name = schema.text(sent, "id", None), schema.text(sent, "name", None)
    if ident is None and name is None:
        raise BadRequest("user: expected an id or a name")
    password = sent.get("password")
    if not isinstance(password, str) or len(password) > 4096:
        raise BadRequest("password: expected a string of at most 4096 characters")
    known = ident is not None or _is_default(sent.get("domain"))
    found = accounts.user(connection, ident=ident, name=name) if known else None
    if not accounts.password_fits(found, password, context.services().dummy_hash) or found is None:
        log.warning("no token for user %r from %s", ident or name, request.remote_addr)
        raise Unauthorized
    return found


def _scope(connection: Connection, user_id: str, scope: object) -> dict[str, Any] | None:
    """The project that is asked for, which must be the user's; None when none is."""
    if scope is None or scope in ("unscoped", {"unscoped": {}}):
        return None
    wanted = scope.get("project") if isinstance(scope, dict) else None
    if not isinstance(wanted, dict):
        raise Unauthorized  # a domain or the system: nobody has a role there
    ident, name = schema.text(wanted, "id", None), schema.text(wanted, "name", None)
    if ident is None and not _is_default(wanted.get("domain")):
        raise Unauthorized
    for row in accounts.projects(connection, user_id):
        if (row["id"] == ident) if ident is not None else (row["name"] == name):
            return row
    raise Unauthorized


def _is_default(domain: object) -> bool:
    """Of the one domain that there is; leaving it out means it."""
    if domain is None:
        return True
    if not isinstance(domain, dict):
        raise BadRequest("domain: expected an object")
    return all(domain.get(key, value) == value for key, value in DOMAIN.items())


def _subject() -> Token:
    try:
        found = authenticate(request.headers.get("X-Subject-Token"))
    except Unauthorized as err:
        raise NotFound("Could not find token.") from err
    if found.user_id != context.caller().user_id:
        raise NotFound("Could not find token.")
    return found.token


def _only_self(user_id: str) -> None:
    if user_id != context.caller().user_id:
        raise NotFound(f"Could not find user: {user_id}.")


def _token(connection: Connection, token: Token) -> dict[str, Any]:
    user = accounts.user(connection, ident=token.user_id)
    shown: dict[str, Any] = {
        "methods": list(token.methods),
        "user": {**_named(user), "password_expires_at": None},
        "audit_ids": [token.audit_id],
        "issued_at": _stamp(token.issued),
        "expires_at": _stamp(token.expires),
    }
    for row in accounts.projects(connection, token.user_id):
        if row["id"] == token.project_id:
            roles = sorted(accounts.roles(connection, token.user_id, row["id"]))
            shown["project"] = _named(row)
            shown["is_domain"] = False
            shown["roles"] = [{"id": role, "name": role} for role in roles]
            shown["catalog"] = discovery.catalog()
    return shown


def _named(row: dict[str, Any] | None) -> dict[str, Any]:
    return {"id": row["id"], "name": row["name"], "domain": DOMAIN} if row is not None else {}


def _project(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "domain_id": DOMAIN["id"],
        "parent_id": DOMAIN["id"],
        "description": "",
        "enabled": True,
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": f"{context.base()}/identity/v3/projects/{row['id']}"},
    }


def _links() -> dict[str, str | None]:
    return {"self": context.base() + request.path, "next": None, "previous": None}


def _stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
