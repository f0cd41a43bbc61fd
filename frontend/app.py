"""The API's map: every route, who may call it, and what happens around every call."""

from __future__ import annotations

import functools
import secrets
import uuid
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.security import generate_password_hash

from frontend import (
    context,
    db,
    discovery,
    flavors,
    health,
    identity,
    images,
    measure,
    networks,
    newserver,
    servers,
    tokens,
)
from frontend.fault import BadRequest, Forbidden, NotAcceptable, Unauthorized, render
from frontend.remote import RemoteApi
from frontend.settings import Settings
from frontend.vault import Vault
from ganeti_ext.tally import Tally

# Who may call a route.
OPEN = "everybody"
USER = "whoever has a token"
READER = "whoever has a token for a project"
MEMBER = "whoever may change things in the token's project"

WRITERS = frozenset(("member", "admin"))

_COMPUTE = "/compute/v2.1"
_IDENTITY = "/identity/v3"
_IMAGE = "/image/v2"
_NETWORK = "/network/v2.0"

ROUTES: tuple[tuple[str, str, Callable[..., Any], str], ...] = (
    ("GET", "/health", health.show, OPEN),
    ("GET", "/identity", discovery.identity_versions, OPEN),
    ("GET", _IDENTITY, discovery.identity_version, OPEN),
    ("GET", "/compute", discovery.compute_versions, OPEN),
    ("GET", "/compute/v2", discovery.compute_2_0, OPEN),
    ("GET", _COMPUTE, discovery.compute_2_1, OPEN),
    ("GET", "/image", discovery.image_versions, OPEN),
    ("GET", "/network", discovery.network_versions, OPEN),
    ("GET", _NETWORK, discovery.network_resources, OPEN),
    ("POST", f"{_IDENTITY}/auth/tokens", identity.issue_token, OPEN),
    ("GET", f"{_IDENTITY}/auth/tokens", identity.show_token, USER),  # and HEAD, as with every GET
    ("DELETE", f"{_IDENTITY}/auth/tokens", identity.revoke_token, USER),
    ("GET", f"{_IDENTITY}/auth/catalog", identity.show_catalog, READER),
    ("GET", f"{_IDENTITY}/auth/projects", identity.list_projects, USER),
    ("GET", f"{_IDENTITY}/projects", identity.list_projects, USER),
    ("GET", f"{_IDENTITY}/projects/<project_id>", identity.show_project, USER),
    ("GET", f"{_IDENTITY}/users/<user_id>", identity.show_user, USER),
    ("GET", f"{_IDENTITY}/users/<user_id>/projects", identity.list_user_projects, USER),
    ("GET", f"{_IDENTITY}/domains/<domain_id>", identity.show_domain, USER),
    ("GET", f"{_COMPUTE}/flavors", flavors.list_short, READER),
    ("GET", f"{_COMPUTE}/flavors/detail", flavors.list_detail, READER),
    ("GET", f"{_COMPUTE}/flavors/<flavor_id>", flavors.show, READER),
    ("GET", f"{_COMPUTE}/flavors/<flavor_id>/os-extra_specs", flavors.extra_specs, READER),
    ("GET", f"{_COMPUTE}/servers", servers.list_short, READER),
    ("POST", f"{_COMPUTE}/servers", newserver.create, MEMBER),
    ("GET", f"{_COMPUTE}/servers/detail", servers.list_detail, READER),
    ("GET", f"{_COMPUTE}/servers/<server_id>", servers.show, READER),
    ("DELETE", f"{_COMPUTE}/servers/<server_id>", servers.delete, MEMBER),
    ("POST", f"{_COMPUTE}/servers/<server_id>/action", servers.act, MEMBER),
    ("GET", f"{_COMPUTE}/servers/<server_id>/ips", servers.show_addresses, READER),
    ("GET", f"{_COMPUTE}/servers/<server_id>/os-security-groups", servers.list_security_groups, READER),
    ("GET", f"{_COMPUTE}/servers/<server_id>/os-volume_attachments", servers.list_volume_attachments, READER),
    ("GET", f"{_IMAGE}/images", images.list_images, READER),
    ("GET", f"{_IMAGE}/images/<image_id>", images.show, READER),
    ("GET", f"{_IMAGE}/schemas/images", images.images_schema, READER),
    ("GET", f"{_IMAGE}/schemas/image", images.image_schema, READER),
    ("GET", f"{_NETWORK}/networks", networks.list_networks, READER),
    ("GET", f"{_NETWORK}/networks/<network_id>", networks.show_network, READER),
    ("GET", f"{_NETWORK}/subnets", networks.list_subnets, READER),
    ("GET", f"{_NETWORK}/subnets/<subnet_id>", networks.show_subnet, READER),
    ("GET", f"{_NETWORK}/ports", networks.list_ports, READER),
    ("GET", f"{_NETWORK}/ports/<port_id>", networks.show_port, READER),
    ("GET", f"{_NETWORK}/security-groups", networks.list_security_groups, READER),
    ("GET", f"{_NETWORK}/security-groups/<group_id>", networks.show_security_group, READER),
    ("GET", f"{_NETWORK}/security-group-rules", networks.list_security_group_rules, READER),
    ("GET", f"{_NETWORK}/floatingips", networks.list_floating_ips, READER),
    ("GET", f"{_NETWORK}/routers", networks.list_routers, READER),
    ("GET", f"{_NETWORK}/extensions", networks.list_extensions, READER),
    ("GET", f"{_NETWORK}/extensions/<alias>", networks.show_extension, READER),
)

_ACCESS = {f"{method} {url}": access for method, url, _, access in ROUTES}


def create_app(settings: Settings, rapi: RemoteApi, tally: Tally | None = None) -> Flask:
    """The application, which counts requests in `tally`; ConfigError says which setting is wrong."""
    app = Flask("frontend", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = settings.front.max_body
    app.url_map.strict_slashes = False  # no redirect, which would turn a POST into a GET
    app.url_map.merge_slashes = False
    secret = tokens.load_secret(settings.front.secret_file)
    app.extensions["ganeti-ext"] = context.Services(
        settings=settings,
        engine=db.connect(settings.front.database),
        rapi=rapi,
        signer=tokens.Signer(secret, settings.front.token_hours),
        vault=Vault(secret),
        dummy_hash=_dummy_hash(),
    )
    for method, url, view, _ in ROUTES:
        app.add_url_rule(url, f"{method} {url}", view, methods=[method], provide_automatic_options=False)
    if tally is not None:
        app.before_request(measure.begin)
        app.after_request(functools.partial(measure.end, tally))
    app.before_request(_before)
    app.after_request(_after)
    app.register_error_handler(Exception, render)
    return app


@functools.cache
def _dummy_hash() -> str:
    """Of no password; as costly to compare with as those that the manage command makes."""
    return generate_password_hash(secrets.token_urlsafe())


def _before() -> None:
    """Give the request a number; let it through to its view, or not."""
    g.request_id = f"req-{uuid.uuid4()}"
    if "\0" in request.path or any("\0" in text for text in request.args.values()):
        raise BadRequest("The address holds a NUL, which no id or name does.")  # and PostgreSQL takes none
    if request.endpoint is None:  # no such route: Flask is about to say so
        return
    access = _ACCESS[request.endpoint]
    if access != OPEN:
        g.caller = identity.authenticate(request.headers.get("X-Auth-Token"))
        _check_scope(g.caller, access)
        if request.path.startswith(_COMPUTE):
            _negotiate()


def _check_scope(caller: context.Caller, access: str) -> None:
    if access == USER:
        return
    if caller.token.project_id is None:
        raise Forbidden("The token is not for a project.")
    if access == MEMBER and not caller.roles & WRITERS:
        raise Forbidden("Your role in this project does not let you do that.")


def _negotiate() -> None:
    """The microversion (api-guide, "Microversions"): only the lowest there is."""
    asked = request.headers.get("X-OpenStack-Nova-API-Version", discovery.MICROVERSION)
    for part in request.headers.get("OpenStack-API-Version", "").split(","):
        service, _, version = part.strip().partition(" ")
        if service.lower() == "compute":
            asked = version.strip()
    if asked in (discovery.MICROVERSION, "latest"):
        return
    major, dot, minor = asked.partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal()):
        raise BadRequest(f"API Version String {asked!r} is of invalid format. Must be of format MajorNum.MinorNum.")
    raise NotAcceptable(
        f"Version {asked} is not supported by the API. Minimum is {discovery.MICROVERSION} and "
        f"maximum is {discovery.MICROVERSION}."
    )


def _after(response: Response) -> Response:
    headers = response.headers
    headers["x-openstack-request-id"] = headers["x-compute-request-id"] = g.request_id
    headers["Cache-Control"] = "no-store"
    headers["Vary"] = "X-Auth-Token"
    if request.path.startswith("/compute"):
        headers["OpenStack-API-Version"] = f"compute {discovery.MICROVERSION}"
        headers["X-OpenStack-Nova-API-Version"] = discovery.MICROVERSION
        headers["Vary"] = "X-Auth-Token, OpenStack-API-Version, X-OpenStack-Nova-API-Version"
    if response.status_code == Unauthorized.http_status:
        headers["WWW-Authenticate"] = f'Keystone uri="{context.base()}/identity"'
    return response
