"""Credits: what a project may use up, what it is told of that, and what it is refused then."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from frontend.database import db
from frontend.settings import Credits, Front, Settings
from frontend.usage import budget, meter, spans
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, IMAGE, MINE, NET, SMALL, TINY, Api, FakeRapi, serve
from tests.unit.frontend.volumes import VOLUMES

HOUR = 3600.0


@pytest.fixture
def nobody(front: Front, rapi: FakeRapi, tmp_path: Path) -> Api:
    return serve(front, rapi, Settings(front=front, credits=Credits(vcpu=1, ram=2, volume=0.5, address=0.25)))


def used(api: Api, hours: float, **size: Any) -> str:
    """A server of the project's that has been there for so many hours."""
    row = {"power": "ACTIVE", "deleted": None, **api.server(**size)}
    with api.engine.begin() as connection:
        meter.agree(connection, spans.SERVER, row["id"], meter.server_now(row), time.time() - hours * HOUR)
    return str(row["id"])


def give(api: Api, amount: float, since: float = 0.0) -> None:
    with api.engine.begin() as connection:
        budget.begin(connection, MINE, amount, since)


def told(api: Api, path: str = "credits") -> dict[str, Any]:
    answer = api.get(f"{COMPUTE}/{path}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json["credits"])  # type: ignore[index]


def boot(api: Api) -> Any:
    wanted = {"name": "web", "flavorRef": SMALL, "imageRef": IMAGE, "networks": [{"uuid": NET}]}
    return api.call("POST", f"{COMPUTE}/servers", json={"server": wanted})


def test_without_a_budget_there_are_prices_alone(api: Api) -> None:
    found = told(api)
    assert (found["credits"], found["used"], found["left"], found["per_hour"]) == (None, None, None, 0)
    assert found["prices"]["vcpu"] == 1
    assert found["flavors"][SMALL] == 1 + 0.5 * 2
    assert boot(api).status_code == 202


def test_a_flavor_may_have_a_price_of_its_own(api: Api) -> None:
    with api.engine.begin() as connection:
        own = {"credits:hour": "0.125"}
        connection.execute(update(db.flavor).where(db.flavor.c.id == TINY).values(extra_specs=own))
    assert told(api)["flavors"] == {TINY: 0.125, SMALL: 2.0, "f-huge": 6.0}


def test_what_is_used_up(api: Api) -> None:
    used(api, 10, vcpus=2, ram=1024)
    with api.engine.begin() as connection:
        meter.address(connection, "port", MINE, time.time() - 4 * HOUR)
    give(api, 100)
    found = told(api)
    assert (found["used"], found["left"]) == (pytest.approx(41, abs=0.1), pytest.approx(59, abs=0.1))
    assert found["per_hour"] == 4.25
    give(api, 100, since=time.time() - 2 * HOUR)
    assert told(api)["used"] == pytest.approx(8.5, abs=0.1)


def test_nothing_new_is_made_when_all_is_used_up(api: Api) -> None:
    ident = used(api, 10, power="SHUTOFF", status="SHUTOFF", vcpus=1, ram=512, flavor_id=TINY)
    give(api, 19)
    refused = [
        boot(api),
        api.call("POST", f"{COMPUTE}/servers/{ident}/action", json={"resize": {"flavorRef": "f-huge"}}),
        api.call("POST", f"{VOLUMES}/volumes", json={"volume": {"size": 1}}),
    ]
    for answer in refused:
        assert (answer.status_code, "credits are used up: 20.00 of 19.00" in answer.text) == (403, True), answer.text
    assert api.rapi.calls == []
    assert api.call("POST", f"{COMPUTE}/servers/{ident}/action", json={"os-start": None}).status_code == 202
    with api.engine.begin() as connection:
        assert budget.add(connection, MINE, 5)
    assert boot(api).status_code == 202


def test_others_credits_are_an_administrators(api: Api, nobody: Api) -> None:
    assert api.get(f"{COMPUTE}/credits/{FOREIGN}").status_code == 403
    assert api.get(f"{COMPUTE}/credits/never").status_code == 403
    adam = administrator(nobody)
    assert told(adam, f"credits/{FOREIGN}")["project_id"] == FOREIGN
    assert adam.get(f"{COMPUTE}/credits/never").status_code == 404
