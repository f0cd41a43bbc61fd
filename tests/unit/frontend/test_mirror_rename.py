"""A network that is renamed in Ganeti is called so in its servers, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from frontend.database import db
from frontend.update.mirror import Mirror
from ganeti_ext import event
from tests.unit.frontend import updates
from tests.unit.frontend.updates import NIC, SHOWN_NIC, network, network_data, op

OTHER = "8b2f0a52-52b4-4f0d-9d39-0a0b7c4f9c12"


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    engine = db.connect(f"sqlite:///{tmp_path}/front.db")
    with engine.begin() as connection:
        connection.execute(insert(db.server).values(updates.row(nics=[SHOWN_NIC, {**SHOWN_NIC, "network": "red"}])))
        row = updates.row(id=OTHER, instance=f"gx-{OTHER}", nics=[{**SHOWN_NIC, "network": "red"}])
        connection.execute(insert(db.server).values(row))
    return Mirror(engine, "gx-")


def nics(mirror: Mirror) -> dict[str, list[Any]]:
    with mirror._engine.connect() as connection:
        rows = db.rows(connection, select(db.server))
    return {row["id"]: [nic["network"] for nic in row["nics"]] for row in rows}


def told(*messages: dict[str, Any]) -> list[str]:
    return [event.encode({**message, "seq": [1, number]}) for number, message in enumerate(messages, 1)]


def added() -> dict[str, Any]:
    return {**network("ADD", "success", 1), **network_data(1)}


def renamed() -> dict[str, Any]:
    return {**network("RENAME", "success", 5, job=15), "result": "green", **network_data(5, name="green")}


def test_its_servers_know_it_by_the_new_name(mirror: Mirror) -> None:
    assert sum(mirror.take_all(told(added(), renamed()))) == 2
    assert nics(mirror) == {updates.IDENT: ["green", "red"], OTHER: ["red"]}


def test_what_the_same_transaction_has_said_of_them_stays(mirror: Mirror) -> None:
    """It was read before, by the old name."""
    mirror.take(told(added())[0])
    reading = {**updates.read(True, 3), "instance_nics": [{**NIC, "ip": "10.0.0.9"}]}
    moved = op("SET_PARAMS", "success", job=14, at=3, **reading)
    bodies = told(added(), moved, renamed())[1:]
    assert sum(mirror.take_all(bodies)) == 2
    with mirror._engine.connect() as connection:
        row = db.row(connection, select(db.server).where(db.server.c.id == updates.IDENT))
    assert row is not None
    assert [(nic["network"], nic["ip"]) for nic in row["nics"]] == [("green", "10.0.0.9")]
