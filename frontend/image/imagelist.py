"""GET /v2/images: which of the images that the caller may see are wanted, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import and_, select

from frontend.database import db
from frontend.image import imageview
from frontend.image.imagestate import DELETED
from frontend.image.imagevalues import VISIBILITIES
from frontend.web import context, paging, when
from frontend.web.fault import BadRequest, NotFound

Row = Mapping[str, Any]

_STATUSES = ("accepted", "pending", "rejected", "all")
_TEXTS = ("name", "status", "owner", "disk_format", "container_format", "checksum", "os_hash_value")
_NUMBERS = ("size", "min_disk", "min_ram")
_BOUNDS = ("size_min", "size_max")
_TIMES = {"created_at": "created", "updated_at": "updated"}
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le, "eq": eq, "neq": ne}
_KEYS: Mapping[str, str] = {
    **{name: name for name in ("name", "status", "container_format", "disk_format", "size", "id", "min_disk")},
    **{name: name for name in ("min_ram", "visibility")},
    "owner": "owner_id",
    **_TIMES,
}
# What else stands in the query and names no property.
_OTHER = frozenset(("limit", "marker", "sort", "sort_key", "sort_dir", "tag", "visibility", "member_status", *_BOUNDS))


def show() -> Response:
    if request.path.endswith("/"):
        raise NotFound("The resource could not be found.")  # of one image, whose id is blank
    rows = [row for row in _rows() if _is_listed(row) and _is_wanted(row)]
    page, more = paging.cut([imageview.shown(row) for row in _sorted(rows)], paging.asked())
    answer: dict[str, Any] = {"images": page, "first": "/v2/images", "schema": "/v2/schemas/images"}
    if more and page:
        answer["next"] = paging.next_path(page[-1]["id"]).removeprefix("/image")
    return jsonify(answer)


def _rows() -> list[dict[str, Any]]:
    """All images, with how the project has answered to those that it was shown."""
    column, member, project = db.image.c, db.image_member.c, context.project_id()
    joined = and_(member.image_id == column.id, member.project_id == project)
    query = select(db.image, member.status.label("answer")).outerjoin(db.image_member, joined)
    query = query.where(column.status != DELETED)
    if not (context.is_admin() and _is_of_all()):
        seen = column.visibility.in_(("public", "community")) | (column.owner_id == project)
        query = query.where(seen | and_(column.visibility == "shared", member.status.is_not(None)))
    with context.database() as connection:
        return db.rows(connection, query)


def _is_of_all() -> bool:
    """Whether an administrator asks for other projects' images, too."""
    return request.args.get("visibility") == "all" or "owner" in request.args


def _is_listed(row: Row) -> bool:
    """By visibility: community images are listed where they, or all, are asked for."""
    wanted, answer = request.args.get("visibility"), request.args.get("member_status", "accepted")
    if wanted is not None and wanted not in (*VISIBILITIES, "all"):
        raise BadRequest(f"visibility: {wanted!r:.80}: expected one of {' '.join(VISIBILITIES)} all")
    if answer not in _STATUSES:
        raise BadRequest(f"member_status: {answer!r:.80}: expected one of {' '.join(_STATUSES)}")
    is_mine = row["owner_id"] == context.project_id()
    if wanted not in (None, "all", row["visibility"]) or (wanted is None and not is_mine and _is_community(row)):
        return False
    if row["visibility"] != "shared" or is_mine or row["answer"] is None:
        return True
    return answer in ("all", row["answer"])


def _is_community(row: Row) -> bool:
    return bool(row["visibility"] == "community") and request.args.get("owner") != row["owner_id"]


def _is_wanted(row: Row) -> bool:
    args, shown = request.args, imageview.shown(row)
    if "id" in args and row["id"] not in args["id"].removeprefix("in:").split(","):
        return False
    if not set(args.getlist("tag")) <= set(row["tags"]):
        return False
    if shown["os_hidden"] != _flag("os_hidden", False) or shown["protected"] != _flag("protected", shown["protected"]):
        return False
    size = row["size"] if shown["size"] is not None else 0
    if size < paging.number("size_min", 0, 18) or size > paging.number("size_max", size, 18):
        return False
    numbers = all(shown[key] == _number(key) for key in _NUMBERS if key in args)
    texts = all(_is_one(shown[key], args[key]) for key in _TEXTS if key in args)
    return numbers and texts and all(_is_when(row, key) for key in _TIMES if key in args) and _has_properties(shown)


def _has_properties(shown: Row) -> bool:
    known = {*_OTHER, *_TEXTS, *_NUMBERS, *_TIMES, "id", "os_hidden", "protected"}
    return all(shown.get(key) == value for key, value in request.args.items() if key not in known)


def _is_one(value: object, wanted: str) -> bool:
    return value in (wanted.removeprefix("in:").split(",") if wanted.startswith("in:") else [wanted])


def _is_when(row: Row, key: str) -> bool:
    """A time, behind an operator and a colon or alone."""
    text = request.args[key]
    operator, _, time = text.partition(":")
    if operator not in _OPERATORS:
        operator, time = "eq", text
    found = row["updated"] or row["created"] if key == "updated_at" else row["created"]
    return _OPERATORS[operator](int(found), int(when.seconds(key, time)))


def _number(key: str) -> int:
    return paging.number(key, digits=18)


def _flag(key: str, default: Any) -> bool:
    text = request.args.get(key)
    if text is None:
        return bool(default)
    if text.lower() not in ("true", "false"):
        raise BadRequest(f"{key}: expected true or false, got {text!r:.80}")
    return text.lower() == "true"


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By `sort=KEY[:DIR],...`, or by keys and directions of their own; at last by time and id, the newest first."""
    keys, directions = request.args.getlist("sort_key"), request.args.getlist("sort_dir")
    if "sort" in request.args:
        if keys or directions:
            raise BadRequest("sort: sort_key and sort_dir are another way to say the same")
        pairs = [part.partition(":") for part in request.args["sort"].split(",")]
        keys, directions = [key for key, _, _ in pairs], [direction or "desc" for _, _, direction in pairs]
    if len(directions) > max(len(keys), 1):
        raise BadRequest(f"sort_dir: {len(directions)} of them, and sort_key only {len(keys)} times")
    directions += [directions[0] if directions else "desc"] * (len(keys) - len(directions))
    usual = directions[0] if directions and not keys else "desc"
    for key, direction in reversed([*zip(keys, directions, strict=False), ("created_at", usual), ("id", usual)]):
        if key not in _KEYS:
            raise BadRequest(f"sort_key: there is no {key!r:.80} to sort by")
        if direction not in ("asc", "desc"):
            raise BadRequest(f"sort_dir: expected asc or desc, got {direction!r:.80}")
        rows.sort(key=_order(_KEYS[key]), reverse=direction == "desc")
    return rows


def _order(column: str) -> Callable[[Row], tuple[bool, Any]]:
    """What is not known comes first."""

    def key(row: Row) -> tuple[bool, Any]:
        value = row["created"] if column == "updated" and row["updated"] is None else row[column]
        return value is not None, value

    return key
