"""Identity v3: what there is: projects, users, roles, services; a user's own, an admin's all."""

from __future__ import annotations

from flask import Response, jsonify, request

from frontend.identity import accounts, identity_view
from frontend.identity.accounts import ADMIN, DOMAIN, ROLES
from frontend.web import context, discovery
from frontend.web.fault import NotFound


def show_catalog() -> Response:
    return jsonify({"catalog": discovery.catalog(context.project_id()), "links": identity_view.links()})


def list_own_projects() -> Response:
    """GET /auth/projects: those that the caller may get a token for."""
    return _projects(context.caller().user_id)


def list_projects() -> Response:
    """GET /projects: the caller's, an admin's all; by ?name= if given."""
    return _projects(None if _is_admin() else context.caller().user_id)


def list_user_projects(user_id: str) -> Response:
    _need_user(user_id)
    return _projects(user_id)


def show_project(project_id: str) -> Response:
    with context.database() as connection:
        mine = accounts.projects(connection, context.caller().user_id)
        found = accounts.all_projects(connection) if _is_admin() else mine
    for row in found:
        if row["id"] == project_id:
            return jsonify({"project": identity_view.project(row)})
    raise NotFound(f"Could not find project: {project_id}.")


def list_users() -> Response:
    """GET /users, for admins: all, by ?name= and ?enabled= if given."""
    name, enabled = request.args.get("name"), request.args.get("enabled")
    with context.database() as connection:
        found = accounts.users(connection)
    if name is not None:
        found = [row for row in found if row["name"] == name]
    if enabled is not None:
        found = [row for row in found if bool(row["enabled"]) == (enabled.lower() not in ("false", "0"))]
    return jsonify({"users": [identity_view.user(row) for row in found], "links": identity_view.links()})


def show_user(user_id: str) -> Response:
    return jsonify({"user": identity_view.user(_need_user(user_id))})


def list_roles() -> Response:
    name = request.args.get("name")
    shown = [identity_view.role(role) for role in ROLES if name is None or role == name]
    return jsonify({"roles": shown, "links": identity_view.links()})


def show_role(role_id: str) -> Response:
    if role_id not in ROLES:
        raise NotFound(f"Could not find role: {role_id}.")
    return jsonify({"role": identity_view.role(role_id)})


def list_domains() -> Response:
    name = request.args.get("name")
    shown = [identity_view.domain()] if name in (None, DOMAIN["name"]) else []
    return jsonify({"domains": shown, "links": identity_view.links()})


def show_domain(domain_id: str) -> Response:
    if domain_id != DOMAIN["id"]:
        raise NotFound(f"Could not find domain: {domain_id}.")
    return jsonify({"domain": identity_view.domain()})


def list_services() -> Response:
    """GET /services: the catalog's, without their addresses; by ?name= and ?type= if given."""
    wanted = {key: request.args[key] for key in ("name", "type") if key in request.args}
    shown = [
        {
            "id": kind,
            "type": kind,
            "name": name,
            "enabled": True,
            "description": "",
            "links": identity_view.link("services", kind),
        }
        for kind, name, _ in (*discovery.SERVICES, *discovery.VOLUMES)
    ]
    shown = [each for each in shown if all(each[key] == value for key, value in wanted.items())]
    return jsonify({"services": shown, "links": identity_view.links()})


def _projects(user_id: str | None) -> Response:
    name = request.args.get("name")
    with context.database() as connection:
        found = accounts.all_projects(connection) if user_id is None else accounts.projects(connection, user_id)
    shown = [identity_view.project(row) for row in found if name is None or row["name"] == name]
    return jsonify({"projects": shown, "links": identity_view.links()})


def _need_user(user_id: str) -> dict[str, object]:
    """The caller himself, or whomever an admin asks for; nobody else is there."""
    if user_id == context.caller().user_id or _is_admin():
        with context.database() as connection:
            found = accounts.user(connection, ident=user_id)
        if found is not None:
            return found
    raise NotFound(f"Could not find user: {user_id}.")


def _is_admin() -> bool:
    return ADMIN in context.caller().roles
