"""Delete, start, stop, reboot: what they ask of Ganeti, and when they are refused."""

from __future__ import annotations

from typing import Any

import pytest

from frontend.effect import owed
from ganeti_ext.errors import RapiError, RapiUnavailable
from tests.unit.frontend.conftest import COMPUTE, Api

SERVERS = f"{COMPUTE}/servers"

START, STOP = {"os-start": None}, {"os-stop": None}
SOFT, HARD = {"reboot": {"type": "SOFT"}}, {"reboot": {"type": "hard"}}


def act(api: Api, ident: str, body: Any) -> Any:
    return api.call("POST", f"{SERVERS}/{ident}/action", json=body)


@pytest.mark.parametrize(
    ("status", "body", "call", "task"),
    [
        ("SHUTOFF", START, ("PUT", "startup", None, None), "powering-on"),
        ("ACTIVE", STOP, ("PUT", "shutdown", {"timeout": 120}, None), "powering-off"),
        ("ACTIVE", SOFT, ("POST", "reboot", {"shutdown_timeout": 120}, {"type": "hard"}), "rebooting"),
        ("ACTIVE", HARD, ("POST", "reboot", {"shutdown_timeout": 0}, {"type": "hard"}), "rebooting_hard"),
    ],
)
def test_action_is_one_job(api: Api, status: str, body: Any, call: tuple[Any, ...], task: str) -> None:
    row = api.server(status=status)
    answer = act(api, row["id"], body)
    assert (answer.status_code, answer.data) == (202, b"")
    method, verb, sent, query = call
    assert api.rapi.calls == [(method, f"instances/{row['instance']}/{verb}", sent, query)]
    after = api.row(row["id"])
    assert (after["status"], after["task"], after["job"]) == (status, task, 101)
    shown = api.get(f"{SERVERS}/{row['id']}").json["server"]  # type: ignore[index]
    assert shown["OS-EXT-STS:task_state"] == task


@pytest.mark.parametrize(
    ("status", "task", "body"),
    [
        ("ACTIVE", None, START),
        ("SHUTOFF", None, STOP),
        ("SHUTOFF", None, SOFT),
        ("BUILD", "spawning", STOP),
        ("ERROR", None, START),
        ("SHUTOFF", "powering-on", START),
        ("ACTIVE", "rebooting", HARD),
        ("ACTIVE", "deleting", STOP),
    ],
)
def test_action_in_the_wrong_state(api: Api, status: str, task: str | None, body: Any) -> None:
    row = api.server(status=status, task=task)
    answer = act(api, row["id"], body)
    assert answer.status_code == 409
    message = answer.json["conflictingRequest"]["message"]
    assert row["id"] in message
    assert status in message
    assert (task or "status") in message
    assert api.rapi.calls == []
    assert api.row(row["id"])["task"] == task


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"fly": None}, "fly"),
        ({}, "got 0"),
        ({"os-start": None, "os-stop": None}, "got 2"),
        ({"reboot": None}, "reboot"),
        ({"reboot": {}}, "type: is missing"),
        ({"reboot": {"type": "WARM"}}, "WARM"),
        ({"reboot": {"type": 1}}, "type"),
        ({"x" * 5000: None}, "xxx"),
    ],
)
def test_no_such_action(api: Api, body: Any, named: str) -> None:
    row = api.server()
    answer = act(api, row["id"], body)
    assert answer.status_code == 400
    assert named in answer.json["badRequest"]["message"]
    assert len(answer.text) < 500
    assert api.rapi.calls == []


def test_no_task_when_ganeti_did_not_accept(api: Api) -> None:
    row = api.server()
    api.rapi.fails = RapiUnavailable("RAPI x: down")
    answer = act(api, row["id"], STOP)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "10"
    assert api.row(row["id"])["task"] is None
    api.rapi.fails = RapiError("RAPI PUT: not found", 404)
    assert act(api, row["id"], STOP).status_code == 409
    assert api.row(row["id"])["task"] is None


@pytest.mark.parametrize("body", [STOP, None])
def test_task_that_the_consumer_has_seen_end_is_not_set_again(api: Api, body: Any) -> None:
    row = api.server()
    api.rapi.on_submit = lambda job: api.change(row["id"], job=job, task=None, status="SHUTOFF")
    if body:
        assert act(api, row["id"], body).status_code == 202
    else:
        assert api.call("DELETE", f"{SERVERS}/{row['id']}").status_code == 204
    after = api.row(row["id"])
    assert (after["task"], after["status"], after["job"]) == (None, "SHUTOFF", 101)


@pytest.mark.parametrize(
    ("status", "task"), [("ACTIVE", None), ("SHUTOFF", None), ("ERROR", None), ("ACTIVE", "powering-off")]
)
def test_delete_is_one_job(api: Api, status: str, task: str | None) -> None:
    row = api.server(status=status, task=task)
    answer = api.call("DELETE", f"{SERVERS}/{row['id']}")
    assert (answer.status_code, answer.data) == (204, b"")
    assert api.rapi.calls == [("DELETE", f"instances/{row['instance']}", {"shutdown_timeout": 0}, None)]
    shown = api.get(f"{SERVERS}/{row['id']}").json["server"]  # type: ignore[index]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == (status, "deleting")


def test_delete_twice_is_one_job(api: Api) -> None:
    row = api.server()
    for _ in range(2):
        assert api.call("DELETE", f"{SERVERS}/{row['id']}").status_code == 204
    assert len(api.rapi.calls) == 1


DEPENDS = {"shutdown_timeout": 0, "depends": [[50, ["success", "error", "canceled"]]]}


@pytest.mark.parametrize("status", ["queued", "waiting", "running"])
def test_delete_while_it_is_built(api: Api, status: str) -> None:
    row = api.server(status="BUILD", task="spawning", job=50)
    api.rapi.jobs = {50: status}
    answer = api.call("DELETE", f"{SERVERS}/{row['id']}")
    assert (answer.status_code, answer.data) == (204, b"")
    # Behind the create, whatever becomes of it; and that is taken back, if it can be.
    assert api.rapi.calls == [("DELETE", f"instances/{row['instance']}", DEPENDS, None)]
    assert api.rapi.canceled == [50]
    shown = api.get(f"{SERVERS}/{row['id']}").json["server"]  # type: ignore[index]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("BUILD", "deleting")
    assert (api.row(row["id"])["job"], api.owed()) == (101, [])
    assert api.call("DELETE", f"{SERVERS}/{row['id']}").status_code == 204
    assert len(api.rapi.calls) == 1


@pytest.mark.parametrize("jobs", [{}, {50: "success"}, {50: "error"}])
def test_delete_of_what_seems_to_be_built(api: Api, jobs: dict[int, str]) -> None:
    # To wait for a job that Ganeti has forgotten would be an error.
    row = api.server(status="BUILD", task="spawning", job=50)
    api.rapi.jobs = jobs
    assert api.call("DELETE", f"{SERVERS}/{row['id']}").status_code == 204
    assert api.rapi.calls == [("DELETE", f"instances/{row['instance']}", {"shutdown_timeout": 0}, None)]
    assert api.rapi.canceled == []


def test_delete_while_it_is_built_and_ganeti_is_away(api: Api) -> None:
    row = api.server(status="BUILD", task="spawning", job=50)
    api.rapi.jobs, api.rapi.fails = {50: "running"}, RapiUnavailable("RAPI: down")
    assert api.call("DELETE", f"{SERVERS}/{row['id']}").status_code == 204
    assert api.row(row["id"])["task"] == "deleting"
    (due,) = api.owed()
    assert (due["server_id"], due["what"], due["job"]) == (row["id"], "remove", 50)


def test_delete_of_what_was_built_since_it_was_read(api: Api) -> None:
    row = api.server(status="ACTIVE", task=None, job=50)
    with api.engine.connect() as connection:
        assert owed.promise_removal(connection, row["id"]) is None
    assert (api.row(row["id"])["task"], api.owed()) == (None, [])


def test_a_server_that_its_user_deletes_is_not_created_once_more(api: Api) -> None:
    row = api.server(status="BUILD", task="spawning", job=50)
    with api.engine.begin() as connection:
        owed.keep_creates(connection, {row["id"]: "secret"})
        owed.accepted(connection, row["id"], 50)
    api.rapi.jobs = {50: "running"}
    assert api.call("DELETE", f"{SERVERS}/{row['id']}").status_code == 204
    assert api.owed() == []


def test_delete_of_what_never_was_in_ganeti(api: Api) -> None:
    row = api.server(status="ERROR", fault="no memory")
    api.rapi.get_fails = RapiError("RAPI GET: not found", 404)
    assert api.call("DELETE", f"{SERVERS}/{row['id']}").status_code == 204
    assert api.rapi.asked == [f"instances/{row['instance']}"]
    assert api.rapi.calls == []
    assert api.row(row["id"])["deleted"] is not None
    assert api.get(f"{SERVERS}/{row['id']}").status_code == 404


def test_delete_of_what_ganeti_no_longer_has(api: Api) -> None:
    row = api.server()
    api.rapi.fails = RapiError("RAPI DELETE: not found", 404)
    assert api.call("DELETE", f"{SERVERS}/{row['id']}").status_code == 204
    assert api.row(row["id"])["deleted"] is not None


@pytest.mark.parametrize(
    "error", [RapiUnavailable("RAPI: down"), RapiError("RAPI: internal", 500), RapiError("RAPI: no", 401)]
)
def test_only_a_404_means_gone(api: Api, error: Exception) -> None:
    row = api.server(status="ERROR", fault="broken")
    api.rapi.get_fails = error
    assert api.call("DELETE", f"{SERVERS}/{row['id']}").status_code in (500, 503)
    after = api.row(row["id"])
    assert (after["deleted"], after["task"]) == (None, None)
