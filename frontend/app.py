"""The application: what happens around every call of a route."""

from __future__ import annotations

import functools
import secrets
import uuid

from flask import Flask, Response, g, request
from werkzeug.routing import Map, Rule
from werkzeug.security import generate_password_hash

from frontend.database import db
from frontend.database.vault import Vault
from frontend.effect import pressure
from frontend.effect.clusters import Clusters
from frontend.effect.remote import RemoteApi
from frontend.identity import identity, identity_source, tokens
from frontend.page.served import Served
from frontend.routes import ACCESS, ADMIN, COMPUTE, MEMBER, OPEN, ROUTES, USER, VOLUME, WRITERS
from frontend.settings import Settings
from frontend.web import context, measure, microversion
from frontend.web.fault import BadRequest, Forbidden, Unauthorized, render
from ganeti_ext.tally import Tally

MAX_PARAMETERS = 128  # of an address; each may become a condition of a query


def create_app(settings: Settings, rapi: RemoteApi, tally: Tally | None = None) -> Flask:
    """The application, which counts requests in `tally`; ConfigError says which setting is wrong."""
    app = Flask("frontend", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = settings.front.max_body
    secret = tokens.load_secret(settings.front.secret_file)
    engine, vault = db.connect(settings.front.database), Vault(secret)
    app.extensions["ganeti-ext"] = context.Services(
        settings=settings,
        engine=engine,
        clusters=Clusters(
            rapi, engine, vault, settings, lambda each: pressure.Throttled(each, engine, settings.front.max_jobs)
        ),
        signer=tokens.Signer(secret, settings.front.token_hours),
        vault=vault,
        dummy_hash=_dummy_hash(),
    )
    served = [route for route in ROUTES if identity_source.served(settings, route[1])]
    app.view_functions = {f"{method} {url}": view for method, url, view, _ in served}
    app.url_map = _url_map(tuple((method, url) for method, url, _, _ in served))
    if tally is not None:
        app.before_request(measure.begin)
        app.after_request(functools.partial(measure.end, tally))
    app.before_request(_before)
    app.after_request(_after)
    app.register_error_handler(Exception, render)
    identity_source.install(app, settings, lambda endpoint: ACCESS[endpoint] == OPEN)
    if settings.page.serve:
        app.wsgi_app = Served(app.wsgi_app, settings)  # type: ignore[method-assign]
    return app


@functools.cache
def _url_map(routes: tuple[tuple[str, str], ...]) -> Map:
    """Made once, as that takes a third of a second: every method and address, called "METHOD ADDRESS"."""
    rules = [Rule(url, endpoint=f"{method} {url}", methods=[method]) for method, url in routes]
    # strict_slashes: no redirect, which would turn a POST into a GET.
    return Map(rules, strict_slashes=False, merge_slashes=False)


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
        standard = request.headers.get(microversion.STANDARD)
        if request.path.startswith(COMPUTE):
            g.version = microversion.negotiate(standard, request.headers.get(microversion.LEGACY))
        elif request.path.startswith(VOLUME):
            _check_tenant(g.caller)
            g.version = microversion.negotiate(standard, None, microversion.VOLUME)


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


def _check_tenant(caller: context.Caller) -> None:
    """Addresses of Block Storage name the project, which can only be the token's (cinder/api/openstack/wsgi.py)."""
    asked = (request.view_args or {}).pop("tenant", caller.token.project_id)
    if asked != caller.token.project_id:
        raise BadRequest("Malformed request url")


def _after(response: Response) -> Response:
    headers = response.headers
    headers["x-openstack-request-id"] = headers["x-compute-request-id"] = g.request_id
    headers["Cache-Control"] = "no-store"
    headers["Vary"] = "X-Auth-Token"
    if request.path.startswith("/compute"):
        headers.update(microversion.told(context.version()))
    elif "version" in g and request.path.startswith(VOLUME):
        headers.update(microversion.told(context.version(), microversion.VOLUME))
    if response.status_code == Unauthorized.http_status:
        headers["WWW-Authenticate"] = f'Keystone uri="{context.base()}/identity"'
    return response
