"""Chains of jobs one of whose answers is lost: they go on, or nothing of them stays."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import select

from frontend.database import db
from frontend.database.vault import Vault
from frontend.effect import lostjob
from frontend.effect.payer import Payer
from frontend.effect.translate import Call
from ganeti_ext.errors import RapiLost, RapiUnavailable
from tests.unit.frontend import volumes
from tests.unit.frontend.conftest import COMPUTE, IMAGE, SMALL, Api, FakeRapi

BOOT = {"uuid": IMAGE, "source_type": "image", "destination_type": "volume", "volume_size": 3, "boot_index": 0,
        "delete_on_termination": True}  # fmt: skip
SUCCEEDED = ["success"]


class Lossy(FakeRapi):
    """Loses the answer of the submission `loses`, from 0; `takes`: whether Ganeti got it, `deaf`: looks fail."""

    def __init__(self) -> None:
        super().__init__()
        self.loses, self.takes, self.deaf = -1, True, False
        self.submitted = 0

    def submit(self, *call: Any, **more: Any) -> int:
        is_lost, self.submitted = self.submitted == self.loses, self.submitted + 1
        if is_lost and not self.takes:
            raise RapiLost("cut")
        number = super().submit(*call, **more)
        if is_lost:
            raise RapiLost("cut")
        return number

    def query(self, *_: Any) -> list[dict[str, Any]]:
        if self.deaf:
            raise RapiLost("deaf")
        return [{"id": 101 + at, "ops": [op(*call)]} for at, call in enumerate(self.calls)]


def op(method: str, path: str, body: Any, query: Any) -> dict[str, Any]:
    """As Ganeti keeps a call."""
    kind = "OP_INSTANCE_CREATE" if (method, path) == ("POST", "instances") else "OP_OTHER"
    reason = [["gnt:user", query["reason"], 0]] if query and "reason" in query else []
    return {**(body or {}), "OP_ID": kind, "reason": reason}


@pytest.fixture
def rapi(monkeypatch: pytest.MonkeyPatch) -> Lossy:
    monkeypatch.setattr(lostjob, "PAUSES", (0.0, 0.0))
    return Lossy()


def boot(api: Api) -> Any:
    wanted = {"name": "web", "flavorRef": SMALL, "imageRef": "", "block_device_mapping_v2": [BOOT]}
    return api.call("POST", f"{COMPUTE}/servers", json={"server": wanted})


def made(rapi: Lossy) -> list[str]:
    return [call[2]["instance_name"] for call in rapi.calls if call[:2] == ("POST", "instances")]


def rows(api: Api, table: Any) -> list[dict[str, Any]]:
    with api.engine.connect() as connection:
        return db.rows(connection, select(table))


def pay(api: Api, after: float) -> None:
    Payer(api.engine, api.rapi, Vault("secret"), clock=lambda: time.time() + after).work()


@pytest.mark.parametrize("loses", range(6))
def test_whichever_answer_is_lost_the_chain_goes_on_and_nothing_is_made_twice(
    api: Api, rapi: Lossy, loses: int
) -> None:
    rapi.loses = loses
    answer = boot(api)
    assert answer.status_code == 202, answer.text
    assert len(made(rapi)) == len(set(made(rapi))) == 2, "the volume's holder, and the server"
    awaited = [call[2]["depends"][-1][0] for call in rapi.calls[1:] if "depends" in (call[2] or {})]
    assert awaited == sorted(awaited)
    assert set(awaited) <= set(range(101, 101 + len(rapi.calls)))
    (row,) = rows(api, db.volume)
    assert (row["server_id"], rows(api, db.server)[0]["status"]) == (answer.json["server"]["id"], "BUILD")
    assert [each["what"] for each in rows(api, db.owed)] == []


@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize("loses", [0, 1])
def test_what_is_not_found_is_given_up_and_removed_should_it_come_in_late(
    api: Api, rapi: Lossy, loses: int, deaf: bool
) -> None:
    rapi.loses, rapi.takes, rapi.deaf = loses, deaf, deaf
    assert boot(api).status_code >= 500
    assert (rows(api, db.server), rows(api, db.volume)) == ([], [])
    assert rapi.canceled == [101][:loses]
    assert [each["what"] for each in rows(api, db.owed)] == ["unmake"] * 2
    rapi.deaf, there = False, made(rapi)
    pay(api, 50)
    assert not [call for call in rapi.calls if call[0] == "DELETE"]
    pay(api, 70)
    gone = [call[1] for call in rapi.calls if call[0] == "DELETE"]
    assert sorted(gone) == sorted(f"instances/{name}" for name in there)
    assert len(there) == (loses + 1 if deaf else loses)
    assert rows(api, db.owed) == []


def test_what_was_refused_at_once_leaves_nothing_to_be_done(api: Api, rapi: Lossy) -> None:
    rapi.fails = RapiUnavailable("away")
    assert boot(api).status_code == 503
    assert (rows(api, db.owed), rows(api, db.volume)) == ([], [])


@pytest.mark.parametrize("loses", [1, 2])
def test_a_snapshot_is_made_though_an_answer_is_lost(api: Api, rapi: Lossy, loses: int) -> None:
    key = volumes.add(api)
    rapi.loses = loses
    answer = api.call("POST", f"{volumes.VOLUMES}/snapshots", json={"snapshot": {"volume_id": key}})
    assert answer.status_code == 202, answer.text
    assert [row["job"] for row in rows(api, db.volume_snapshot)] == [103]
    assert len(rapi.calls) == 3


def test_what_may_be_there_is_not_taken_back_and_the_chain_goes_on(api: Api, rapi: Lossy) -> None:
    """It waits for what would be taken back, and Ganeti looked at it minutes later."""
    key = volumes.add(api)
    rapi.loses, rapi.deaf = 2, True
    answer = api.call("POST", f"{volumes.VOLUMES}/snapshots", json={"snapshot": {"volume_id": key}})
    assert answer.status_code == 202, answer.text
    assert rapi.canceled == []
    assert [each["what"] for each in rows(api, db.owed)] == ["chain"]
    rapi.deaf = False
    pay(api, 1000)
    assert (len(rapi.calls), rows(api, db.owed)) == (3, [])


def test_one_that_nothing_tells_from_others_is_not_taken_for_it(rapi: Lossy) -> None:
    """Another chain's job may wait for the same one, and another job of the same kind for another."""
    rapi.calls = [
        ("PUT", "a", {"depends": [[100, SUCCEEDED]]}, {"reason": "ganeti-ext:attach:v"}),
        ("PUT", "b", {"depends": [[99, SUCCEEDED]]}, {"reason": "ganeti-ext:boot"}),
    ]
    call = Call("PUT", "x", {"depends": [[100, SUCCEEDED]]}, {"reason": "ganeti-ext:boot"})
    assert lostjob.find(rapi, call) is None
    rapi.calls.append(("PUT", "x", call.body, call.query))
    assert lostjob.find(rapi, call) == 103
    assert lostjob.find(rapi, call._replace(body={})) is None
    rapi.deaf = True
    with pytest.raises(RapiLost, match="deaf"):
        lostjob.find(rapi, call)
