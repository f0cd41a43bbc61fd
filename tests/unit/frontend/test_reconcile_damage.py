"""Whatever befalls the database: mended, it is as one that is made anew from Ganeti alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.reconcile import kinds
from ganeti_ext import tags
from tests.unit.frontend import updates
from tests.unit.frontend.cluster import Both, network
from tests.unit.frontend.updates import instance

Rows = list[dict[str, Any]]

# Bookkeeping of messages and what a comparison has no word about.
_OWN = ("updated", "clocks", "job", "job_order", "progress")
_WRONG: dict[str, list[Any]] = {
    "project_id": ["nobody"],
    "user_id": ["nobody", ""],
    "name": ["", "wrong"],
    "flavor_id": ["", "f9"],
    "image_id": ["i9"],
    "vcpus": [0, 99],
    "ram": [0, 99],
    "disk": [0, 99],
    "status": ["BUILD", "ACTIVE", "SHUTOFF", "ERROR", "UNKNOWN", "?"],
    "task": ["spawning", "deleting", "powering-off"],
    "job": [None, 5, 99],
    "host": [None, "n9"],
    "nics": [[], ["?"], [{}], {}, [{**updates.SHOWN_NIC, "ip": "10.9.9.9"}]],
    "created": [0.0, 5e9],
    "updated": [0.0, 5e9],
    "deleted": [1.0],
    "power": [None, "ACTIVE", "SHUTOFF", "UNKNOWN"],
    "metadata": [{"a": "b"}, {"role": 1}],
    "facts": [{}, {"locked": "1"}, {"key": 5}],
    "wished": [None, {"facts": {"jobs": [5], "held": None, "floor": None}}],
    "instance": ["somebody-else", "gx-nothing"],
    "id": ["7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9fff", "x"],
}
_NETWORK_WRONG: dict[str, list[Any]] = {
    "id": ["u-x"],
    "name": ["other"],
    "subnet": [None, "192.0.2.0/24"],
    "gateway6": ["2001:db8::9"],
    "tags": [[], ["what"]],
}


def fleet(dice: random.Random) -> Rows:
    """Instances as the front and as administrators make them, in all states."""
    found = []
    for number in range(dice.randint(0, 6)):
        ident = f"7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c{number:02d}"
        facts = {**updates.FACTS, "server": ident, "created": f"{1_690_000_000 + number}.5", "name": f"größe {number}"}
        meta = {"role": f"r{number}"} if dice.random() < 0.5 else {}
        name, said = f"gx-{ident}", [*tags.encode(facts), *tags.encode_metadata(meta)]
        if dice.random() < 0.3:
            name, said = f"web{number}", tags.encode({"project": updates.PROJECT})
        elif dice.random() < 0.2:
            name = f"renamed-{number}"
        at = {"nic.ips": [f"10.0.0.{number + 2}"], "nic.macs": [f"aa:00:00:00:00:{number:02x}"]}
        made = instance(name, dice.choice([True, False, None]), tags=said, pnode=dice.choice(["n1", "n2"]))
        found.append({**made, **at})
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    made = Both(tmp_path_factory.mktemp("damage"))
    yield made
    made.engine.dispose()


def clear(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in (db.server, db.network, db.comparison):
            connection.execute(delete(table))


def settle(both: Both) -> None:
    """As the consumer does: until nothing differs that it can mend."""
    for _ in range(4):
        found = [each for each in both.found() if each.kind in kinds.MENDABLE]
        if not found:
            return
        both.reconciler.mend(found)
    raise AssertionError(f"still differs: {[str(each) for each in found]}")


def view(engine: Engine) -> tuple[Rows, Rows]:
    """What tenants can see."""
    with engine.connect() as connection:
        servers = db.rows(connection, select(db.server).where(db.server.c.deleted.is_(None)).order_by(db.server.c.id))
        networks = db.rows(connection, select(db.network).order_by(db.network.c.id))
    for row in (*servers, *networks):
        for column in (*_OWN, "read_order"):
            row.pop(column, None)
    return servers, networks


def lose(engine: Engine, dice: random.Random) -> None:
    table = dice.choice([db.server, db.network])
    with engine.begin() as connection:
        ids = connection.execute(select(table.c.id)).scalars().all()
        connection.execute(delete(table).where(table.c.id.in_(dice.sample(ids, dice.randint(0, len(ids))))))


def scramble(engine: Engine, dice: random.Random) -> None:
    table, wrong = dice.choice([(db.server, _WRONG), (db.network, _NETWORK_WRONG)])
    with engine.begin() as connection:
        rows = db.rows(connection, select(table))
        if not rows:
            return
        row, column = dice.choice(rows), dice.choice(list(wrong))
        value = dice.choice(wrong[column])
        unique = {"id", "instance" if table is db.server else "name"}
        if column in unique and value in [each[column] for each in rows]:
            return
        connection.execute(update(table).where(table.c.id == row["id"]).values({column: value}))


def exchange(engine: Engine, dice: random.Random) -> None:
    """Two servers' instances."""
    with engine.begin() as connection:
        rows = db.rows(connection, select(db.server))
        if len(rows) > 1:
            first, second = dice.sample(rows, 2)
            for ident, name in (
                (first["id"], "-"),
                (second["id"], first["instance"]),
                (first["id"], second["instance"]),
            ):
                connection.execute(update(db.server).where(db.server.c.id == ident).values(instance=name))


def double(engine: Engine, dice: random.Random) -> None:
    """A row once more: with another id it has the instance, or it is of an instance that there is not."""
    with engine.begin() as connection:
        rows = db.rows(connection, select(db.server))
        if rows:
            row, other = dice.choice(rows), f"copy-{len(rows)}-{dice.random()}"
            copy = {**row, "id": f"id-{other}"[:36], "instance": other}
            if dice.random() < 0.5:
                connection.execute(update(db.server).where(db.server.c.id == row["id"]).values(instance=other))
                copy["instance"] = row["instance"]
            connection.execute(insert(db.server).values(copy))


DAMAGES: tuple[Callable[[Engine, random.Random], None], ...] = (lose, scramble, scramble, scramble, exchange, double)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False), st.integers(min_value=1, max_value=12))
def test_damage_is_mended_to_what_a_new_database_would_hold(both: Both, dice: random.Random, damages: int) -> None:
    clear(both.engine)
    both.rapi.instances, both.rapi.networks = fleet(dice), [network(), network(uuid="u-2", name="red", map="")]
    settle(both)
    fresh = view(both.engine)
    assert len(fresh[0]) == len(both.rapi.instances)
    for _ in range(damages):
        dice.choice(DAMAGES)(both.engine, dice)
    settle(both)
    assert view(both.engine) == fresh
