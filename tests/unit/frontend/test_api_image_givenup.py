"""Uploads that stood still for so long that they were given up, and go on after all."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from frontend.database import db
from frontend.image import imagestate
from frontend.image.imageprocess import Store
from tests.unit.frontend.image_command import QCOW2
from tests.unit.frontend.images import IMAGES, Site, care, make, send, shown, site

__all__ = ["site"]


def gives_up(site: Site, ident: str) -> None:
    """As if nothing had been heard for long of who fills it."""
    with site.nobody.engine.begin() as connection:
        connection.execute(update(db.image).where(db.image.c.id == ident).values(lease=time.time() - 1))
    care(site).work()


@pytest.mark.parametrize("is_done", [False, True])
def test_an_upload_that_was_given_up_touches_nothing_of_the_next(
    site: Site, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    """Whether that one is done, or still at it."""
    ident = make(site.alice)

    def sleeps(*told: Any) -> bool:
        monkeypatch.undo()
        gives_up(site, ident)
        assert site.stored() == []
        if is_done:
            assert send(site.alice, ident, b"the next").status_code == 204
        else:
            until = time.time() + 60
            assert imagestate.turn(site.nobody.engine, ident, "queued", "saving", lease=until, filler="next")
        return imagestate.filled(*told)

    monkeypatch.setattr(imagestate, "filled", sleeps)
    answer = send(site.alice, ident)
    assert (answer.status_code, "stood still for too long" in answer.text) == (409, True)
    assert shown(site.alice, ident)["status"] == ("active" if is_done else "saving")
    if is_done:
        assert site.alice.get(f"{IMAGES}/{ident}/file").data == b"the next"


def test_what_one_that_was_given_up_brings_after_all_is_taken_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before another begins, or as that one finds it in its way."""
    ident = make(site.alice)

    def sleeps(*told: Any) -> bool:
        monkeypatch.undo()
        gives_up(site, ident)
        (site.store / f"{ident}.raw").write_bytes(b"too late")
        return imagestate.filled(*told)

    monkeypatch.setattr(imagestate, "filled", sleeps)
    assert send(site.alice, ident).status_code == 409
    care(site).work()
    assert (shown(site.alice, ident)["status"], site.stored()) == ("queued", [])
    (site.store / f"{ident}.raw").write_bytes(b"later still")
    assert send(site.alice, ident).status_code == 503
    care(site).work()
    assert (shown(site.alice, ident)["status"], site.stored()) == ("queued", [])
    assert send(site.alice, ident).status_code == 204


def test_what_is_staged_by_one_that_was_given_up_is_not_kept(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ident = make(site.alice)

    def sleeps(path: str) -> int:
        monkeypatch.undo()
        gives_up(site, ident)
        return os.path.getsize(path)

    monkeypatch.setattr(os.path, "getsize", sleeps)
    assert send(site.alice, ident, tail="stage").status_code == 409
    assert (shown(site.alice, ident)["status"], list((tmp_path / "staging").iterdir())) == ("queued", [])


def test_one_that_ends_while_it_is_given_up_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would be active, and what it brought gone the moment after."""
    ident, filled, remove = make(site.alice), imagestate.filled, Store.remove

    def sleeps(*told: Any) -> bool:
        def removes(*which: Any) -> None:
            monkeypatch.undo()
            with pytest.raises(imagestate.LostError):
                filled(*told)
            remove(*which)

        monkeypatch.undo()
        monkeypatch.setattr(Store, "remove", removes)
        gives_up(site, ident)
        return filled(*told)

    monkeypatch.setattr(imagestate, "filled", sleeps)
    assert send(site.alice, ident).status_code == 409
    care(site).work()
    assert (shown(site.alice, ident)["status"], site.stored()) == ("queued", [])
    assert send(site.alice, ident).status_code == 204


def test_where_none_was_given_up_what_is_in_the_way_is_nobodys_to_take(site: Site) -> None:
    ident = make(site.alice, disk_format="qcow2")
    assert send(site.alice, ident, b"no image").status_code == 400
    (site.store / f"{ident}.raw").write_bytes(b"an administrator's")
    assert send(site.alice, ident, QCOW2).status_code == 409
    care(site).work()
    assert (shown(site.alice, ident)["status"], site.stored()) == ("queued", [f"{ident}.raw"])
