"""Where the holder of a new volume is put."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from sqlalchemy import insert

from frontend.database import db
from tests.unit.frontend.conftest import MINE, Api


def nodes(api: Api, names: Iterable[str], **state: bool) -> None:
    known = {"offline": False, "drained": False, "vm_capable": True, **state}
    with api.engine.begin() as connection:
        for name in names:
            connection.execute(insert(db.node).values(name=name, zone="default", updated=1.0, **known))


def make(api: Api) -> dict[str, object]:
    answer = api.call("POST", f"/volume/v3/{MINE}/volumes", json={"volume": {"size": 1}})
    assert answer.status_code == 202, answer.text
    body: dict[str, object] = api.rapi.calls[-1][2]
    return body


def test_volumes_go_to_all_nodes_that_are_up(api: Api) -> None:
    nodes(api, ("one", "two"))
    nodes(api, ("away",), offline=True)
    nodes(api, ("drained",), drained=True)
    nodes(api, ("master",), vm_capable=False)
    found = [make(api) for _ in range(8)]
    assert {body["pnode"] for body in found} <= {"one", "two"}
    assert all("opportunistic_locking" not in body for body in found)


@pytest.mark.parametrize("state", [{"offline": True}, None])
def test_ganeti_chooses_where_no_node_is_known_to_be_up(api: Api, state: dict[str, bool] | None) -> None:
    if state:
        nodes(api, ("away",), **state)
    body = make(api)
    assert ("pnode" in body, body["opportunistic_locking"]) == (False, True)
