"""What is known of images and of snapshots of volumes is written down beside them, and makes a lost database again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.image.imageadopt import Adopted, Adopter, Default
from frontend.image.imageprocess import Store
from frontend.image.importer import Importer
from tests.unit.frontend.conftest import ALICE, FOREIGN, MINE
from tests.unit.frontend.images import IMAGES, Site, patch, site
from tests.unit.frontend.storage import BLOCK, volume
from tests.unit.frontend.volumes import ident as volume_id
from tests.unit.frontend.volumes import snapshot

__all__ = ["site"]

IMAGE = "0aaaaaaa-0000-4000-8000-00000000000f"


def work(site: Site) -> None:
    importer = Importer(site.nobody.engine, site.settings)
    importer.tick()
    importer.wait()


def stored(site: Site, number: int = 1, **columns: Any) -> str:
    """A snapshot of a volume, which the store has."""
    ident = snapshot(site.nobody, volume_id(1), number, **columns)
    (site.store / f"saved-{ident}.raw").write_bytes(b"content")
    return ident


def facts(site: Site, ident: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((site.store / f"saved-{ident}.json").read_text())
    return found


def from_volume(site: Site, ident: str) -> str:
    """The image of a server whose first disk is a volume."""
    mapping = json.dumps([{"snapshot_id": ident, "boot_index": 0}])
    properties = {"image_type": "snapshot", "block_device_mapping": mapping}
    return site.put(IMAGE, name="of a server", size=0, properties=properties, origin=f"snapshot:saved-{ident}")


def calls(site: Site) -> int:
    path = site.store / "calls"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_snapshot_is_written_down_beside_it_once_it_is_there_and_when_it_changes(site: Site) -> None:
    volume(site.nobody, volume_id(1))
    ident = stored(site, name="before", description="the update", metadata={"a": "b"}, status="creating")
    work(site)
    assert not (site.store / f"saved-{ident}.json").exists()
    with site.nobody.engine.begin() as connection:
        connection.execute(update(db.volume_snapshot).values(status="available", updated=5.0))
    work(site)
    wanted = {"id": ident, "volume_id": volume_id(1), "name": "before", "description": "the update",
              "metadata": {"a": "b"}, "size": 2, "created": 1.0, "updated": 5.0, "project": MINE,
              "project_name": "mine", "user": ALICE, "user_name": "alice"}  # fmt: skip
    assert facts(site, ident) == {"version": 1, "snapshot": wanted}
    before = calls(site)
    work(site)
    assert calls(site) == before, "once"
    path = f"{BLOCK}/snapshots/{ident}"
    assert site.alice.call("PUT", path, json={"snapshot": {"name": "after"}}).status_code == 200
    work(site)
    assert facts(site, ident)["snapshot"]["name"] == "after"
    assert site.alice.call("PUT", f"{path}/metadata", json={"metadata": {"c": "d"}}).status_code == 200
    work(site)
    assert facts(site, ident)["snapshot"]["metadata"] == {"c": "d"}


def test_an_image_that_is_a_snapshot_stands_beside_it_as_long_as_it_is_there(site: Site) -> None:
    ident = stored(site)
    from_volume(site, ident)
    work(site)
    found = facts(site, ident)
    assert (found["id"], found["name"], found["snapshot"]["id"]) == (IMAGE, "of a server", ident)
    assert patch(site.alice, IMAGE, {"op": "replace", "path": "/name", "value": "renamed"}).status_code == 200
    work(site)
    found = facts(site, ident)
    assert (found["name"], found["snapshot"]["id"]) == ("renamed", ident)
    assert site.alice.call("DELETE", f"{IMAGES}/{IMAGE}").status_code == 204
    work(site)
    assert facts(site, ident).keys() == {"version", "snapshot"}


def test_a_snapshot_that_the_store_has_not_is_tried_again_and_the_others_go_on(site: Site) -> None:
    ident = stored(site, 2)
    (site.store / "fails").touch()
    work(site)
    assert not (site.store / f"saved-{ident}.json").exists()
    (site.store / "fails").unlink()
    work(site)
    assert facts(site, ident)["snapshot"]["id"] == ident


def lost(site: Site, folder: Path, *projects: tuple[str, str]) -> Engine:
    """A database made anew, with these projects, and nothing else."""
    engine = db.connect(f"sqlite:///{folder}/new.db")
    quota = {"max_servers": 1, "max_cores": 1, "max_ram": 1}
    with engine.begin() as connection:
        for ident, name in projects:
            connection.execute(insert(db.project).values(id=ident, name=name, **quota))
        connection.execute(insert(db.user).values(id="u-new", name="alice", password_hash="x", enabled=True))
    return engine


def adopt(site: Site, engine: Engine, project: str | None = None, *, dry_run: bool = False) -> list[Adopted]:
    listed = Store(site.settings.images.command).listed()
    with engine.begin() as connection:
        adopter = Adopter(connection, Default(project, False), dry_run=dry_run)
        return [done for one in listed for done in adopter.adopt(one)]


def rows(engine: Engine, table: Any) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return db.rows(connection, select(table))


def test_a_lost_database_has_its_snapshots_again(site: Site, tmp_path: Path) -> None:
    ident = stored(site, name="before", description="the update", metadata={"a": "b"})
    from_volume(site, ident)
    work(site)
    (before,) = rows(site.nobody.engine, db.volume_snapshot)
    image = site.row(IMAGE)
    assert image
    engine = lost(site, tmp_path, ("p-new", "mine"))
    said = [done.said for done in adopt(site, engine, dry_run=True)]
    assert said == [f"adopted, a snapshot of volume {volume_id(1)}", "adopted"]
    assert rows(engine, db.volume_snapshot) == []
    adopt(site, engine)
    (after,) = rows(engine, db.volume_snapshot)
    # Project and user have their names still, and other ids.
    assert after == {**before, "project_id": "p-new", "user_id": "u-new", "noted": None}
    (found,) = rows(engine, db.image)
    assert {key: found[key] for key in ("id", "name", "size", "min_disk", "origin", "properties", "owner_id")} == {
        **{key: image[key] for key in ("id", "name", "size", "min_disk", "origin", "properties")}, "owner_id": "p-new"
    }  # fmt: skip
    assert adopt(site, engine) == [], "once"


def test_a_snapshot_of_a_project_that_is_gone_is_left_or_given_away(site: Site, tmp_path: Path) -> None:
    stored(site)
    work(site)
    engine = lost(site, tmp_path, ("p-red", "red"))
    assert [done.said for done in adopt(site, engine)] == ["left: whose is it? say --project"]
    assert rows(engine, db.volume_snapshot) == []
    adopt(site, engine, "p-red")
    assert [row["project_id"] for row in rows(engine, db.volume_snapshot)] == ["p-red"]


def test_a_snapshot_that_the_database_knows_is_no_image_that_nobody_knows(site: Site) -> None:
    stored(site)
    assert adopt(site, site.nobody.engine, MINE) == []


def test_words_of_a_snapshot_that_are_not_whole(site: Site, tmp_path: Path) -> None:
    ident = stored(site)
    (site.store / f"saved-{ident}.json").write_text('{"version": 1, "snapshot": {"id": "x"}}')
    engine = lost(site, tmp_path, ("p-red", "red"))
    assert [done.said for done in adopt(site, engine, "p-red")] == [
        "left: what stands beside it of a snapshot is not whole"
    ]


def test_members_of_an_image_are_found_again_by_their_names(site: Site, tmp_path: Path) -> None:
    ident = site.put(IMAGE)
    (site.store / f"{ident}.raw").write_bytes(b"content")
    for member in (FOREIGN, "nobody"):
        assert site.alice.call("POST", f"{IMAGES}/{ident}/members", json={"member": member}).status_code == 200
    assert site.bob.call("PUT", f"{IMAGES}/{ident}/members/{FOREIGN}", json={"status": "accepted"}).status_code == 200
    work(site)
    engine = lost(site, tmp_path, ("p-mine", "mine"), ("p-foreign", "foreign"))
    adopt(site, engine)
    found = {row["project_id"]: row["status"] for row in rows(engine, db.image_member)}
    assert found == {"p-foreign": "accepted", "nobody": "pending"}
