"""The comparison of volumes with their holders and with servers' disks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from frontend.database import db
from frontend.volume import volumestate
from ganeti_ext import tags
from tests.unit.frontend import updates
from tests.unit.frontend.cluster import Both, job, running
from tests.unit.frontend.updates import IDENT, NAME, PROJECT, USER, instance

KEY = "0dd00000-0000-4000-8000-000000000001"
HOLDER = f"gx-vol-{KEY}"
FACTS = {"volume": KEY, "project": PROJECT, "user": USER, "name": "data", "type": "cow", "bootable": "1"}


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path)
    yield made
    made.engine.dispose()


def disk(*names: str | None, size: int = 2048) -> dict[str, Any]:
    uuids = [f"d{number}" for number, _ in enumerate(names, 1)]
    return {"disk.names": list(names), "disk.uuids": uuids, "disk.sizes": [size for _ in names]}


def holder(*names: str, **fields: Any) -> dict[str, Any]:
    columns = ("networks", "networks.names", "ips", "macs", "uuids", "names")
    nics: dict[str, list[Any]] = {f"nic.{name}": [] for name in columns}
    return instance(HOLDER, running=False, tags=tags.encode(FACTS), **disk(*names), **nics, **fields)


def add(both: Both, **changes: Any) -> dict[str, Any]:
    row = {**volumestate.new_row(KEY, HOLDER, FACTS, updates.BEGIN - 1000.0), "size": 2, "held": True, "host": "n1"}
    row.update(changes)
    row["status"] = volumestate.status(row)
    with both.engine.begin() as connection:
        connection.execute(insert(db.volume).values(row))
    return row


def found(both: Both) -> dict[str, Any]:
    with both.engine.connect() as connection:
        row = db.row(connection, select(db.volume).where(db.volume.c.id == KEY))
    assert row is not None
    return row


def test_nothing_differs(both: Both) -> None:
    add(both)
    both.rapi.instances = [holder(f"vol-{KEY}")]
    assert both.found() == []
    assert both.servers() == []


def test_a_new_database_has_it_and_who_has_it(both: Both) -> None:
    both.rapi.instances = [instance(**disk(None, f"vol-{KEY}")), holder()]
    both.add(**running(disk=2))
    both.rapi.instances[0]["disk.sizes"] = [3072, 4096]
    both.mended()
    row = found(both)
    assert (row["status"], row["server_id"], row["device"], row["size"]) == ("in-use", IDENT, "/dev/vdb", 4)
    assert (row["project_id"], row["user_id"], row["name"], row["type"]) == (PROJECT, USER, "data", "cow")
    assert row["facts"] == {"bootable": "1"}
    assert [each["instance"] for each in both.servers()] == [NAME]  # a holder is no server
    assert both.server()["disk"] == 3


def test_it_was_detached_by_hand(both: Both) -> None:
    both.add(**running(disk=2, disks=[{"name": None, "uuid": "d1", "size": 2048}]))
    add(both, server_id=IDENT, device="/dev/vdb", attached=1.0, held=False)
    both.rapi.instances = [instance(**disk(None)), holder(f"vol-{KEY}")]
    both.mended()
    assert (found(both)["status"], found(both)["server_id"]) == ("available", None)


def test_its_disk_is_nowhere(both: Both) -> None:
    add(both)
    both.rapi.instances = [holder()]
    found_ = both.found()
    assert [each.kind for each in found_] == ["volume", "volume-lost"]
    assert found_[1].advice == f"gnt-instance modify --disk 0:attach,name=vol-{KEY} {HOLDER}"
    both.reconciler.mend(found_)
    assert (found(both)["status"], volumestate.fault(found(both))) == ("error", volumestate.LOST)
    assert [each.kind for each in both.found()] == ["volume-lost"]
    both.reconciler.run("timer")
    both.reconciler.run("timer")
    with both.engine.connect() as connection:
        promised = connection.execute(select(db.owed.c.what, db.owed.c.server_id)).all()
    assert [tuple(each) for each in promised] == [("give", KEY)]


def test_its_holder_is_gone(both: Both) -> None:
    add(both)
    assert both.mended() == [f"volume-stale: volume {HOLDER}: Ganeti has no such instance"]
    assert found(both)["deleted"] is not None


def test_its_holder_is_gone_and_a_server_has_it(both: Both) -> None:
    both.add(**running(disks=[{"name": f"vol-{KEY}", "uuid": "d1", "size": 2048}], disk=0))
    add(both, server_id=IDENT, device="/dev/vda", attached=1.0, held=False)
    both.rapi.instances = [instance(**disk(f"vol-{KEY}"))]
    assert [each.kind for each in both.found()] == ["volume-orphan"]
    assert found(both)["status"] == "in-use"


def test_it_is_deleted_and_still_there(both: Both) -> None:
    add(both, deleted=1.0)
    both.rapi.instances = [holder(f"vol-{KEY}")]
    both.mended()
    assert (found(both)["deleted"], found(both)["status"]) == (None, "available")


def test_a_task_whose_job_is_over_is_cleared_and_another_is_left(both: Both) -> None:
    add(both, task="extending", job=12)
    both.rapi.instances = [holder(f"vol-{KEY}")]
    both.rapi.jobs = [job("running", "GROW_DISK", number=12)]
    seen = both.reconciler.compare()
    assert (seen.found, [row["id"] for row in seen.busy]) == ([], [KEY])
    both.rapi.jobs = [job("error", "GROW_DISK", number=12)]
    both.mended()
    assert (found(both)["task"], found(both)["status"]) == (None, "available")


def test_it_was_never_made(both: Both) -> None:
    add(both, held=None, task="creating", job=12)
    both.rapi.jobs = [job("error", number=12)]
    both.mended()
    assert (found(both)["status"], found(both)["fault"]) == ("error", "Ganeti has made nothing of it")


def test_a_holder_without_an_owner_is_only_told_of(both: Both) -> None:
    made = holder(f"vol-{KEY}")
    both.rapi.instances = [{**made, "tags": []}]
    (each,) = both.found()
    assert (each.kind, each.after) == ("volume-orphan", None)


@pytest.mark.parametrize("task", [None, "awaiting-transfer"])
@pytest.mark.parametrize("offered", [True, False])
def test_the_mark_of_a_transfer_follows_the_transfer(both: Both, task: str | None, offered: bool) -> None:
    add(both, task=task)
    both.rapi.instances = [holder(f"vol-{KEY}")]
    if offered:
        transfer = {"id": "t", "volume_id": KEY, "project_id": PROJECT, "name": "", "key_hash": "x", "created": 1.0}
        with both.engine.begin() as connection:
            connection.execute(insert(db.volume_transfer).values(transfer))
    both.mended()
    assert found(both)["status"] == ("awaiting-transfer" if offered else "available")
    assert both.found() == []
