"""A project's ports, by their ids: the NICs of its servers, and those that no server has.

A page reads no others' rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, not_, null, or_, select, union_all
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import ColumnElement, Select

from frontend.database import db
from frontend.network import netrows, nicrows, pages, portstore, portview

Row = Mapping[str, Any]

_ADDRESS = "ip_address="


class Wanted(NamedTuple):
    """What the ports are to have, one of each; None: whatever. Where the database cannot tell, it lets a port pass."""

    ids: Sequence[str] | None = None
    devices: Sequence[str] | None = None
    networks: Sequence[str] | None = None
    macs: Sequence[str] | None = None
    names: Sequence[str] | None = None
    fixed: Sequence[str] = ()
    """As portview.has_fixed."""


def shown(project: str, wanted: Wanted, marker: str | None = None, first: int = pages.MOST) -> Iterator[dict[str, Any]]:
    """Those behind the marker as Network shows them; `first` as in pages.walk."""

    def places(connection: Connection) -> Select[Any]:
        return _places(connection, project, wanted)

    def read(connection: Connection, found: Sequence[Any]) -> list[dict[str, Any]]:
        return _read(connection, project, found, is_filtered=any(wanted._replace(ids=None)))

    return pages.walk(places, read, marker, first)


def has(project: str, ident: str) -> bool:
    """Whether a port of the project's has this id."""
    return any(True for _ in shown(project, Wanted(ids=[ident]), first=1))


def _read(connection: Connection, project: str, found: Sequence[Any], *, is_filtered: bool) -> list[dict[str, Any]]:
    """What is shown of these (id, server); not those in networks that the project may not use.

    Nor, where others were left out, those whose NIC was: it is not what their row says.
    """
    places = {row.id: number for number, row in enumerate(found)}
    free = [row.id for row in found if row.server is None]
    if is_filtered and free:
        nic = nicrows.of(connection, db.server.c.project_id == project, nicrows.may_have(free)).c
        for ident in connection.execute(select(nic.port).where(nic.port.in_(free))).scalars():
            places.pop(ident, None)
    column = db.server.c
    query = select(column.id, column.cluster, column.project_id, column.nics, column.status, column.facts)
    query = query.add_columns(column.created, column.updated)
    servers = db.rows(connection, query.where(column.id.in_(sorted({row.server for row in found if row.server}))))
    made = portstore.of_project(connection, project, places)
    names = {nic["network"] for server in servers for nic in server["nics"] if nic.get("network")}
    networks = netrows.visible(connection, project, {row["network"] for row in made.values() if row["network"]}, names)
    ports = portview.every(networks, servers, made, only=places)
    return sorted(ports, key=lambda port: places[port["id"]])


def _places(connection: Connection, project: str, wanted: Wanted) -> Select[Any]:
    """Id and server (null: none) of each, by id."""
    names = None
    if wanted.networks is not None:
        names = {row["known_as"] for row in netrows.visible(connection, project, wanted.networks)}
    mine = db.server.c.project_id == project
    nic = nicrows.of(connection, mine, *_of_servers(wanted, names)).c
    there = select(nic.port.label("id"), nic.server).where(
        nic.port.is_not(None), *_of_nics(nic, project, wanted, names)
    )
    if wanted.devices is not None:
        each = there.subquery().c
        return select(each.id, each.server).order_by(each.id)
    port = db.port.c
    kept = (port.project_id == project, port.network.is_not(None), not_(portstore.is_floating()))
    made = select(port.id, null().label("server")).where(*kept, *_of_made(wanted))
    each = union_all(there, made).subquery().c
    # Those that a server has come twice, and once without it.
    return select(each.id, func.max(each.server).label("server")).group_by(each.id).order_by(each.id)


def _of_servers(wanted: Wanted, names: Collection[str] | None) -> Iterator[ColumnElement[bool]]:
    """What the server of such a NIC has, so that others' are not looked into."""
    if wanted.devices is not None:
        yield db.server.c.id.in_(wanted.devices)
    for some in (wanted.ids, names, wanted.macs, _addresses(wanted) or None):
        if some is not None:
            yield nicrows.may_have(some)


def _of_nics(nic: Any, project: str, wanted: Wanted, names: Collection[str] | None) -> Iterator[ColumnElement[bool]]:
    if wanted.ids is not None:
        yield nic.port.in_(wanted.ids)
    if names is not None:
        yield nic.network.in_(sorted(names))
    if wanted.macs is not None:
        yield nic.mac.in_(wanted.macs)
    for address in _addresses(wanted):
        yield or_(nic.ip == address, nic.ip6 == address)
    if (said := _named(wanted)) is not None:
        yield nic.port.in_(select(db.port.c.id).where(db.port.c.project_id == project, said))


def _of_made(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    port = db.port.c
    for column, some in ((port.id, wanted.ids), (port.network, wanted.networks), (port.mac, wanted.macs)):
        if some is not None:
            yield column.in_(some)
    for address in _addresses(wanted):
        if ":" not in address:  # one of IPv6 follows from the MAC, and is in no column
            yield port.address == address
    if (said := _named(wanted)) is not None:
        yield said


def _addresses(wanted: Wanted) -> list[str]:
    """Whole ones that a port is to have all of; it has two at most."""
    return [each.removeprefix(_ADDRESS) for each in wanted.fixed if each.startswith(_ADDRESS)][:2]


def _named(wanted: Wanted) -> ColumnElement[bool] | None:
    """That a port's row says one of the names."""
    return None if wanted.names is None else nicrows.seems_to_have(db.port.c.facts, wanted.names)
