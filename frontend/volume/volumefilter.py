"""Which volumes a list is to show, and in which order, by the request's query (api-ref, "List accessible volumes").

What a database can compare becomes a condition; the rest is a test of each row. Filters that are not known are
ignored, as are an administrator's from others.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flask import request
from sqlalchemy import func, true
from sqlalchemy.sql.expression import ColumnElement

from frontend.database import db
from frontend.volume import resourcefilter, volumestate, volumetypes, volumeview
from frontend.web import context, ordering
from frontend.web.fault import BadRequest, NotFound
from frontend.web.ordering import Key

Row = Mapping[str, Any]
Test = Callable[[Row], bool]

_VOLUME = db.volume.c
_TRUE = ("true", "t", "yes", "y", "on", "1")
_FALSE = ("false", "f", "no", "n", "off", "0")
_LONGEST = 2000  # characters of a filter that is an object

_EQUAL: Mapping[str, ColumnElement[Any]] = {
    **dict.fromkeys(("name", "display_name"), _VOLUME.name),
    "status": _VOLUME.status,
    "id": _VOLUME.id,
    "user_id": _VOLUME.user_id,
}
_LIKE: Mapping[str, ColumnElement[Any]] = {"name": _VOLUME.name, "status": _VOLUME.status}
_FACTS = {
    "snapshot_id": "source_snapshot",
    "source_volid": "source_volume",
    "description": "description",
}
_NEVER = ("group_id", "consistencygroup_id", "migration_status", "replication_status")  # no volume has one of these
_NO = ("encrypted", "multiattach")  # nor is one

# By Cinder's names (cinder/db/sqlalchemy/models.py Volume). What may lack has a value to sort by.
_SORTED: Mapping[str, ColumnElement[Any]] = {
    "id": _VOLUME.id,
    **dict.fromkeys(("name", "display_name"), _VOLUME.name),
    "status": _VOLUME.status,
    "size": _VOLUME.size,
    "created_at": _VOLUME.created,
    "updated_at": _VOLUME.updated,
    "user_id": _VOLUME.user_id,
    "project_id": _VOLUME.project_id,
    **dict.fromkeys(("volume_type_id", "volume_type"), _VOLUME.type),
    "attach_status": func.coalesce(_VOLUME.server_id, ""),
}
# The same for all volumes here, or not kept in a column: they do not change the order.
_SAME = frozenset(("availability_zone", "bootable", "multiattach", "encrypted", "display_description", "host"))


def scope() -> ColumnElement[bool]:
    """The volumes that may be shown at all: the project's, or for an administrator who asks for it everybody's."""
    args = request.args
    if context.is_admin() and _is_set(args.get("all_tenants", "0") or "1"):
        project = args.get("project_id") or args.get("tenant_id")
        return _VOLUME.project_id == project if project else true()
    return _VOLUME.project_id == context.project_id()


def conditions() -> Iterator[ColumnElement[bool]]:
    """What the database compares."""
    args = request.args
    yield _VOLUME.deleted.is_(None)
    for key, column in _EQUAL.items():
        if args.get(key):
            yield column == args[key]
    for key, column in _LIKE.items():
        if part := resourcefilter.like(key):
            yield resourcefilter.contains(column, part)
    if args.get("size"):
        yield _VOLUME.size == _number("size")
    if args.get("volume_type"):
        yield _VOLUME.type == _type(args["volume_type"])
    if context.is_admin() and args.get("host"):
        wanted = args["host"]
        yield _VOLUME.type.in_([each.name for each in volumetypes.every() if _is_at(each, wanted)])


def tests() -> list[Test]:
    """What each row has to pass besides."""
    args = request.args
    found: list[Test] = []
    for key, fact in _FACTS.items():
        if args.get(key):
            found.append(_has_fact(fact, args[key]))
    if part := resourcefilter.like("description"):
        found.append(_is_said(part))
    if args.get("bootable"):
        found.append(_is_bootable(_bootable(args["bootable"])))
    if args.get("metadata"):
        found.append(_holds(volumeview.metadata, items_of("metadata")))
    if args.get("glance_metadata") and context.version() >= (3, 4):
        found.append(_holds(volumestate.image_metadata, items_of("glance_metadata")))
    zone = args.get("availability_zone", volumeview.ZONE) or volumeview.ZONE
    nothing = zone != volumeview.ZONE or any(args.get(key) for key in _NEVER)
    if nothing or any(_is_set(args[key]) for key in _NO if args.get(key)):
        found.append(lambda _: False)
    return found


def order() -> list[Key]:
    """By `sort=KEY[:DIR],...`, or `sort_key` and `sort_dir` of old; else newest first."""
    args = request.args
    if "sort" in args and ("sort_key" in args or "sort_dir" in args):
        raise BadRequest("The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with 'sort'.")
    if "sort" in args:
        pairs = [text.strip().partition(":") for text in args["sort"].split(",") if text.strip()]
        asked = [(name, direction or "desc") for name, _, direction in pairs]
    else:
        asked = [(args.get("sort_key") or "created_at", args.get("sort_dir") or "desc")]
    found = [Key(_SORTED[name], ordering.rises(word)) for name, word in asked if _known(name)]
    found = found or [Key(_VOLUME.created, False)]
    return [*found, Key(_VOLUME.id, found[-1].rising)]  # of equal ones, the id decides


def _known(name: str) -> bool:
    if name not in _SORTED and name not in _SAME:
        raise BadRequest(f"Invalid input received: Sort key {name!r:.80} is invalid.")
    return name in _SORTED


def _is_set(text: str) -> bool:
    if text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    raise BadRequest(f"expected true or false, got {text!r:.80}")


def _bootable(text: str) -> bool:
    """Until 3.1 whatever is not false is true."""
    if context.version() < (3, 2):
        return text.lower() != "false"
    return _is_set(text)


def _number(key: str) -> int:
    text = request.args[key]
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise BadRequest(f"{key}: {text!r:.80} is no number")
    return int(text)


def _type(text: str) -> str:
    try:
        return volumetypes.find(text).name
    except NotFound:
        return text  # that is no type any more may still be some volumes'


def _is_at(kind: volumetypes.Type, host: str) -> bool:
    """Of a host, a backend of it or a pool of that."""
    place = volumeview.host(kind)
    return host in (place, place.partition("#")[0], volumeview.HOST)


def items_of(key: str) -> dict[str, str]:
    """{NAME: VALUE}, in Python's words as clients send it, or as JSON."""
    text = request.args[key]
    if len(text) > _LONGEST:
        raise BadRequest(f"{key}: {len(text)} characters, at most {_LONGEST} are allowed")
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(found, dict):
            return {str(name): str(value) for name, value in found.items()}
    raise BadRequest(f"{key}: {text!r:.80}: expected an object")


def _has_fact(fact: str, value: str) -> Test:
    return lambda row: row["facts"].get(fact) == value


def _is_said(part: str) -> Test:
    return lambda row: part.casefold() in row["facts"].get("description", "").casefold()


def _is_bootable(wanted: bool) -> Test:
    return lambda row: volumeview.bootable(row) == wanted


def _holds(items: Callable[[Row], Mapping[str, str]], wanted: Mapping[str, str]) -> Test:
    return lambda row: wanted.items() <= {name: str(value) for name, value in items(row).items()}.items()
