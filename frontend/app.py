"""The application: what happens around every call of a route."""

from __future__ import annotations

import functools
import secrets
import uuid

from flask import Flask, Response, g, request
from werkzeug.security import generate_password_hash

from frontend import context, db, identity, identity_source, measure, microversion, pressure, tokens
from frontend.fault import BadRequest, Forbidden, Unauthorized, render
from frontend.remote import RemoteApi
from frontend.routes import ACCESS, ADMIN, COMPUTE, MEMBER, OPEN, ROUTES, USER, WRITERS
from frontend.settings import Settings
from frontend.vault import Vault
from ganeti_ext.tally import Tally

MAX_PARAMETERS = 128  # of an address; each may become a condition of a query


def create_app(settings: Settings, rapi: RemoteApi, tally: Tally | None = None) -> Flask:
    """The application, which counts requests in `tally`; ConfigError says which setting is wrong."""
    app = Flask("frontend", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = settings.front.max_body
    app.url_map.strict_slashes = False  # no redirect, which would turn a POST into a GET
    app.url_map.merge_slashes = False
    secret = tokens.load_secret(settings.front.secret_file)
    engine = db.connect(settings.front.database)
    app.extensions["ganeti-ext"] = context.Services(
        settings=settings,
        engine=engine,
        rapi=pressure.Throttled(rapi, engine, settings.front.max_jobs),
        signer=tokens.Signer(secret, settings.front.token_hours),
        vault=Vault(secret),
        dummy_hash=_dummy_hash(),
    )
    for method, url, view, _ in ROUTES:
        if identity_source.served(settings, url):
            app.add_url_rule(url, f"{method} {url}", view, methods=[method], provide_automatic_options=False)
    if tally is not None:
        app.before_request(measure.begin)
        app.after_request(functools.partial(measure.end, tally))
    app.before_request(_before)
    app.after_request(_after)
    app.register_error_handler(Exception, render)
    identity_source.install(app, settings, lambda endpoint: ACCESS[endpoint] == OPEN)
    return app


@functools.cache
def _dummy_hash() -> str:
    """Of no password; as costly to compare with as those that the manage command makes."""
    return generate_password_hash(secrets.token_urlsafe())


def _before() -> None:
    """Give the request a number; let it through to its view, or not."""
    g.request_id = f"req-{uuid.uuid4()}"
    _check_address()
    if request.endpoint is None:  # no such route: Flask is about to say so
        return
    access = ACCESS[request.endpoint]
    if access != OPEN:
        g.caller = identity.authenticate(request.headers.get("X-Auth-Token"))
        _check_scope(g.caller, access)
        if request.path.startswith(COMPUTE):
            asked = (request.headers.get(name) for name in (microversion.STANDARD, microversion.LEGACY))
            g.version = microversion.negotiate(*asked)


def _check_address() -> None:
    asked = list(request.args.items(multi=True))
    if len(asked) > MAX_PARAMETERS:
        raise BadRequest(f"{len(asked)} parameters in the address, at most {MAX_PARAMETERS} are allowed")
    if "\0" in request.path or any("\0" in text for pair in asked for text in pair):
        raise BadRequest("The address holds a NUL, which no id or name does.")  # and PostgreSQL takes none


def _check_scope(caller: context.Caller, access: str) -> None:
    if access == USER:
        return
    if caller.token.project_id is None:
        raise Forbidden("The token is not for a project.")
    if (access == MEMBER and not caller.roles & WRITERS) or (access == ADMIN and "admin" not in caller.roles):
        raise Forbidden("Your role in this project does not let you do that.")


def _after(response: Response) -> Response:
    headers = response.headers
    headers["x-openstack-request-id"] = headers["x-compute-request-id"] = g.request_id
    headers["Cache-Control"] = "no-store"
    headers["Vary"] = "X-Auth-Token"
    if request.path.startswith("/compute"):
        headers.update(microversion.told(context.version()))
    if response.status_code == Unauthorized.http_status:
        headers["WWW-Authenticate"] = f'Keystone uri="{context.base()}/identity"'
    return response
