"""GET /attachments, from 3.27: which servers have which volumes. Whoever attaches and detaches is Compute.

In Cinder the other verbs are for Nova alone, which tells it of the connector of a node; here nodes alone connect to
the storage, and Ganeti does all of it in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from flask import Response, jsonify, request
from sqlalchemy import select, true
from sqlalchemy.sql.expression import ColumnElement

from frontend.compute.refused import Unsupported
from frontend.database import db
from frontend.volume import resourcefilter, volumes, volumestate
from frontend.volume.since import since
from frontend.volume.volumeview import attachment_id, stamp
from frontend.web import context, ordering, paging, schema
from frontend.web.fault import BadRequest, Conflict, NotFound

Row = Mapping[str, Any]

_VOLUME = db.volume.c
_SORTED = ("id", "volume_id", "instance", "status", "attached_at")
# By Cinder's names (cinder/db/models.py VolumeAttachment).
_SAME = {"instance_uuid": "instance", "attach_status": "status", "attach_time": "attached_at"}
_SAME.update(dict.fromkeys(("created_at", "updated_at"), "attached_at"))


@since(3, 27)
def list_short() -> Response:
    return _list(("id", "status", "instance", "volume_id"))


@since(3, 27)
def list_detail() -> Response:
    return _list(None)


@since(3, 27)
def show(attachment_id: str) -> Response:
    return jsonify({"attachment": _need(attachment_id)})


@since(3, 27)
def create() -> NoReturn:
    """POST /attachments: not without Compute."""
    sent = schema.mapping(schema.body(), "attachment")
    volume = volumes.need(schema.text(sent, "volume_uuid"))
    raise Unsupported(
        f"Volume {volume['id']}: attachments are made by Compute (servers/ID/os-volume_attachments), as nodes alone "
        "connect to the storage."
    )


@since(3, 27)
def change(attachment_id: str) -> NoReturn:
    """PUT /attachments/ID: there are no connectors to be told of."""
    schema.mapping(schema.mapping(schema.body(), "attachment"), "connector")
    shown = _need(attachment_id)
    raise Unsupported(f"Attachment {shown['id']}: nodes alone connect to the storage.")


@since(3, 27)
def delete(attachment_id: str) -> NoReturn:
    """DELETE /attachments/ID: as of any volume that Nova has attached."""
    raise Conflict(f"Detach volume from instance {_need(attachment_id)['instance']} using the Compute API")


def _list(keys: tuple[str, ...] | None) -> Response:
    resourcefilter.check("attachment")
    everybody = context.is_admin() and "all_tenants" in request.args
    found = [each for each in _every(everybody=everybody) if _is_wanted(each)]
    _sort(found)
    try:
        page, _ = paging.cut(found[paging.number("offset") :], paging.asked())
    except BadRequest as err:
        if "marker" not in request.args:
            raise
        words = f"Volume attachment could not be found with filter: attachment_id = {request.args['marker'][:80]}."
        raise NotFound(words) from err
    return jsonify({"attachments": [{key: each[key] for key in keys or each} for each in page]})


def _sort(found: list[dict[str, Any]]) -> None:
    """By `sort=KEY[:DIR],...`, or `sort_key` and `sort_dir` of old; else the newest first."""
    args = request.args
    asked = args.get("sort") or f"{args.get('sort_key') or 'attached_at'}:{args.get('sort_dir') or 'desc'}"
    found.sort(key=lambda each: str(each["id"]))
    for text in reversed([text.strip() for text in asked.split(",") if text.strip()]):
        name, _, direction = text.partition(":")
        key = _SAME.get(name, name)
        if key not in _SORTED:
            raise BadRequest(f"Invalid input received: Sort key {name!r:.80} is invalid.")
        found.sort(key=lambda each: str(each[key]), reverse=not ordering.rises(direction or "desc"))


def _is_wanted(shown: Mapping[str, Any]) -> bool:
    wanted = {
        "volume_id": shown["volume_id"],
        "instance_id": shown["instance"],
        "status": shown["status"],
        "attach_status": shown["status"],
    }
    return all(request.args.get(key) in (None, "", value) for key, value in wanted.items())


def _need(ident: str) -> dict[str, Any]:
    """The caller's project's, or for an administrator anybody's."""
    for shown in _every(everybody=context.is_admin()):
        if shown["id"] == ident:
            return shown
    raise NotFound(f"Volume attachment could not be found with filter: attachment_id = {ident[:80]}.")


def _every(*, everybody: bool) -> Iterator[dict[str, Any]]:
    mine: ColumnElement[bool] = true() if everybody else _VOLUME.project_id == context.project_id()
    query = select(db.volume).where(mine, _VOLUME.server_id.is_not(None), _VOLUME.deleted.is_(None))
    with context.database() as connection:
        rows = db.rows(connection, query)
    return map(_shown, rows)


def _shown(row: Row) -> dict[str, Any]:
    changing = row["status"] in (volumestate.ATTACHING, volumestate.DETACHING)
    return {
        "id": attachment_id(row),
        "status": row["status"] if changing else "attached",
        "instance": row["server_id"],
        "volume_id": row["id"],
        "attached_at": stamp(row["attached"]) if row["attached"] else "",
        "detached_at": "",
        "attach_mode": "rw",
        "connection_info": {},
    }
