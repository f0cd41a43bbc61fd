"""What projects and users may have, and have, by Compute's names (api-ref, "Quota Sets")."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Response, jsonify
from sqlalchemy import bindparam, func, select
from sqlalchemy.engine import Connection

from frontend.database import db, turns
from frontend.network import portquota
from frontend.quota import limits, reserved
from frontend.usage import budget
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Forbidden

Row = Mapping[str, Any]

OWN: Mapping[str, str] = {"instances": "servers", "cores": "cores", "ram": "ram"}
# Network's to change (networkquota.py), and shown here as well.
_SHOWN: Mapping[str, str] = {
    "floating_ips": "floating_ips",
    "security_groups": "security_groups",
    "security_group_rules": "security_group_rules",
}
_NAMES = {**OWN, **_SHOWN}
# Of the body of a create: nova/quota.py has these, and so has schema_server.py.
FILES, FILE_OCTETS, FILE_PATH = 5, 10240, 255

_SERVER = db.server.c
_OTHERS = select(
    func.count(), func.coalesce(func.sum(_SERVER.vcpus), 0), func.coalesce(func.sum(_SERVER.ram), 0)
).where(
    _SERVER.project_id == bindparam("whose"),
    _SERVER.deleted.is_(None),
    _SERVER.id.not_in(bindparam("apart", expanding=True)),
)


def of(connection: Connection, project: str) -> dict[str, int]:
    """instances, cores and ram (MiB) of a project; below 0: any number."""
    return _named(OWN, limits.of(connection, project, tuple(OWN.values())))


def used(connection: Connection, project: str) -> dict[str, int]:
    """The same of its servers that are not deleted, with what is set apart for those that are being made or resized."""
    return used_beside(connection, project, reserved.of(connection, project))


def used_beside(connection: Connection, project: str, apart: Sequence[Row]) -> dict[str, int]:
    """The same; `apart` (reserved.of) was read before."""
    return _with_reserved(connection, project, apart)[0]


def _with_reserved(connection: Connection, project: str, apart: Sequence[Row]) -> tuple[dict[str, int], dict[str, int]]:
    """What counts, and what of it no server has yet.

    What is set apart is read first, and apart from the rest: a row of such a server may come in any moment.
    """
    rows = [row for row in apart if row["vcpus"] is not None]
    others = connection.execute(_OTHERS, {"whose": project, "apart": [row["id"] for row in rows]}).one()
    has = dict(zip(OWN, map(int, others), strict=True))
    more = dict.fromkeys(OWN, 0)
    for row in rows:
        is_there = row["owner"] is not None
        if is_there and (row["deleted"] is not None or row["owner"] != project):
            continue
        now = dict.fromkeys(OWN, 0)
        if is_there:
            now = {"instances": 1, "cores": row["has_vcpus"], "ram": row["has_ram"]}
        wanted = {"instances": 1, "cores": row["vcpus"], "ram": row["ram"]}
        for name in OWN:
            has[name] += now[name]
            more[name] += max(0, wanted[name] - now[name])
    return {name: has[name] + more[name] for name in OWN}, more


def check(connection: Connection, project: str, more: Mapping[str, int]) -> None:
    """Forbidden when with so many more instances, cores or MiB of ram a project has more than it may.

    Who has more already, as his quota was lowered, may still do what asks for none. Who then sets that apart in the
    same transaction (reserved.py) is alone in that.
    """
    turns.take(connection, project)
    if any(asked > 0 for asked in more.values()):
        budget.check(connection, project)
    refuse(of(connection, project), used(connection, project), more)


def refuse(allowed: Mapping[str, int], now: Mapping[str, int], more: Mapping[str, int]) -> None:
    """Forbidden when that is more than is allowed, of what there is now."""
    for what, asked in more.items():
        if limits.is_over(allowed[what], now[what], asked):
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
    limits.check_reader(project_id)
    with context.database() as connection:
        return jsonify({"quota_set": {"id": project_id, **_all(limits.of(connection, project_id))}})


def show_defaults(project_id: str) -> Response:
    """GET /os-quota-sets/PROJECT/defaults."""
    limits.check_reader(project_id)
    with context.database() as connection:
        return jsonify({"quota_set": {"id": project_id, **_all(limits.defaults(connection))}})


def show_detail(project_id: str) -> Response:
    """GET /os-quota-sets/PROJECT/detail: with what is used, and what is set apart for what Ganeti does not have yet."""
    limits.check_reader(project_id)
    with context.database() as connection:
        allowed = _all(limits.of(connection, project_id))
        now, apart = _with_reserved(connection, project_id, reserved.of(connection, project_id))
        in_use = {name: count - apart[name] for name, count in now.items()}
        in_use["server_groups"] = server_groups(connection, project_id)
        in_use |= _of_network(connection, project_id)
    shown = {
        name: {"limit": limit, "in_use": in_use.get(name, 0), "reserved": apart.get(name, 0)}
        for name, limit in allowed.items()
    }
    return jsonify({"quota_set": {"id": project_id, **shown}})


def _of_network(connection: Connection, project: str) -> dict[str, int]:
    group = db.security_group.c.project_id
    count = select(func.count()).select_from(db.security_group)
    rules = count.join(db.security_group_rule)
    return {
        "floating_ips": portquota.floating(connection, project),
        "security_groups": int(connection.execute(count.where(group == project)).scalar_one()),
        "security_group_rules": int(connection.execute(rules.where(group == project)).scalar_one()),
    }


def change(project_id: str) -> Response:
    """PUT /os-quota-sets/PROJECT, by an administrator: servers, cores and memory; the others are settings of all."""
    sent = schema.mapping(schema.body(), "quota_set")
    force = schema.flag(sent, "force", default=False)
    with context.database() as connection:
        limits.need_project(connection, project_id)
        values = _asked(sent, _all(limits.of(connection, project_id)))
        in_use = used(connection, project_id)
        for name, value in values.items():
            _check_used(name, value, in_use[name], force=force)
        limits.give(connection, project_id, {OWN[name]: value for name, value in values.items()})
        shown = _all(limits.of(connection, project_id))
    return jsonify({"quota_set": shown})


def reset(project_id: str) -> tuple[str, int]:
    """DELETE /os-quota-sets/PROJECT: back to the defaults."""
    limits.set_back(project_id, OWN.values())
    return "", 202


def class_routes(url: str, admin: str) -> tuple[tuple[str, str, Callable[..., Any], str], ...]:
    """`url`: where those of Compute begin; `admin`: who may call."""
    one = f"{url}/os-quota-class-sets/<class_name>"
    return (("GET", one, show_class, admin), ("PUT", one, change_class, admin))


def show_class(class_name: str) -> Response:
    """GET /os-quota-class-sets/NAME, by an administrator: there is one class, `default`, which all projects are in."""
    with context.database() as connection:
        return jsonify({"quota_class_set": {"id": class_name, **_all(limits.defaults(connection))}})


def change_class(class_name: str) -> Response:
    """PUT /os-quota-class-sets/default, by an administrator."""
    check_class(class_name)
    sent = schema.mapping(schema.body(), "quota_class_set")
    with context.database() as connection:
        values = _asked(sent, _all(limits.defaults(connection)))
        limits.give_all(connection, {OWN[name]: value for name, value in values.items()})
        return jsonify({"quota_class_set": _all(limits.defaults(connection))})


def check_class(name: str) -> None:
    """BadRequest for a class that no project is in."""
    if name != limits.CLASS:
        raise BadRequest(f"{name:.80}: all projects are of the class {limits.CLASS!r}, and there is no other")


def server_groups(connection: Connection, project: str) -> int:
    """How many server groups a project has."""
    query = select(func.count()).select_from(db.server_group).where(db.server_group.c.project_id == project)
    return int(connection.execute(query).scalar_one())


def _asked(sent: Mapping[str, Any], now: Mapping[str, int]) -> dict[str, int]:
    """New limits by name; BadRequest for what is not Compute's to change."""
    return limits.asked(sent, now, OWN, _refusal)


def _refusal(name: str) -> str:
    where = "set it by Network's quotas" if name in _SHOWN else "the front's configuration has it, [quota]"
    return f"is not Compute's to change: {where}"


def _check_used(name: str, value: int, in_use: int, *, force: bool) -> None:
    if not force and 0 <= value < in_use:
        raise BadRequest(f"Quota limit {value} for {name} must be greater than or equal to already used {in_use}.")


def _named(names: Mapping[str, str], found: Mapping[str, int]) -> dict[str, int]:
    return {name: found[ours] for name, ours in names.items()}


def _all(found: Mapping[str, int]) -> dict[str, int]:
    """Every key that microversions below 2.36 have."""
    quota = context.services().settings.quota
    return {
        "metadata_items": quota.metadata,
        "key_pairs": quota.keypairs,
        "server_groups": quota.server_groups,
        "server_group_members": quota.group_members,
        "injected_files": FILES,
        "injected_file_content_bytes": FILE_OCTETS,
        "injected_file_path_bytes": FILE_PATH,
        "fixed_ips": limits.UNLIMITED,
        **_named(_NAMES, found),
    }
