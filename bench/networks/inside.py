"""The worker in the root that fills the front's databases, and the floor's with the same. It answers bench.remote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from bench.api import population as accounts
from bench.api.inside import HASH, issue
from bench.networks import floor, population
from bench.remote import answer
from frontend import settings
from frontend.database import db
from frontend.network import netrows, netview, portview

_MOST = 1_000_000


def fill(conf: str, size: tuple[int, int]) -> None:
    """Make the tables, and put in so many networks and ports."""
    networks, ports = size
    engine = db.connect(settings.read(conf).front.database)
    nets = population.nets(networks)
    projects, users, memberships = zip(*(accounts.account(name, HASH) for name in population.PROJECTS), strict=True)
    limits = dict.fromkeys(("max_networks", "max_ports"), _MOST)  # so that they are counted
    mirrored, own = zip(*population.networks(nets), strict=True)
    with engine.begin() as connection:
        connection.execute(db.project.insert(), [{**row, **limits} for row in projects])
        connection.execute(db.user.insert(), list(users))
        connection.execute(db.membership.insert(), list(memberships))
        connection.execute(db.node.insert(), accounts.nodes())
        connection.execute(db.network.insert(), list(mirrored))
        connection.execute(db.tenant_network.insert(), list(own))
        connection.execute(db.server.insert(), list(population.servers(nets, ports)))
        connection.execute(db.port.insert(), list(population.made(nets, ports)))
        floor.metadata.create_all(connection)
        for name in population.PROJECTS:
            for kind, rows in _shown(connection, accounts.ident("project", name)).items():
                connection.execute(floor.TABLES[kind].insert(), rows)
        if engine.dialect.name == "postgresql":  # as it does by itself a minute later
            connection.exec_driver_sql("ANALYZE")
    engine.dispose()


def _shown(connection: Connection, project: str) -> Mapping[str, list[dict[str, Any]]]:
    """A project's networks and ports as the front shows them."""
    known = netrows.visible(connection, project)
    servers = db.rows(connection, select(db.server).where(db.server.c.project_id == project))
    made = db.rows(connection, select(db.port).where(db.port.c.project_id == project))
    ports = portview.every(known, servers, {row["id"]: row for row in made})
    return {"networks": [netview.network(row) for row in known], "ports": list(_with_address(ports))}


def _with_address(ports: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for port in ports:
        yield {**port, "address": next((fixed["ip_address"] for fixed in port["fixed_ips"]), None)}


if __name__ == "__main__":
    answer(fill, issue)
