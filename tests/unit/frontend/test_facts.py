"""A change of what a server is: which tags are written, and what is shown meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import g
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from frontend.database import db
from frontend.effect import facts
from frontend.identity import tokens
from frontend.update import actions, mirror
from frontend.web import context
from frontend.web.fault import Conflict
from ganeti_ext import event, tags
from ganeti_ext.errors import RapiError, RapiUnavailable
from tests.unit.frontend import updates
from tests.unit.frontend.conftest import ALICE, MINE, Api

BASE = {"project": MINE, "user": ALICE, "name": "web-0"}


@pytest.fixture
def inside(api: Api) -> Iterator[None]:
    """What a view has about it."""
    app = api.client.application
    with app.test_request_context():
        g.request_id = "req-1"
        g.caller = context.Caller(
            tokens.Token(ALICE, MINE, "", ("password",), "a", 0, 0), "alice", frozenset(("member",))
        )
        yield


def server(
    api: Api, said: dict[str, str] | None = None, meta: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """A server's row, and its instance's tags beside it."""
    row = api.server(facts=said or {}, metadata=meta or {}, **more)
    api.rapi.tags[row["instance"]] = [*tags.encode({**BASE, **(said or {})}), *tags.encode_metadata(meta or {})]
    return api.row(row["id"])


def calls(api: Api) -> list[tuple[str, list[str]]]:
    """Method and tags of each call."""
    found = []
    for method, path, body, query in api.rapi.calls:
        assert (path.rpartition("/")[2], body) == ("tags", None)
        found.append((method, query["tag"]))
    return found


def told(row: dict[str, Any], job: int, number: int, status: str, said: list[str], opcode: str = "OP_TAGS_SET") -> str:
    message = updates.op(opcode, status, job=job, at=number, seq=[1, number], instance=row["instance"])
    return event.encode({**message, **updates.read(True, number, tags=said)})


@pytest.mark.usefixtures("inside")
def test_a_new_fact_is_one_job_and_shown_at_once(api: Api) -> None:
    row = server(api)
    assert facts.change(row, {"description": "my first"}) == [101]
    assert calls(api) == [("PUT", ["ganeti-ext:description:my*20first"])]
    found = api.row(row["id"])
    assert (found["facts"], found["wished"]["facts"]["jobs"]) == ({"description": "my first"}, [101])
    assert found["updated"] > row["updated"]


@pytest.mark.usefixtures("inside")
def test_a_changed_one_is_added_before_the_old_one_goes(api: Api) -> None:
    row = server(api, {"description": "old", "key": "k"})
    assert facts.change(row, {"description": "new"}, name="db") == [101, 102]
    assert calls(api) == [
        ("PUT", ["ganeti-ext:description:new", "ganeti-ext:name:db"]),
        ("DELETE", ["ganeti-ext:description:old", "ganeti-ext:name:web-0"]),
    ]
    found = api.row(row["id"])
    assert (found["facts"], found["name"]) == ({"description": "new", "key": "k"}, "db")
    assert {facet: wish["jobs"] for facet, wish in found["wished"].items()} == {"facts": [101, 102], "name": [101, 102]}


@pytest.mark.usefixtures("inside")
def test_a_fact_and_an_item_that_go(api: Api) -> None:
    row = server(api, {"locked": "1"}, {"role": "db", "note": "x"})
    facts.change(row, {"locked": None}, metadata={"role": None, "new": "1"})
    assert calls(api) == [
        ("PUT", ["ganeti-ext:meta:new:1"]),
        ("DELETE", ["ganeti-ext:locked:1", "ganeti-ext:meta:role:db"]),
    ]
    found = api.row(row["id"])
    assert (found["facts"], found["metadata"]) == ({}, {"note": "x", "new": "1"})


@pytest.mark.usefixtures("inside")
def test_nothing_to_change_is_no_job(api: Api) -> None:
    row = server(api, {"description": "old"}, {"role": "db"})
    assert (
        facts.change(row, {"description": "old", "key": None}, metadata={"role": "db", "none": None}, name="web-0")
        == []
    )
    assert (api.rapi.calls, api.row(row["id"])) == ([], row)


@pytest.mark.usefixtures("inside")
def test_what_an_administrator_wrote_in_his_own_way_is_taken_away_as_it_is(api: Api) -> None:
    row = server(api)
    api.rapi.tags[row["instance"]] = [
        "ganeti-ext:name:web/0",
        "ganeti-ext:name.0:x",
        "nfdhcpd",
        "ganeti-ext:firewall.0:open",
    ]
    facts.change(row, {"firewall": "limited"}, name="db")
    assert calls(api)[1] == ("DELETE", ["ganeti-ext:name.0:x", "ganeti-ext:name:web/0"])


@pytest.mark.usefixtures("inside")
def test_while_a_change_goes_on_the_next_one_follows_from_it(api: Api) -> None:
    row = server(api, {"description": "old"})
    facts.change(row, {"description": "new"})
    api.rapi.calls.clear()
    facts.change(row, {"description": "newer"})  # with the caller's old row, and Ganeti's old tags
    assert calls(api) == [("PUT", ["ganeti-ext:description:newer"]), ("DELETE", ["ganeti-ext:description:new"])]
    facts.change(row, lambda now: {"description": now["facts"]["description"] + "!"})
    assert api.row(row["id"])["facts"] == {"description": "newer!"}


@pytest.mark.usefixtures("inside")
def test_many_tags_are_several_calls_that_ganeti_can_read(api: Api) -> None:
    row = server(api)
    meta: dict[str, str | None] = {f"{number:03}": "ü" * 255 for number in range(128)}
    jobs = facts.change(row, metadata=meta)
    lines = [urlencode({"tag": some}, doseq=True) for _, some in calls(api)]
    assert len(jobs) == len(lines) > 10
    assert max(map(len, lines)) < 8192 - 200
    assert tags.metadata(tag for _, some in calls(api) for tag in some) == meta
    assert api.row(row["id"])["wished"]["metadata"]["jobs"] == jobs


@given(st.lists(st.text("*:-a.ü", min_size=1, max_size=128), max_size=300))
def test_parts_have_every_tag_once(some: list[str]) -> None:
    made = list(facts.parts(some))
    assert [tag for part in made for tag in part] == some
    assert all(made)


@pytest.mark.usefixtures("inside")
def test_messages_settle_what_is_shown(api: Api) -> None:
    row = server(api, {"description": "old"})
    before = api.rapi.tags[row["instance"]]
    facts.change(row, {"description": "new"})
    follow = mirror.Mirror(api.engine, "gx-")
    follow.take(told(row, 99, 1, "success", before, "REBOOT"))
    assert api.row(row["id"])["facts"] == {"description": "new"}
    after = tags.encode({**BASE, "description": "new"})
    follow.take(told(row, 101, 2, "success", [*before, *after]))
    follow.take(told(row, 102, 3, "success", after, "OP_TAGS_DEL"))
    found = api.row(row["id"])
    assert (found["facts"], found["wished"]) == ({"description": "new"}, None)


@pytest.mark.usefixtures("inside")
def test_a_job_that_fails_brings_back_what_the_tags_say(api: Api) -> None:
    row = server(api)
    facts.change(row, name="new")
    assert api.row(row["id"])["name"] == "new"
    follow = mirror.Mirror(api.engine, "gx-")
    follow.take(told(row, 101, 2, "error", tags.encode(BASE)))
    follow.take(told(row, 102, 3, "canceled", tags.encode(BASE), "OP_TAGS_DEL"))
    found = api.row(row["id"])
    assert (found["name"], found["wished"]) == ("web-0", None)


@pytest.mark.parametrize(("status", "shown"), [("success", {"key": "k"}), ("error", {})])
@pytest.mark.usefixtures("inside")
def test_jobs_that_were_over_before_it_could_be_shown(api: Api, status: str, shown: dict[str, str]) -> None:
    """The consumer may be quicker than we are: nothing is left waiting for an end that was told."""
    row = server(api)

    def end(job: int) -> None:
        message = updates.op("OP_TAGS_SET", status, job=job, instance=row["instance"])
        with api.engine.begin() as connection:
            connection.execute(insert(db.action).values(actions.told(None, message, row["id"]).row or {}))

    api.rapi.on_submit = end
    facts.change(row, {"key": "k"})
    found = api.row(row["id"])
    assert (found["facts"], found["wished"]) == (shown, None)


@pytest.mark.usefixtures("inside")
def test_one_that_is_being_built_cannot_be_changed(api: Api) -> None:
    row = server(api, status="BUILD")
    with pytest.raises(Conflict, match="is being built"):
        facts.change(row, name="x")
    assert (api.rapi.asked, api.rapi.calls) == ([], [])


@pytest.mark.usefixtures("inside")
def test_one_that_was_never_built_cannot_either(api: Api) -> None:
    row = server(api, status="ERROR")
    api.rapi.get_fails = RapiError("RAPI GET: instance unknown", 500)
    with pytest.raises(Conflict, match="was never built"):
        facts.change(row, name="x")
    with pytest.raises(RapiError):
        facts.change({**row, "id": "other", "status": "ACTIVE"}, name="x")


@pytest.mark.usefixtures("inside")
def test_what_ganeti_did_not_take_is_not_shown(api: Api) -> None:
    row = server(api)
    api.rapi.fails = RapiUnavailable("away")
    with pytest.raises(RapiUnavailable):
        facts.change(row, name="x")
    assert api.row(row["id"]) == row
