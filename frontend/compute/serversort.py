"""The order of a list of servers, and where its next page begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import request
from sqlalchemy import func
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import ColumnElement, Select

from frontend.database import db
from frontend.web import context, ordering
from frontend.web.fault import BadRequest, Forbidden
from frontend.web.ordering import Key

_SERVER = db.server.c

# By Nova's names (nova/api/openstack/compute/schemas/servers.py VALID_SORT_KEYS). What may lack has a value to sort by.
_KEYS: Mapping[str, ColumnElement[Any]] = {
    "created_at": _SERVER.created,
    "updated_at": _SERVER.updated,
    "display_name": _SERVER.name,
    "uuid": _SERVER.id,
    "user_id": _SERVER.user_id,
    "project_id": _SERVER.project_id,
    "image_ref": _SERVER.image_id,
    "instance_type_id": _SERVER.flavor_id,
    "vm_state": _SERVER.status,
    "task_state": func.coalesce(_SERVER.task, ""),
    "power_state": func.coalesce(_SERVER.power, ""),
    "progress": func.coalesce(_SERVER.progress, 0),
    "terminated_at": func.coalesce(_SERVER.deleted, 0.0),
}
_HOSTS = ("host", "node")
# Known to Nova, and the same for all servers here, or not kept in a column: they do not change the order.
_EQUAL = frozenset((
    *("access_ip_v4", "access_ip_v6", "auto_disk_config", "availability_zone", "config_drive", "display_description"),
    *("hostname", "kernel_id", "key_name", "launch_index", "launched_at", "locked_by", "ramdisk_id"),
    *("root_device_name", "architecture", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted"),
    *("deleted_at", "disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "internal_id", "locked"),
    *("memory_mb", "os_type", "reservation_id", "root_gb", "shutdown_terminate", "user_data", "vcpus", "vm_mode"),
))  # fmt: skip


def asked() -> list[Key]:
    """As the request's query wants it: sort_key and sort_dir, each as often as one likes; else newest first."""
    names, directions = request.args.getlist("sort_key"), request.args.getlist("sort_dir")
    if len(directions) > max(len(names), 1):
        raise BadRequest(f"sort_dir: {len(directions)} of them, and sort_key only {len(names)} times")
    rising = [ordering.rises(text) for text in directions]
    # A direction alone is that of the usual order; the first one holds for all keys that have none.
    rising += [rising[0] if rising else False] * max(len(names) - len(rising), 1 - len(rising))
    found = [Key(what, up) for name, up in zip(names, rising, strict=False) for what in _named(name)]
    found = found or [Key(_SERVER.created, rising[0])]
    return [*found, Key(_SERVER.id, found[-1].rising)]  # of equal ones, the id decides


def page(
    connection: Connection, query: Select[Any], keys: list[Key], marker: str | None, scope: ColumnElement[bool]
) -> Select[Any]:
    """In order, from behind the marker on; `scope` says which servers the caller may name."""
    return ordering.behind(connection, query, keys, marker, _SERVER.id, scope)


def _named(name: str) -> Iterator[ColumnElement[Any]]:
    if name in _HOSTS:
        if not context.is_admin():
            raise Forbidden(f"Only administrators can sort servers by {name}")
        yield func.coalesce(_SERVER.host, "")
    elif name in _KEYS:
        yield _KEYS[name]
    elif name not in _EQUAL:
        raise BadRequest(f"sort_key: there is no {name!r:.80} to sort by")
