"""What projects may have: one list of limits, by whichever service they are asked for (docs/quotas.md).

A project's own number stands in its row. One that has none gets the default: an administrator's of the class `default`
(table quota_default), or else that of [quota] in frontend.conf.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import bindparam, delete, insert, literal, select, true, update
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import Select

from frontend.database import db, turns
from frontend.settings import Quota
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Forbidden, NotFound

log = logging.getLogger(__name__)

UNLIMITED = -1
DEFAULT = -2
"""In the columns of a project that cannot be null: none of its own."""
LARGEST = 0x7FFFFFFF
CLASS = "default"
"""The one class of quotas that there is."""

COLUMNS: Mapping[str, str] = {
    "servers": "max_servers",
    "cores": "max_cores",
    "ram": "max_ram",  # MiB
    "volumes": "max_volumes",
    "gigabytes": "max_gigabytes",  # GiB of volumes and snapshots
    "snapshots": "max_snapshots",
    "images": "max_images",
    "image_gigabytes": "max_image_gigabytes",
    "networks": "max_networks",
    "subnets": "max_subnets",
    "ports": "max_ports",
    "floating_ips": "max_floating_ips",
    "addresses": "max_addresses",  # public ones, floating or not
    "security_groups": "max_security_groups",
    "security_group_rules": "max_security_group_rules",
}
"""The limits of a project, each with the column that has it; they are keys of [quota], too."""

FRESH: Mapping[str, int] = dict.fromkeys(("max_servers", "max_cores", "max_ram"), DEFAULT)
"""Columns of a project that was given no numbers."""

_NEED_LINK = ("networks", "subnets")  # nobody makes any where there is no bridge for them


def _of() -> Select[Any]:
    """A project's own numbers, if there is such a project, with each default that an administrator has set."""
    project, default = db.project.c, db.quota_default
    one = select(literal(1).label("one")).subquery()
    joined = one.outerjoin(db.project, project.id == bindparam("whose")).outerjoin(default, true())
    own = [project[column].label(name) for name, column in COLUMNS.items()]
    return select(*own, default.c.name.label("standing"), default.c.most).select_from(joined)


# Made once, as are the others that a create needs: to put a statement together takes longer than to execute it.
_OF = _of()


def of(connection: Connection, project: str, names: Collection[str] = tuple(COLUMNS)) -> dict[str, int]:
    """Limits of a project; below 0: any number."""
    rows = connection.execute(_OF, {"whose": project}).mappings().all()
    own = _own({name: rows[0][name] for name in names})
    if len(own) < len(names):
        said = {row["standing"]: row["most"] for row in rows if row["standing"] is not None}
        own = {**_possible(said, context.services().settings.quota), **own}
    return {name: own[name] for name in names}


def given(connection: Connection, project: str) -> dict[str, int]:
    """Those that a project has of its own; none of a project that there is not."""
    row = db.row(connection, select(db.project).where(db.project.c.id == project)) or {}
    return _own({name: row.get(column) for name, column in COLUMNS.items()})


def _own(found: Mapping[str, int | None]) -> dict[str, int]:
    return {name: value for name, value in found.items() if value is not None and value != DEFAULT}


def defaults(connection: Connection) -> dict[str, int]:
    """What a project may have that was given nothing else."""
    return _possible(_said(connection), context.services().settings.quota)


def _possible(said: Mapping[str, int], quota: Quota) -> dict[str, int]:
    found = _standing(said, quota)
    has_link = context.services().settings.front.makes_networks
    return found if has_link else {**found, **dict.fromkeys(_NEED_LINK, 0)}


def standing(connection: Connection, quota: Quota) -> dict[str, int]:
    """The defaults, whether there may be any of these or not."""
    return _standing(_said(connection), quota)


def _said(connection: Connection) -> dict[str, int]:
    return {row.name: row.most for row in connection.execute(select(db.quota_default))}


def _standing(said: Mapping[str, int], quota: Quota) -> dict[str, int]:
    return {name: said.get(name, getattr(quota, name)) for name in COLUMNS}


def give(connection: Connection, project: str, values: Mapping[str, int | None]) -> None:
    """Write limits of a project; None: the default. Commits."""
    if values:
        write(connection, project, values)
        connection.commit()
        log.info("quota of project %s: %s", project, dict(values))


def write(connection: Connection, project: str, values: Mapping[str, int | None]) -> None:
    """The same as part of a transaction: behind whoever has counted and adds, so that all who come later know of it."""
    turns.take(connection, project)
    columns = {COLUMNS[name]: FRESH.get(COLUMNS[name]) if value is None else value for name, value in values.items()}
    connection.execute(update(db.project).where(db.project.c.id == project).values(columns))


def set_back(project: str, names: Iterable[str]) -> None:
    """Give a project the defaults of these; NotFound when there is no such project."""
    with context.database() as connection:
        need_project(connection, project)
        give(connection, project, dict.fromkeys(names))


def give_all(connection: Connection, values: Mapping[str, int]) -> None:
    """Write the defaults. Commits."""
    for name, most in values.items():
        connection.execute(delete(db.quota_default).where(db.quota_default.c.name == name))
        connection.execute(insert(db.quota_default).values(name=name, most=most))
    connection.commit()
    log.info("quota of all projects that have none of their own: %s", dict(values))


def number(sent: Mapping[str, Any], key: str) -> int:
    """A limit as a request has it; BadRequest for what is none."""
    return schema.number(sent, key, schema.MISSING, UNLIMITED, LARGEST)


def asked(
    sent: Mapping[str, Any], now: Mapping[str, int], own: Collection[str], refusal: Callable[[str], str]
) -> dict[str, int]:
    """The new limits that a service's request has, of those that are its `own`.

    BadRequest, in the words of `refusal`, for another one's that is not to stay as it is `now`.
    """
    found = {}
    for name in [name for name in sent if name in now and sent[name] is not None]:
        value = number(sent, name)
        if name in own:
            found[name] = value
        elif value != now[name]:
            raise BadRequest(f"{name}: {refusal(name)}")
    return found


def is_over(most: int, there: int, more: int) -> bool:
    """Whether so many more are too many. Who has too many already may still do what asks for none."""
    return more > 0 and 0 <= most < there + more


def check_reader(project: str) -> None:
    """Who may see a project's limits; in the same words whether there is such a project or not."""
    if project == context.project_id():
        return
    if not context.is_admin():
        raise Forbidden("Only an administrator may see the quota of another project.")
    with context.database() as connection:
        need_project(connection, project)


def need_project(connection: Connection, project: str) -> None:
    if connection.execute(select(db.project.c.id).where(db.project.c.id == project)).first() is None:
        raise NotFound(f"Project ID {project} is not a valid project.")
