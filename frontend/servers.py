"""Servers: list, show, delete and actions. What is read comes from the database alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, jsonify
from sqlalchemy import or_, select, update

from frontend import context, db, owed, payer, schema, securitygroups, serverlist, translate, view
from frontend.fault import BadRequest, NotFound
from ganeti_ext.errors import ExtError, RapiError

log = logging.getLogger(__name__)


def list_short() -> Response:
    return serverlist.answer(view.server_short)


def list_detail() -> Response:
    return serverlist.answer(view.server)


def show(server_id: str) -> Response:
    return jsonify({"server": view.server(_need(server_id), context.base())})


def show_addresses(server_id: str) -> Response:
    return jsonify({"addresses": translate.addresses(_need(server_id)["nics"])})


def list_security_groups(server_id: str) -> Response:
    return securitygroups.list_of(_need(server_id))


def list_volume_attachments(server_id: str) -> Response:
    _need(server_id)
    return jsonify({"volumeAttachments": []})


def delete(server_id: str) -> tuple[str, int]:
    """DELETE /servers/ID. One that Ganeti does not have is gone at once."""
    server = _need(server_id)
    if server["task"] == translate.DELETING or (server["status"] == "BUILD" and _delete_while_built(server_id)):
        return "", 204
    rapi = context.services().rapi
    try:
        if server["status"] == "ERROR":  # the create may have failed before there was an instance
            rapi.get(f"instances/{server['instance']}")
        job = rapi.submit(*translate.delete(server["instance"]))
    except RapiError as err:
        if err.code != 404:
            raise
        _mark_deleted(server_id)
        log.info("server %s: deleted, Ganeti has no instance %s", server_id, server["instance"])
        return "", 204
    _mark_task(server_id, translate.DELETING, job)
    log.info("server %s: delete is job %d", server_id, job)
    return "", 204


def _delete_while_built(server_id: str) -> bool:
    """Promise the removal; False when it is built by now. What cannot be done at once, the consumer does."""
    services = context.services()
    with context.database() as connection:
        promised = owed.promise_removal(connection, server_id)
        connection.commit()
    if promised is None:
        return False
    try:
        payer.remove(services.engine, services.rapi, promised)
    except ExtError as err:
        log.warning("server %s: deleted while it is built; its removal is submitted later: %s", server_id, err)
    return True


def act(server_id: str) -> tuple[str, int]:
    """POST /servers/ID/action."""
    name, argument = schema.action(schema.body())
    if name not in ACTIONS:
        raise BadRequest(f"There is no such action: {name[:80]}")
    server = _need(server_id)
    action, call = ACTIONS[name](server, argument)
    translate.check_action(server_id, server["status"], server["task"], action)
    job = context.services().rapi.submit(*call)
    _mark_task(server_id, action.task, job)
    log.info("server %s: %s is job %d", server_id, action.verb, job)
    return "", 202


def _start(server: Mapping[str, Any], _: object) -> tuple[translate.Action, translate.Call]:
    return translate.START, translate.start(server["instance"])


def _stop(server: Mapping[str, Any], _: object) -> tuple[translate.Action, translate.Call]:
    timeout = context.services().settings.front.shutdown_timeout
    return translate.STOP, translate.stop(server["instance"], timeout)


def _reboot(server: Mapping[str, Any], argument: object) -> tuple[translate.Action, translate.Call]:
    timeout, kind = context.services().settings.front.shutdown_timeout, schema.reboot_type(argument)
    action = translate.REBOOT_HARD if kind == "HARD" else translate.REBOOT
    return action, translate.reboot(server["instance"], kind, timeout)


ACTIONS: Mapping[str, Callable[[Mapping[str, Any], object], tuple[translate.Action, translate.Call]]] = {
    "os-start": _start,
    "os-stop": _stop,
    "reboot": _reboot,
}


def _mark_task(ident: str, task: str, job: int) -> None:
    """Show the task, unless the consumer has heard of the job already: then it may be over."""
    told = or_(db.server.c.job.is_(None), db.server.c.job < job)
    _update(ident, told, task=task, job=job)


def _mark_deleted(ident: str) -> None:
    _update(ident, db.server.c.deleted.is_(None), deleted=time.time(), task=None)


def _update(ident: str, only_if: Any, **values: Any) -> None:
    with context.database() as connection:
        connection.execute(
            update(db.server).where(db.server.c.id == ident, only_if).values(updated=time.time(), **values)
        )
        connection.commit()


def _need(server_id: str) -> dict[str, Any]:
    """The caller's server. Another project's is as unknown as one that never was."""
    query = select(db.server).where(
        db.server.c.id == server_id,
        db.server.c.project_id == context.project_id(),
        db.server.c.deleted.is_(None),
    )
    with context.database() as connection:
        found = db.row(connection, query)
    if found is None:
        raise NotFound(f"Instance {server_id} could not be found.")
    return found
