"""What projects may have of networks, and have (api-ref, "Quotas")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import Response, jsonify
from sqlalchemy import func, not_, or_, select
from sqlalchemy.engine import Connection

from frontend.database import db, turns
from frontend.network import addressquota, netrows, portquota, subnetplaces, tenantnet
from frontend.quota import limits
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, Forbidden

_OWN: Mapping[str, str] = {
    "network": "networks",
    "subnet": "subnets",
    "port": "ports",
    "floatingip": "floating_ips",
    "security_group": "security_groups",
    "security_group_rule": "security_group_rules",
}
_CIDR = {4: "subnet", 6: "subnet6"}  # of a network's row, by the version
_NONE = ("router", "subnetpool", "rbac_policy")  # there are none of these
_BESIDE = ("tenant_id", "project_id", "check_limit", "force")


class OverQuota(Conflict):
    pass


def of(connection: Connection, project: str) -> dict[str, int]:
    """Limits of a project, by Neutron's names; below 0: any number."""
    return _named(limits.of(connection, project, tuple(_OWN.values())))


def used(connection: Connection, project: str, names: Iterable[str] = tuple(_OWN)) -> dict[str, int]:
    """The same of what there is, of these."""
    return {name: _COUNTS[name](connection, project) for name in names}


def _networks(connection: Connection, project: str) -> int:
    """Those that Ganeti has, and those that have no subnet yet."""
    there = select(func.count()).select_from(db.network).where(netrows.is_own(project))
    own = db.tenant_network.c
    bare = (own.project_id == project, own.id.not_in(select(netrows.known_id()).where(netrows.is_own(project))))
    asked = select(func.count()).select_from(db.tenant_network).where(*bare)
    return sum(map(int, connection.execute(select(there.scalar_subquery(), asked.scalar_subquery())).one()))


def _subnets(connection: Connection, project: str) -> int:
    """Those that Ganeti has, and those that it was asked for."""
    column = db.network.c
    idents, asked = subnetplaces.of(connection, project)
    known = db.rows(
        connection, select(db.network).where(netrows.is_own(project), netrows.known_id().in_(sorted(idents)))
    )
    there = {(row["id"], version) for row in tenantnet.everybodys(known) for version, key in _CIDR.items() if row[key]}
    counted = [
        select(func.count()).select_from(db.network).where(netrows.is_own(project), *wanted).scalar_subquery()
        for wanted in ((column.subnet.is_not(None), not_(netrows.hides_ipv4())), (column.subnet6.is_not(None),))
    ]
    return len(asked - there) + sum(map(int, connection.execute(select(*counted)).one()))


def _groups(connection: Connection, project: str) -> int:
    groups = select(func.count()).select_from(db.security_group).where(db.security_group.c.project_id == project)
    return int(connection.execute(groups).scalar_one())


def _rules(connection: Connection, project: str) -> int:
    rules = select(func.count()).select_from(db.security_group_rule).join(db.security_group)
    return int(connection.execute(rules.where(db.security_group.c.project_id == project)).scalar_one())


_COUNTS: Mapping[str, Callable[[Connection, str], int]] = {
    "network": _networks,
    "subnet": _subnets,
    "port": portquota.used,
    "floatingip": portquota.floating,
    "security_group": _groups,
    "security_group_rule": _rules,
}


def check(connection: Connection, project: str, more: Mapping[str, int], public: int = 0) -> None:
    """OverQuota (409) when with so many more of these a project has more than it may, or with so many public addresses.

    Who then writes them in the same transaction is alone in that.
    """
    turns.take(connection, project)
    allowed, now = of(connection, project), used(connection, project, more)
    if public:
        _check_public(connection, project, public)
    over = [what for what, asked in more.items() if limits.is_over(allowed[what], now[what], asked)]
    if over:
        words = ", ".join(
            f"{what}: {now[what]} of {allowed[what]} are there, {more[what]} more were asked for" for what in over
        )
        raise OverQuota(f"Quota exceeded for resources: {over}. {words}.")


def is_over(connection: Connection, project: str, before: Mapping[str, int]) -> bool:
    """Whether a project has more than it may of what it has more of than `before`, which is by Neutron's names."""
    allowed, now = of(connection, project), used(connection, project, before)
    return any(limits.is_over(allowed[what], there, now[what] - there) for what, there in before.items())


def _check_public(connection: Connection, project: str, more: int) -> None:
    try:
        addressquota.check(connection, project, more)
    except Forbidden as err:
        raise OverQuota(str(err)) from err


def show(project_id: str) -> Response:
    """GET /quotas/PROJECT."""
    limits.check_reader(project_id)
    with context.database() as connection:
        return jsonify({"quota": _all(of(connection, project_id))})


def show_defaults(project_id: str) -> Response:
    """GET /quotas/PROJECT/default."""
    limits.check_reader(project_id)
    with context.database() as connection:
        return jsonify({"quota": _all(_named(limits.defaults(connection)))})


def show_details(project_id: str) -> Response:
    """GET /quotas/PROJECT/details: with what is used. Nothing is reserved: a row is there at once."""
    limits.check_reader(project_id)
    with context.database() as connection:
        allowed, now = _all(of(connection, project_id)), used(connection, project_id)
    shown = {name: {"limit": limit, "used": now.get(name, 0), "reserved": 0} for name, limit in allowed.items()}
    return jsonify({"quota": shown})


def list_all() -> Response:
    """GET /quotas, by an administrator: of the projects that were given others than the defaults."""
    own = or_(*(db.project.c[limits.COLUMNS[name]].is_not(None) for name in _OWN.values()))
    with context.database() as connection:
        found = connection.execute(select(db.project.c.id).where(own).order_by(db.project.c.name)).scalars().all()
        shown = [{**_all(of(connection, each)), "project_id": each, "tenant_id": each} for each in found]
    return jsonify({"quotas": shown})


def change(project_id: str) -> Response:
    """PUT /quotas/PROJECT, by an administrator; below what is used, too, unless `check_limit` says otherwise."""
    sent = schema.mapping(schema.body(), "quota")
    with context.database() as connection:
        limits.need_project(connection, project_id)
        values = _asked(sent, _all(of(connection, project_id)))
        if schema.flag(sent, "check_limit", default=False):
            _check_used(values, used(connection, project_id, values))
        limits.give(connection, project_id, {_OWN[name]: value for name, value in values.items()})
        shown = _all(of(connection, project_id))
    return jsonify({"quota": shown})


def reset(project_id: str) -> tuple[str, int]:
    """DELETE /quotas/PROJECT: back to the defaults."""
    limits.set_back(project_id, _OWN.values())
    return "", 204


def _asked(sent: Mapping[str, Any], now: Mapping[str, int]) -> dict[str, int]:
    """New limits by name; BadRequest for what has none."""
    found = {}
    for name in sent:
        if name in _BESIDE:
            continue
        if name not in now:
            raise BadRequest(f"{name}: is none of {', '.join(now)}")
        value = limits.number(sent, name)
        if name in _OWN:
            found[name] = value
        elif value != now[name]:
            raise BadRequest(f"{name}: there are none of these: its limit is {now[name]}")
    return found


def _check_used(wanted: Mapping[str, int], now: Mapping[str, int]) -> None:
    for name, value in wanted.items():
        if 0 <= value < now[name]:
            raise BadRequest(f"{name}: {value} is less than the {now[name]} that are used")


def _named(found: Mapping[str, int]) -> dict[str, int]:
    return {name: found[ours] for name, ours in _OWN.items()}


def _all(own: Mapping[str, int]) -> dict[str, int]:
    """Every key of Neutron's."""
    return {**own, **dict.fromkeys(_NONE, 0)}
