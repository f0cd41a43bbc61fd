"""The comparison with thousands of servers, and beside messages, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as sql
from sqlalchemy import update

from frontend.database import db
from frontend.reconcile import kinds
from frontend.update.mirror import Mirror
from ganeti_ext import event
from tests.unit.frontend.cluster import Both
from tests.unit.frontend.updates import instance, op

MANY = 1000


@pytest.fixture
def both(each_database: str, tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path, each_database)
    yield made
    made.engine.dispose()


def fleet(count: int) -> list[dict[str, Any]]:
    found = []
    for number in range(count):
        ip = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
        nic = {
            "nic.ips": [ip],
            "nic.macs": [f"aa:00:00:{number // 65536:02x}:{number // 256 % 256:02x}:{number % 256:02x}"],
        }
        found.append({**instance(f"gx-7a1f0a52-52b4-4f0d-9d39-{number:012x}"), **nic})
    return found


class Statements:
    """Counts what is sent to a database."""

    def __init__(self, both: Both) -> None:
        self.count = 0
        sql.listen(both.engine, "before_cursor_execute", self._one)

    def _one(self, *_: object) -> None:
        self.count += 1


def test_thousands_of_servers(both: Both) -> None:
    both.rapi.instances = fleet(MANY)
    statements = Statements(both)
    assert both.reconciler.run("start").mended == MANY
    made = statements.count
    assert both.reconciler.run("timer").found == {}
    same = statements.count - made
    with both.engine.begin() as connection:
        connection.execute(update(db.server).values(host="n9", status="SHUTOFF", power="SHUTOFF"))
    statements.count = 0
    assert both.reconciler.run("timer").found == {"host": MANY, "power": MANY}
    assert max(made, statements.count) < 60  # and not one for each row
    assert same < 30  # one for each table, and for what was used of each kind of thing


def test_beside_messages_about_the_same_servers(both: Both) -> None:
    """Whoever writes first: nothing waits for ever, nothing fails, and the end is as Ganeti has it."""
    both.rapi.instances = fleet(40)
    both.reconciler.run("start")
    names = [each["name"] for each in both.rapi.instances]
    mirror, stop, failures = Mirror(both.engine, "gx-"), threading.Event(), list[BaseException]()

    def compare() -> None:
        while not stop.is_set():
            try:
                both.reconciler.run("timer")
            except Exception as err:  # noqa: BLE001 (the test tells of it)
                failures.append(err)
                return

    thread = threading.Thread(target=compare)
    thread.start()
    number = 0
    for job, opcode in enumerate(("SHUTDOWN", "STARTUP") * 3, start=20):
        for batch in (names[::2], names[1::2]):
            number += 1
            bodies = [
                event.encode(op(opcode, "success", job=job, at=job, instance=name, seq=[1, 1000 * number + place]))
                for place, name in enumerate(batch)
            ]
            list(mirror.take_all(bodies))
    stop.set()
    thread.join(60)
    assert (thread.is_alive(), failures) == (False, [])
    both.reconciler.mend(both.found())
    assert {row["status"] for row in both.servers()} == {"ACTIVE"}
    assert [each for each in both.found() if each.kind in kinds.MENDABLE] == []
