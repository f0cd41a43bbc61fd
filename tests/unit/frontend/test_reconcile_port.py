"""Ports of a database that has lost them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from frontend.database import db
from frontend.network import porttag
from tests.unit.frontend import updates
from tests.unit.frontend.cluster import Both, network
from tests.unit.frontend.updates import MAC, PROJECT, instance

PORT = "0ccccccc-1111-4000-8000-000000000001"
APART = "10.0.0.0, 10.0.0.1, 10.0.0.2, 10.0.0.7"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path)
    yield made
    made.engine.dispose()


def rows(both: Both) -> list[dict[str, Any]]:
    with both.engine.connect() as connection:
        return db.rows(connection, select(db.port))


def named(*more: str) -> dict[str, Any]:
    made = instance()
    return {**made, "nic.names": [f"port-{PORT}"], "tags": [*made["tags"], *more]}


def test_a_port_that_a_server_has_is_made_again(both: Both) -> None:
    tags = porttag.wanted(f"port-{PORT}", {"pairs": ["10.8.0.0/16"]})
    both.rapi.instances, both.rapi.networks = [named(*tags)], [network(external_reservations=APART)]
    assert (
        f"port-missing: port {updates.NAME}: the database has no port {PORT}, whose address 10.0.0.2 is set apart"
        in (both.mended())
    )
    (row,) = rows(both)
    assert (row["id"], row["project_id"], row["network"]) == (PORT, PROJECT, "u-blue")
    assert (row["address"], row["mac"], row["facts"]) == ("10.0.0.2", MAC, {"pairs": ["10.8.0.0/16"]})


def test_port_security_is_told_by_the_tags(both: Both) -> None:
    tags = porttag.wanted(f"port-{PORT}", {"open": True})
    both.rapi.instances, both.rapi.networks = [named(*tags)], [network(external_reservations=APART)]
    both.mended()
    assert rows(both)[0]["facts"] == {"open": True}


@pytest.mark.parametrize(
    ("fields", "apart"),
    [({}, "10.0.0.0, 10.0.0.1, 10.0.0.7"), ({"nic.names": ["eth0"]}, APART), ({"tags": []}, APART)],
)
def test_a_nic_of_another_kind_is_none(both: Both, fields: dict[str, Any], apart: str) -> None:
    """One that was attached to a server that there was; one of an administrator's; one that is nobody's."""
    both.rapi.instances = [{**named(), **fields}]
    both.rapi.networks = [network(external_reservations=apart)]
    both.reconciler.mend(both.found())
    assert rows(both) == []
