"""ganeti-ext-manage usage-storage: what a node has measured, by project."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert

from frontend.database import db
from frontend.update import reading
from frontend.volume import volumestate
from tests.contract.manage_site import Manage

MIB = 1 << 20
VOLUME, SNAPSHOT = "0aaa0000-0000-4000-8000-00000000000a", "0bbb0000-0000-4000-8000-00000000000b"
IMAGE, PUBLIC = "0ccc0000-0000-4000-8000-00000000000c", "0ddd0000-0000-4000-8000-00000000000d"
SERVER = "gx-0eee0000-0000-4000-8000-00000000000e"


def measured(name: str, kind: str, size: int, exclusive: int | None = 1, **more: Any) -> str:
    told = {"name": name, "kind": kind, "provider": "cow", "pool": "", "store": "cow", "origin": None,
            "logical": size * MIB, "physical": 2 * MIB, "exclusive": exclusive and exclusive * MIB,
            "instance": None, "disk": None, **more}  # fmt: skip
    return json.dumps(told)


LINES = (
    measured("0-1.ext.disk0", "volume", 5120, instance=SERVER, disk=f"{SERVER}-root"),
    measured("0-2.ext.disk1", "volume", 4, instance=SERVER, disk=f"{SERVER}-seed"),
    measured("0-3.ext.disk0", "volume", 1024, instance=SERVER, disk=f"vol-{VOLUME}"),
    measured(f"saved-{SNAPSHOT}", "snapshot", 1024, exclusive=None),
    measured(f"saved-{IMAGE}", "snapshot", 5120),
    measured(PUBLIC, "image", 2048),
    measured("0-4.ext.disk0", "volume", 7),
)


@pytest.fixture
def manage(tmp_path: Path) -> Manage:
    """Two projects; `mine` has a server, a volume of which a snapshot is `other`'s, and an image."""
    made = Manage(tmp_path)
    for name in ("mine", "other"):
        made.ok("project-create", name)
    ids = {row["name"]: row["id"] for row in made.rows(db.project)}
    now = time.time()
    server = reading.new_row(SERVER.removeprefix("gx-"), SERVER, {"project": ids["mine"]}, {}, now)
    volume = {**volumestate.new_row(VOLUME, f"gx-vol-{VOLUME}", {}, now), "project_id": ids["mine"], "user_id": "u",
              "name": "v", "type": "cow", "size": 1, "status": "in-use"}  # fmt: skip
    snapshot = {"id": SNAPSHOT, "volume_id": VOLUME, "project_id": ids["other"], "user_id": "u", "name": "s", "size": 1,
                "status": "available", "provider": "cow", "created": now, "updated": now}  # fmt: skip
    image = {"visibility": "private", "size": 1, "sha256": "", "min_disk": 1, "min_ram": 0, "created": now,
             "properties": {}}  # fmt: skip
    engine = create_engine(f"sqlite:///{tmp_path}/front.db")
    with engine.begin() as connection:
        connection.execute(insert(db.server).values(server))
        connection.execute(insert(db.volume).values(volume))
        connection.execute(insert(db.volume_snapshot).values(snapshot))
        connection.execute(insert(db.image).values(id=IMAGE, name="i", owner_id=ids["mine"], **image))
        connection.execute(insert(db.image).values(id=PUBLIC, name="p", **image))
    engine.dispose()
    return made


def test_by_project_and_kind(manage: Manage) -> None:
    text = manage.ok("usage-storage", "--from", "-", "--format", "csv", stdin="\n".join(LINES))
    rows = list(csv.DictReader(io.StringIO(text)))
    shown = [(row["project"], row["kind"], *(int(row[key] or -1) // MIB if key != "count" else int(row[key])
              for key in ("count", "logical", "physical", "exclusive"))) for row in rows]  # fmt: skip
    assert sorted(shown) == [
        ("", "image", 1, 2048, 2, 1),
        ("", "server", 1, 7, 2, 1),
        ("mine", "image", 1, 5120, 2, 1),
        ("mine", "server", 2, 5124, 4, 2),
        ("mine", "volume", 1, 1024, 2, 1),
        ("other", "snapshot", 1, 1024, 2, -1),
    ]


def test_of_one_project_as_json_and_for_people(manage: Manage) -> None:
    file = manage.folder / "measured"
    file.write_text("\n".join(LINES))
    where = ("usage-storage", "--from", str(file), "--project", "other")
    (row,) = json.loads(manage.ok(*where, "--format", "json"))
    assert (row["project"], row["kind"], row["logical"], row["exclusive"]) == ("other", "snapshot", 1024 * MIB, None)
    assert manage.ok(*where).splitlines() == [
        "PROJECT  KIND      COUNT  LOGICAL  PHYSICAL  EXCLUSIVE",
        "other    snapshot  1      1.0G     2.0M      -",
    ]


def test_what_is_refused(manage: Manage) -> None:
    assert "line 2: 'nonsense' is not of" in manage.refused(
        "usage-storage", "--from", "-", stdin=f"{LINES[0]}\nnonsense"
    )
    assert "there is none of that name" in manage.refused("usage-storage", "--from", "-", "--project", "no", stdin="")
    assert "No such file" in manage.refused("usage-storage", "--from", "/nonexistent")


def test_this_machine_measures_itself(manage: Manage) -> None:
    (manage.folder / f"store/images/{PUBLIC}.raw").write_bytes(b"x" * MIB)
    (manage.folder / f"store/volumes/saved-{IMAGE}.raw").write_bytes(bytes(2 * MIB))
    rows = json.loads(manage.ok("usage-storage", "--format", "json"))
    found = [(row["project"], row["kind"], row["count"], row["logical"]) for row in rows]
    assert found == [("", "image", 1, MIB), ("mine", "image", 1, 2 * MIB)]
    (manage.folder / "image-command").write_text("#!/bin/sh\necho no store >&2\nexit 1\n")
    assert "exit code 1: no store" in manage.refused("usage-storage")
