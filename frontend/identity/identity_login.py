"""Who somebody is: by a password, by an application credential's secret, or by a token that he has already."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection
from werkzeug.security import check_password_hash

from frontend.identity import accounts, lockout
from frontend.identity.accounts import DOMAIN
from frontend.identity.tokens import Proof, Token
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Unauthorized

log = logging.getLogger(__name__)

LONGEST = 4096  # characters of what is hashed


def by_password(sent: Mapping[str, Any]) -> Proof:
    """`sent` is auth.identity.password.user. Unauthorized in the same words whatever is wrong."""
    ident, name = schema.text(sent, "id", None), schema.text(sent, "name", None)
    if ident is None and name is None:
        raise BadRequest("user: expected an id or a name")
    password = _secret(sent, "password")
    services = context.services()
    with context.database() as connection:
        found = _user(connection, sent)
        guess = lockout.Guess("user", found["id"] if found else None, str(ident or name))
        guess.check(connection)
    if not accounts.password_fits(found, password, services.dummy_hash) or found is None:
        raise guess.failed()
    guess.succeeded()
    return Proof(found["id"], services.signer.mark(found["password_hash"]), ("password",))


def by_credential(sent: Mapping[str, Any]) -> tuple[Proof, str]:
    """`sent` is auth.identity.application_credential: {id, secret} or {name, secret, user}. Also its project."""
    ident, name = schema.text(sent, "id", None), schema.text(sent, "name", None)
    owner: dict[str, Any] = schema.mapping(sent, "user", {}) if ident is None else {}
    if ident is None and (name is None or not owner):
        raise BadRequest("application_credential: expected an id, or a name and a user")
    secret = _secret(sent, "secret")
    services = context.services()
    with context.database() as connection:
        found = _credential(connection, ident, name, owner)
        said = ident or f"{name} of {owner.get('id') or owner.get('name')}"
        guess = lockout.Guess("credential", found["id"] if found else None, said)
        guess.check(connection)
        user = accounts.user(connection, ident=found["user_id"]) if found else None
    fits = check_password_hash(found["secret_hash"] if found else services.dummy_hash, secret)
    if not fits or found is None or user is None or not accounts.let_in(user, oldest()):
        raise guess.failed()
    if found["expires"] is not None and found["expires"] <= time.time():
        raise Unauthorized
    guess.succeeded()
    until = int(found["expires"]) if found["expires"] is not None else None
    mark = services.signer.mark(found["secret_hash"])
    return Proof(user["id"], mark, ("application_credential",), until, found["id"]), found["project_id"]


def oldest() -> float:
    """When a federation must have vouched for its users at least: they may have left it since."""
    days = context.services().settings.federation.valid_days
    return time.time() - days * 86400 if days else 0.0


def by_token(given: Token) -> Proof:
    """A token for a token ends no later, and can do no more."""
    methods = tuple(dict.fromkeys((*given.methods, "token")))
    return Proof(given.user_id, given.mark, methods, given.expires, given.credential)


def scope(connection: Connection, user_id: str, asked: object) -> dict[str, Any] | None:
    """The project that is asked for, which must be the user's; None when none is."""
    if asked is None or asked in ("unscoped", {"unscoped": {}}):
        return None
    wanted = asked.get("project") if isinstance(asked, dict) else None
    if not isinstance(wanted, dict):
        raise Unauthorized  # a domain or the system: nobody has a role there
    ident, name = schema.text(wanted, "id", None), schema.text(wanted, "name", None)
    if ident is None and not is_default(wanted.get("domain")):
        raise Unauthorized
    for row in accounts.projects(connection, user_id):
        if (row["id"] == ident) if ident is not None else (row["name"] == name):
            return row
    raise Unauthorized


def is_default(domain: object) -> bool:
    """Of the one domain that there is; leaving it out means it."""
    if domain is None:
        return True
    if not isinstance(domain, dict):
        raise BadRequest("domain: expected an object")
    return all(domain.get(key, value) == value for key, value in DOMAIN.items())


def _user(connection: Connection, sent: Mapping[str, Any]) -> dict[str, Any] | None:
    ident, name = schema.text(sent, "id", None), schema.text(sent, "name", None)
    known = ident is not None or (name is not None and is_default(sent.get("domain")))
    return accounts.user(connection, ident=ident, name=name) if known else None


def _credential(
    connection: Connection, ident: str | None, name: str | None, owner: Mapping[str, Any]
) -> dict[str, Any] | None:
    if ident is not None:
        return accounts.credential(connection, ident)
    user = _user(connection, owner)
    mine = accounts.credentials(connection, user["id"]) if user else []
    return next((row for row in mine if row["name"] == name), None)


def _secret(sent: Mapping[str, Any], key: str) -> str:
    value = sent.get(key)
    if not isinstance(value, str) or len(value) > LONGEST:
        raise BadRequest(f"{key}: expected a string of at most {LONGEST} characters")
    return value
