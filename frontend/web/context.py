"""What a view may use: the application's services, and who is calling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import current_app, g, request
from sqlalchemy.engine import Connection, Engine

from frontend.database.vault import Vault
from frontend.effect import clusters
from frontend.effect.clusters import Clusters
from frontend.effect.remote import RemoteApi
from frontend.identity.tokens import Signer, Token
from frontend.settings import Settings
from frontend.web import microversion


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    engine: Engine
    clusters: Clusters
    signer: Signer
    vault: Vault
    dummy_hash: str
    """Compared with when there is no such user, so that the answer takes as long."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token came with the request; roles are those in its project, as the database has them now."""

    token: Token
    user_name: str
    roles: frozenset[str]

    @property
    def user_id(self) -> str:
        return self.token.user_id


def services() -> Services:
    found: Services = current_app.extensions["ganeti-ext"]
    return found


def caller() -> Caller:
    found: Caller = g.caller
    return found


def project_id() -> str:
    """The project of the caller's token; app.py lets no unscoped token through to views that ask."""
    project = caller().token.project_id
    if project is None:
        raise RuntimeError(f"{request.endpoint}: an unscoped token got to a view of projects")
    return project


def is_admin() -> bool:
    """Whether the caller administers the cloud: he has the role in the project of his token."""
    return "admin" in caller().roles


def version() -> microversion.Version:
    """The microversion of the service that the answer is to be by: views show and take what it knows, and no more."""
    found: microversion.Version = g.get("version", microversion.MINIMUM)
    return found


def rapi(row: Mapping[str, Any]) -> RemoteApi:
    """The remote API of the cluster that a row's object is of: where every job for it goes."""
    return services().clusters.rapi(clusters.of(row))


def database() -> Connection:
    """For a `with` block; commit is the writer's to call."""
    return services().engine.connect()


def base() -> str:
    """The address that the client reaches this API by, without a slash at its end."""
    return (services().settings.front.public_url or request.root_url).rstrip("/")
