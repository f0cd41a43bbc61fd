"""Servers: list, show and delete. What is read comes from the database alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify
from sqlalchemy import select, true, update

from frontend.compute import lock, serverleave, serverlist, serverview
from frontend.database import db
from frontend.effect import effect, owed, payer, translate
from frontend.network import securitygroups
from frontend.volume import attachedvolumes
from frontend.web import context
from frontend.web.fault import NotFound
from ganeti_ext.errors import ExtError, RapiError

log = logging.getLogger(__name__)


def list_short() -> Response:
    return serverlist.answer(serverview.short)


def list_detail() -> Response:
    return serverlist.answer(serverview.detail)


def show(server_id: str) -> Response:
    server = need(server_id)
    return jsonify({"server": serverview.detail(server, serverview.eye([server]))})


def list_security_groups(server_id: str) -> Response:
    return securitygroups.list_of(need(server_id))


def show_password(server_id: str) -> Response:
    """What a guest has put into the metadata service for its user, which there is none of."""
    need(server_id)
    return jsonify({"password": ""})


def clear_password(server_id: str) -> tuple[str, int]:
    need(server_id)
    return "", 204


def delete(server_id: str) -> tuple[str, int]:
    """DELETE /servers/ID. One that Ganeti does not have is gone at once."""
    return remove(need(server_id))


def force_delete(server: Mapping[str, Any], _: object) -> tuple[str, int]:
    """The action forceDelete: no server is only marked as deleted, so there is no other force."""
    remove(server)
    return "", 202


def remove(server: Mapping[str, Any]) -> tuple[str, int]:
    lock.check(server)
    server_id = server["id"]
    if server["task"] == translate.DELETING:
        return "", 204
    volumes = attachedvolumes.of_server(server_id)
    rapi = context.rapi(server)
    try:
        if volumes:
            rapi.get(f"instances/{server['instance']}")
            serverleave.remove(server, volumes)
            return "", 204
        if server["status"] == "BUILD" and _delete_while_built(server):
            return "", 204
        if server["status"] == "ERROR":  # the create may have failed before there was an instance
            rapi.get(f"instances/{server['instance']}")
        job = rapi.submit(*translate.delete(server["instance"]))
    except RapiError as err:
        if err.code != 404:
            raise
        _mark_deleted(server_id)
        log.info("server %s: deleted, Ganeti has no instance %s", server_id, server["instance"])
        return "", 204
    effect.told(server, "delete", translate.DELETING, [job])
    return "", 204


def _delete_while_built(server: Mapping[str, Any]) -> bool:
    """Promise the removal; False when it is built by now. What cannot be done at once, the consumer does."""
    server_id = server["id"]
    with context.database() as connection:
        promised = owed.promise_removal(connection, server_id)
        connection.commit()
    if promised is None:
        return False
    try:
        payer.remove(context.services().engine, context.rapi(server), promised)
    except ExtError as err:
        log.warning("server %s: deleted while it is built; its removal is submitted later: %s", server_id, err)
    return True


def _mark_deleted(ident: str) -> None:
    _update(ident, db.server.c.deleted.is_(None), deleted=time.time(), task=None)


def _update(ident: str, only_if: Any, **values: Any) -> None:
    with context.database() as connection:
        connection.execute(
            update(db.server).where(db.server.c.id == ident, only_if).values(updated=time.time(), **values)
        )
        connection.commit()


def need(server_id: str, *, of_all: bool = False) -> dict[str, Any]:
    """The caller's server, or (`of_all`) anybody's. Another project's is as unknown as one that never was."""
    mine = true() if of_all else db.server.c.project_id == context.project_id()
    query = select(db.server).where(db.server.c.id == server_id, mine, db.server.c.deleted.is_(None))
    with context.database() as connection:
        found = db.row(connection, query)
    if found is None:
        raise NotFound(f"Instance {server_id} could not be found.")
    return found
