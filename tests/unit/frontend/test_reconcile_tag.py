"""Tags for a hook that were left on an instance: found, and taken away when nobody needs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from frontend.database import db
from frontend.database.vault import Vault
from frontend.effect.payer import Payer
from frontend.volume import volumestate
from ganeti_ext.errors import RapiError, RapiUnavailable
from tests.unit.frontend import conftest
from tests.unit.frontend.cluster import Both, running
from tests.unit.frontend.test_reconcile_saved import SNAPSHOT, saving, snapshot
from tests.unit.frontend.updates import NAME, instance

TAG = f"ganeti-ext:saving:cow:{SNAPSHOT}:vol-1"
HOLDER = "gx-vol-0aaa0000-0000-4000-8000-00000000000a"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path)
    made.add(**running())
    made.rapi.instances = [instance(tags=[*instance()["tags"], TAG])]
    yield made
    made.engine.dispose()


def left(both: Both) -> list[str]:
    return [each.words for each in both.found() if each.kind == "tag-left"]


def pay(both: Both, rapi: conftest.FakeRapi, after: float = 61) -> None:
    Payer(both.engine, rapi, Vault("secret"), clock=lambda: both.now + after).work()


def owed(both: Both) -> list[dict[str, Any]]:
    with both.engine.connect() as connection:
        return db.rows(connection, select(db.owed))


@pytest.mark.parametrize("tag", [TAG, "ganeti-ext:copying:rbd/fast:1234:vol-1", f"ganeti-ext:forget:cow:{SNAPSHOT}"])
def test_one_that_nobody_waits_for_is_told_and_taken_away_later(both: Both, tag: str) -> None:
    both.rapi.instances = [instance(tags=[*instance()["tags"], tag])]
    (found,) = both.found()
    assert (str(found), found.advice) == (
        f"tag-left: instance {NAME}: it has the tag {tag}, which nobody waits for",
        f"gnt-instance remove-tags {NAME} {tag}",
    )
    assert both.reconciler.mend([found]) == [found]
    assert both.found() == [], "it is promised"
    assert both.reconciler.mend([found]) == []
    rapi = conftest.FakeRapi()
    rapi.tags = {NAME: [tag]}
    pay(both, rapi, after=59)
    assert rapi.calls == []
    pay(both, rapi)
    assert rapi.calls == [("DELETE", f"instances/{NAME}/tags", None, {"tag": [tag]})]
    assert owed(both) == []


def test_tags_of_other_kinds_are_left_alone(both: Both) -> None:
    both.rapi.instances = [instance(tags=[*instance()["tags"], "ganeti-ext:savings:x", "saving:cow:1"])]
    assert both.found() == []


@pytest.mark.parametrize(
    ("make", "status", "is_left"),
    [(saving, "saving", False), (saving, "deleted", False), (saving, "active", True), (saving, "killed", True),
     (snapshot, "creating", False), (snapshot, "deleting", False), (snapshot, "error", True)],
)  # fmt: skip
def test_one_whose_chain_goes_on_is_not_left(both: Both, make: Any, status: str, is_left: bool) -> None:
    make(both, id=SNAPSHOT, status=status, job=None)
    assert bool(left(both)) == is_left


@pytest.mark.parametrize("ident", [SNAPSHOT, HOLDER.removeprefix("gx-vol-")])
def test_a_volume_that_is_being_made_or_moved_needs_it(both: Both, ident: str) -> None:
    """A clone has the volume's own id in its tag; a move has another, on the volume's holder."""
    name = NAME if ident == SNAPSHOT else HOLDER
    row = {**volumestate.new_row(ident, HOLDER, {}, both.now), "task": "retyping", "status": "retyping", "job": 10**6}
    row |= {"project_id": "p", "user_id": "u", "name": "", "type": "cow", "size": 1}
    with both.engine.begin() as connection:
        connection.execute(insert(db.volume).values(row))
    both.rapi.instances = [instance(name=name, tags=[TAG])]
    assert left(both) == []
    with both.engine.begin() as connection:
        connection.execute(update(db.volume).values(task=None))
    assert len(left(both)) == 1


@pytest.mark.parametrize(
    ("op", "status", "is_left"),
    [({"OP_ID": "OP_TAGS_DEL", "name": NAME}, "queued", False),
     ({"OP_ID": "OP_INSTANCE_SET_PARAMS", "instance_name": NAME}, "running", False),
     ({"OP_ID": "OP_TAGS_DEL", "name": NAME}, "canceled", True),
     ({"OP_ID": "OP_TAGS_DEL", "name": "other"}, "queued", True)],
)  # fmt: skip
def test_while_a_job_is_about_the_instance_it_is_left_alone(
    both: Both, op: dict[str, Any], status: str, is_left: bool
) -> None:
    both.rapi.jobs = [{"id": 77, "status": status, "summary": [], "opstatus": [], "opend": [], "opresult": [],
                       "ops": [op]}]  # fmt: skip
    assert bool(left(both)) == is_left


def test_one_that_is_gone_once_the_jobs_are_known_was_not_left(both: Both) -> None:
    asked = both.rapi.query

    def query(what: str, *rest: Any) -> list[dict[str, Any]]:
        if what == "job":
            both.rapi.instances = [instance()]
        return asked(what, *rest)

    both.rapi.query = query  # type: ignore[method-assign, assignment]
    assert both.found() == []


@pytest.mark.parametrize(
    ("tags", "jobs"),
    [([], []), ([TAG], [{"id": 78, "ops": [{"OP_ID": "OP_TAGS_SET", "name": NAME, "tags": [TAG]}]}])],
)
def test_what_somebody_needs_by_then_or_what_is_gone_is_not_taken_away(
    both: Both, tags: list[str], jobs: list[dict[str, Any]]
) -> None:
    both.reconciler.mend(both.found())
    rapi = conftest.FakeRapi()
    rapi.tags, rapi.found = {NAME: tags}, jobs
    pay(both, rapi)
    assert (rapi.calls, owed(both)) == ([], [])


def test_ganeti_is_away_when_it_is_due(both: Both) -> None:
    both.reconciler.mend(both.found())
    rapi = conftest.FakeRapi()
    rapi.tags, rapi.fails = {NAME: [TAG]}, RapiUnavailable("away")
    pay(both, rapi)
    assert len(owed(both)) == 1
    rapi.fails = None
    pay(both, rapi, after=300)
    assert (len(rapi.calls), owed(both)) == (1, [])


@pytest.mark.parametrize(("code", "is_owed"), [(404, False), (500, True)])
def test_an_instance_that_is_gone_owes_nothing(both: Both, code: int, is_owed: bool) -> None:
    both.reconciler.mend(both.found())
    rapi = conftest.FakeRapi()

    def get(path: str, _query: object = None) -> Any:
        raise RapiError(f"RAPI GET /2/{path}", 500 if path.endswith("/tags") else code)

    rapi.get = get  # type: ignore[method-assign, assignment]
    pay(both, rapi)
    assert (bool(owed(both)), rapi.calls) == (is_owed, [])
