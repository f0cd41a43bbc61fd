"""By what lists may be filtered: GET /resource_filters, and the refusal of everything else (from 3.31).

Before 3.31 what is not known is passed over, as Cinder did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import func
from sqlalchemy.sql.expression import ColumnElement

from frontend.volume.since import since
from frontend.web import context
from frontend.web.fault import BadRequest

STRICT, LIKE = (3, 31), (3, 34)

# Of Cinder's file resource_filters.json, and more. NAME~ stands for NAME, too.
FILTERS: Mapping[str, tuple[str, ...]] = {
    "volume": (
        *("name~", "status~", "description~", "display_name", "id", "size", "metadata", "bootable", "volume_type"),
        *("user_id", "snapshot_id", "source_volid", "availability_zone", "glance_metadata", "encrypted"),
        *("multiattach", "group_id", "consistencygroup_id", "migration_status", "replication_status"),
    ),
    "snapshot": ("name~", "status~", "description~", "display_name", "id", "volume_id", "metadata"),
    "attachment": ("volume_id", "status", "instance_id", "attach_status"),
    "pool": ("name", "volume_type"),
    "volume_type": ("is_public",),
}
# Of each list. Who asks for everybody's and may not is shown his own.
_PAGE = frozenset(("limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "detail"))


@since(3, 33)
def list_all() -> Response:
    """GET /resource_filters; `resource`: of one kind."""
    wanted = request.args.get("resource")
    shown = {name: filters for name, filters in FILTERS.items() if wanted in (None, "", name)}
    return jsonify({"resource_filters": [{"resource": name, "filters": list(each)} for name, each in shown.items()]})


def check(resource: str) -> None:
    """BadRequest when the query has a filter that is none of this kind; of administrators only pools' are looked at."""
    version = context.version()
    if version < STRICT or (context.is_admin() and resource != "pool"):
        return
    known = {name.removesuffix("~") for name in FILTERS[resource]}
    if version >= LIKE:
        known.update(FILTERS[resource])
    unknown = sorted(set(request.args) - known - _PAGE)
    if unknown:
        raise BadRequest(f"Invalid filters {', '.join(unknown)[:200]} are found in query options.")


def like(key: str) -> str | None:
    """What `KEY~` asks for, from 3.34: a part of the value, in capital letters or not."""
    return (request.args.get(f"{key}~") or None) if context.version() >= LIKE else None


def contains(column: ColumnElement[Any], part: str) -> ColumnElement[bool]:
    """As `icontains` of SQLAlchemy 2: lower() is the database's, which knows fewer letters than Python's does."""
    escaped = part.replace("/", "//").replace("%", "/%").replace("_", "/_")
    return func.lower(column).like(func.lower(f"%{escaped}%"), escape="/")
