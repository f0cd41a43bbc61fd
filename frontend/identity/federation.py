"""Users whom the web server in front has logged in, by mod_shib, mod_auth_openidc or the like.

What it says of them stands in headers of the request. They are believed if a further header holds the secret that this
service shares with the web server, and in these views alone.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, request

from frontend.identity import accounts, appcred, federated, federation_map, federation_page, identity
from frontend.identity.federation_map import Rule
from frontend.identity.settings_identity import Federation
from frontend.identity.tokens import Proof
from frontend.web import context
from frontend.web.fault import BadRequest, Forbidden, NotFound, Unauthorized
from ganeti_ext.errors import ConfigError

log = logging.getLogger(__name__)

EXTENSION = "ganeti-ext-federation"
SECRET = "X-Federation-Secret"  # noqa: S105 (a header's name)
SHORTEST = 32  # characters of the secret
_FORM = 3600  # seconds that a form is good for, at least
DAYS = (1, 7, 30, 90, 365)


@dataclass(frozen=True, slots=True)
class Trust:
    """What the web server proves itself with, and what its users may."""

    secret: str
    rules: tuple[Rule, ...]


def load(settings: Federation) -> Trust | None:
    """From the files that the settings name; None when there is no federation. ConfigError names what is wrong."""
    if not settings.secret_file:
        return None
    secret = _read(settings.secret_file).strip()
    if len(secret) < SHORTEST:
        raise ConfigError(f"{settings.secret_file}: {len(secret)} characters, at least {SHORTEST} are needed")
    return Trust(secret, federation_map.parse(_read(settings.map_file), settings.map_file))


def issue_token(provider: str, protocol: str) -> tuple[Response, int]:
    """GET, POST /OS-FEDERATION/...: a token for no project yet, for a program that the web server let through."""
    _check_name(provider, protocol)
    return identity.answer(_proof(_login()), None)


def sign_on(protocol: str, provider: str | None = None) -> Response:
    """GET .../websso?origin=URL: a page that posts such a token to an address that is waiting for it."""
    _check_name(provider, protocol)
    origin = request.args.get("origin", "")
    if origin not in context.services().settings.federation.origins:
        raise Unauthorized(f"origin: {origin[:200]!r} is none of [federation] origins")
    text, _ = context.services().signer.issue(_proof(_login()), None)
    return federation_page.post_token(origin, text)


def show_form() -> Response:
    """GET .../credential: a page with a form, from which come credentials for any client."""
    user = _login()
    with context.database() as connection:
        projects = accounts.projects(connection, user["id"])
    return federation_page.form(user["name"], projects, DAYS, _form_mark(user["id"], time.time()))


def submit_form() -> Response:
    """POST .../credential: an application credential as a clouds.yaml, or a token; told once."""
    user = _login()
    now, sent = time.time(), request.form
    mark = sent.get("form", "").encode()
    if not any(hmac.compare_digest(mark, _form_mark(user["id"], then).encode()) for then in (now, now - _FORM)):
        raise Forbidden("This form is too old, or not ours. Load the page again.")
    with context.database() as connection:
        roles = accounts.roles(connection, user["id"], sent.get("project", ""))
    if not roles:
        raise Forbidden("You have no role in this project.")
    if sent.get("what") == "token":
        text, token = context.services().signer.issue(_proof(user), sent["project"])
        return federation_page.token(text, sent["project"], token.expires)
    days = sent.get("days", "")
    if days not in [str(each) for each in DAYS]:
        raise BadRequest(f"days: {days[:20]!r} is none of {', '.join(map(str, DAYS))}")
    wish = {
        "name": f"browser {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now))} {secrets.token_hex(2)}",
        "expires_at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now + int(days) * 86400)),
    }
    row, secret = appcred.new(wish, user["id"], sent["project"], roles)
    return federation_page.clouds(row, secret)


def _login() -> dict[str, Any]:
    """The user's row; Unauthorized unless the web server says who he is."""
    trust = _trust()
    if not hmac.compare_digest(request.headers.get(SECRET, "").encode(), trust.secret.encode()):
        log.warning("federation: a request from %s without the web server's secret", request.remote_addr)
        raise Unauthorized
    settings = context.services().settings.federation
    name, groups = request.headers.get(settings.name, ""), request.headers.get(settings.groups, "")
    told = federation_map.told(name, groups, settings.separator)
    if told is None:
        log.warning("federation: %s names no user, or more than one", settings.name)
        raise Unauthorized
    wanted = federation_map.memberships(trust.rules, told.values)
    return federated.welcome(context.services().engine, settings, told.name, wanted, time.time())


def _trust() -> Trust:
    trust: Trust | None = current_app.extensions.get(EXTENSION)
    if trust is None:
        raise NotFound("There is no federation here.")
    return trust


def _proof(user: dict[str, Any]) -> Proof:
    return Proof(user["id"], context.services().signer.mark(user["password_hash"]), ("mapped",))


def _check_name(provider: str | None, protocol: str) -> None:
    """Of the one federation that there is."""
    _trust()
    settings = context.services().settings.federation
    if provider not in (None, settings.provider) or protocol != settings.protocol:
        raise NotFound(f"There is no identity provider {provider!r:.80} with protocol {protocol!r:.80}.")


def _form_mark(user_id: str, moment: float) -> str:
    """So that no other site's page can send the form in a user's name."""
    return context.services().signer.mark(f"form {user_id} {int(moment // _FORM)}")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"[federation] {path}: {err}") from err
