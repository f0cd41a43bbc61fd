"""image-adopt with the real image store: snapshots of volumes whose rows the database lost."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from frontend.database import db
from tests.contract.manage_site import ENVIRONMENT, Manage, site

IDENT = "7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c13"
FACTS = {"id": IDENT, "volume_id": "v", "name": "before", "description": None, "metadata": {"a": "b"}, "size": 3,
         "created": 7.0, "updated": 8.0, "project": "p-old", "project_name": "blue", "user": "u-old",
         "user_name": "nobody"}  # fmt: skip


@pytest.fixture
def manage() -> Iterator[Manage]:
    with site() as made:
        yield made


def test_a_snapshot_of_a_volume_is_made_known_again(manage: Manage) -> None:
    project = manage.ok("project-create", "blue").strip()
    (manage.folder / "store" / "volumes" / f"saved-{IDENT}.raw").write_bytes(bytes(4096))
    told = json.dumps({"version": 1, "snapshot": FACTS})
    argv = [str(manage.folder / "image-command"), "image", "facts", f"saved-{IDENT}", "--set"]
    done = subprocess.run(argv, input=told, text=True, check=False, capture_output=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert "adopted, a snapshot of volume v" in manage.ok("image-adopt")
    (row,) = manage.rows(db.volume_snapshot)
    wanted = {"id": IDENT, "name": "before", "metadata": {"a": "b"}, "size": 3, "created": 7.0, "status": "available",
              "project_id": project, "user_id": "u-old", "provider": "cow", "pool": None}  # fmt: skip
    assert {key: row[key] for key in wanted} == wanted
    assert manage.rows(db.image) == []
    assert len(manage.ok("image-adopt").splitlines()) == 1
