"""What projects and users may have, and have."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from flask import Response, jsonify
from sqlalchemy import Connection, func, select, update

from frontend.database import db
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Forbidden, NotFound

log = logging.getLogger(__name__)

# Of a project that nobody gave others: Nova's own.
DEFAULTS: Mapping[str, int] = {"instances": 10, "cores": 20, "ram": 51200}
_COLUMNS: Mapping[str, str] = {"instances": "max_servers", "cores": "max_cores", "ram": "max_ram"}
# Network's to change (networkquota.py), and shown here as well.
_SHOWN: Mapping[str, str] = {
    "security_groups": "max_security_groups",
    "security_group_rules": "max_security_group_rules",
}
_UNLIMITED = -1
_LARGEST = 0x7FFFFFFF
# Of the body of a create: nova/quota.py has these, and so has schema_server.py.
FILES, FILE_OCTETS, FILE_PATH = 5, 10240, 255


def limits(connection: Connection, project: str) -> dict[str, int]:
    """instances, cores and ram (MiB) of a project; below 0: any number."""
    row = db.row(connection, select(db.project).where(db.project.c.id == project))
    return {name: row[column] for name, column in _COLUMNS.items()} if row else dict(DEFAULTS)


def of_groups(connection: Connection, project: str) -> dict[str, int]:
    """security_groups and security_group_rules of a project, where it was given others than the defaults."""
    row = db.row(connection, select(db.project).where(db.project.c.id == project)) or {}
    return {name: row[column] for name, column in _SHOWN.items() if row.get(column) is not None}


def used(connection: Connection, project: str) -> dict[str, int]:
    """The same of its servers that are not deleted."""
    column = db.server.c
    counted = (func.count(), func.coalesce(func.sum(column.vcpus), 0), func.coalesce(func.sum(column.ram), 0))
    found = connection.execute(select(*counted).where(column.project_id == project, column.deleted.is_(None))).one()
    return dict(zip(_COLUMNS, map(int, found), strict=True))


def check(connection: Connection, project: str, more: Mapping[str, int]) -> None:
    """Forbidden when with so many more instances, cores or MiB of ram a project has more than it may.

    Who has more already, as his quota was lowered, may still do what asks for none.
    """
    allowed, now = limits(connection, project), used(connection, project)
    for what, asked in more.items():
        if asked > 0 and 0 <= allowed[what] < now[what] + asked:
            unit = " MiB" if what == "ram" else ""
            raise Forbidden(
                f"Quota exceeded for {what}: Requested {asked}{unit}, but already used {now[what]} "
                f"of {allowed[what]}{unit}"
            )


def check_metadata(count: int) -> None:
    """Forbidden when a server may not have so many items of metadata."""
    allowed = context.services().settings.quota.metadata
    if count > allowed:
        raise Forbidden(f"Maximum number of metadata items exceeds {allowed}: {count}")


def show(project_id: str) -> Response:
    """GET /os-quota-sets/PROJECT."""
    check_reader(project_id)
    with context.database() as connection:
        return jsonify({"quota_set": {"id": project_id, **_all(_own(connection, project_id))}})


def show_defaults(project_id: str) -> Response:
    """GET /os-quota-sets/PROJECT/defaults."""
    check_reader(project_id)
    return jsonify({"quota_set": {"id": project_id, **_all(DEFAULTS)}})


def show_detail(project_id: str) -> Response:
    """GET /os-quota-sets/PROJECT/detail: with what is used. Nothing is reserved: a row is there at once."""
    check_reader(project_id)
    with context.database() as connection:
        allowed = _all(_own(connection, project_id))
        in_use = {**used(connection, project_id), "server_groups": server_groups(connection, project_id)}
    shown = {name: {"limit": limit, "in_use": in_use.get(name, 0), "reserved": 0} for name, limit in allowed.items()}
    return jsonify({"quota_set": {"id": project_id, **shown}})


def change(project_id: str) -> Response:
    """PUT /os-quota-sets/PROJECT, by an administrator: servers, cores and memory; the others are settings of all."""
    sent = schema.mapping(schema.body(), "quota_set")
    with context.database() as connection:
        need_project(connection, project_id)
        now, in_use = _all(_own(connection, project_id)), used(connection, project_id)
        values = {}
        for name in [name for name in sent if name in now and sent[name] is not None]:
            value = schema.number(sent, name, 0, _UNLIMITED, _LARGEST)
            if name in _COLUMNS:
                _check_used(name, value, in_use[name], force=schema.flag(sent, "force", default=False))
                values[_COLUMNS[name]] = value
            elif value != now[name]:
                where = "set it by Network's quotas" if name in _SHOWN else "the front's configuration has it, [quota]"
                raise BadRequest(f"{name}: is not Compute's to change: {where}")
        if values:
            give(connection, project_id, values)
        shown = _all(_own(connection, project_id))
    log.info("quota of project %s: %s", project_id, values)
    return jsonify({"quota_set": shown})


def reset(project_id: str) -> tuple[str, int]:
    """DELETE /os-quota-sets/PROJECT: back to the defaults."""
    values = {column: DEFAULTS[name] for name, column in _COLUMNS.items()}
    with context.database() as connection:
        need_project(connection, project_id)
        give(connection, project_id, values)
    log.info("quota of project %s: defaults", project_id)
    return "", 202


def give(connection: Connection, project: str, values: Mapping[str, int | None]) -> None:
    """Write limits of a project, by their columns; None: the default. Commits."""
    connection.execute(update(db.project).where(db.project.c.id == project).values(values))
    connection.commit()


def set_back(project: str, columns: Iterable[str]) -> None:
    """Give a project the defaults of these; NotFound when there is no such project."""
    with context.database() as connection:
        need_project(connection, project)
        give(connection, project, dict.fromkeys(columns))


def server_groups(connection: Connection, project: str) -> int:
    """How many server groups a project has."""
    query = select(func.count()).select_from(db.server_group).where(db.server_group.c.project_id == project)
    return int(connection.execute(query).scalar_one())


def _check_used(name: str, value: int, in_use: int, *, force: bool) -> None:
    if not force and 0 <= value < in_use:
        raise BadRequest(f"Quota limit {value} for {name} must be greater than or equal to already used {in_use}.")


def _own(connection: Connection, project: str) -> dict[str, int]:
    return {**limits(connection, project), **of_groups(connection, project)}


def _all(own: Mapping[str, int]) -> dict[str, int]:
    """Every key that microversions below 2.36 have; 0 of what there is not."""
    quota = context.services().settings.quota
    return {
        "metadata_items": quota.metadata,
        "key_pairs": quota.keypairs,
        "server_groups": quota.server_groups,
        "server_group_members": quota.group_members,
        "injected_files": FILES,
        "injected_file_content_bytes": FILE_OCTETS,
        "injected_file_path_bytes": FILE_PATH,
        "fixed_ips": _UNLIMITED,
        "floating_ips": 0,
        "security_groups": quota.security_groups,
        "security_group_rules": quota.security_group_rules,
        **own,
    }


def check_reader(project: str) -> None:
    """In the same words whether there is such a project or not."""
    if project == context.project_id():
        return
    if not context.is_admin():
        raise Forbidden("Only an administrator may see the quota of another project.")
    with context.database() as connection:
        need_project(connection, project)


def need_project(connection: Connection, project: str) -> None:
    if connection.execute(select(db.project.c.id).where(db.project.c.id == project)).first() is None:
        raise NotFound(f"Project ID {project} is not a valid project.")
