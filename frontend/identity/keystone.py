"""Keystone instead of users of our own: its keystonemiddleware looks at each request's token before we do."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import Flask
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import HTTPException

from frontend.database import db
from frontend.identity.accounts import ROLES
from frontend.identity.settings_identity import Keystone
from frontend.identity.tokens import Token
from frontend.quota import limits
from frontend.web import context
from frontend.web.fault import Forbidden, Unauthorized
from ganeti_ext.errors import ConfigError

log = logging.getLogger(__name__)

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]

_INFO = "keystone.token_info"  # what the middleware leaves in the environment, where no client can write
_LONGEST = 36  # characters of an id


def check(settings: Keystone) -> None:
    """ConfigError when a setting is missing, or the library."""
    settings.need()
    _library()


def protect(app: Flask, settings: Keystone, is_open: Callable[[str], bool]) -> None:
    """Let requests through to the application with a good token alone, but for the routes that are open to all."""
    check(settings)
    inner: Wsgi = app.wsgi_app
    guarded: Wsgi = _library().AuthProtocol(inner, _options(settings))
    urls = app.url_map.bind("")

    def entry(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            endpoint, _ = urls.match(environ.get("PATH_INFO", ""), environ.get("REQUEST_METHOD", "GET"))
        except HTTPException:  # no such route: the application says so
            return inner(environ, start_response)
        return (inner if is_open(endpoint) else guarded)(environ, start_response)

    app.wsgi_app = entry  # type: ignore[method-assign]


def caller(environ: Mapping[str, Any]) -> context.Caller:
    """Whom the middleware found, with his roles in the token's project, which is made here when it is new."""
    found = (environ.get(_INFO) or {}).get("token")
    if not found:
        raise Unauthorized
    user, project = found["user"], found.get("project")
    roles = frozenset(role["name"].lower() for role in found.get("roles", ()))
    if project and not roles & frozenset(ROLES):
        raise Forbidden("You have no role in this project that means anything here.")
    project_id = _known_project(project) if project else None
    methods, audit = tuple(found.get("methods", ())), (found.get("audit_ids") or [""])[0]
    token = Token(_short(user["id"]), project_id, "", methods, audit, 0, 0)
    return context.Caller(token, user["name"], roles)


def _library() -> Any:
    try:
        from keystonemiddleware import auth_token  # noqa: PLC0415 (not needed without Keystone)
    except ImportError as err:
        raise ConfigError(f"[identity] source = keystone: python3-keystonemiddleware is needed: {err}") from err
    return auth_token


def _options(settings: Keystone) -> dict[str, Any]:
    """[keystone_authtoken] of keystonemiddleware."""
    return {
        "auth_type": "password",
        "auth_url": settings.url,
        "username": settings.user,
        "password": settings.password,
        "project_name": settings.project,
        "user_domain_name": settings.user_domain,
        "project_domain_name": settings.project_domain,
        "www_authenticate_uri": settings.public_url or settings.url,
        "interface": "public",
        "cafile": settings.ca or None,
        "token_cache_time": str(settings.cache_seconds),
        "delay_auth_decision": "False",
        "include_service_catalog": "False",
        "service_token_roles_required": "True",
    }


def _known_project(project: Mapping[str, Any]) -> str:
    """Its id, with a row of ours that its quota stands in. Names are unique here, and in a domain alone in Keystone."""
    ident, name = _short(project["id"]), str(project["name"])
    engine = context.services().engine
    with engine.connect() as connection:
        if connection.execute(select(db.project.c.id).where(db.project.c.id == ident)).first() is not None:
            return ident
    for free in (name, f"{name[:200]} ({ident})"):
        try:
            with engine.begin() as connection:
                connection.execute(insert(db.project).values(id=ident, name=free, **limits.FRESH))
            log.info("keystone: %r is a new project, %s", free, ident)
            break
        except IntegrityError:  # of that name, or of that id by another request
            continue
    return ident


def _short(ident: str) -> str:
    """Ids of LDAP's and federations' users have 64 characters, ours 36 at most."""
    return ident if len(ident) <= _LONGEST else str(uuid.uuid5(uuid.NAMESPACE_OID, ident))
