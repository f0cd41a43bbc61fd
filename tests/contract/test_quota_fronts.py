"""Two fronts on one PostgreSQL: whoever asks where, and however many at once, a project has no more than it may."""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from frontend.database import db
from frontend.image import imagequota
from frontend.image.settings_images import Images
from frontend.network import networkquota
from frontend.quota import limits
from frontend.settings import Front, Settings
from tests.contract.services import PostgreSql
from tests.contract.test_quota import GIB, Rapi, answered
from tests.unit.frontend.conftest import COMPUTE, MINE, NET, Api, serve
from tests.unit.frontend.images import IMAGES

CREATORS, ALLOWED = 50, 7
AT_A_TIME = 10  # in each front, as gunicorn's threads
NETWORK = "/network/v2.0"
OWN = "0bbbbbbb-5555-4000-8000-000000000005"


@pytest.fixture
def fronts(postgresql: PostgreSql, tmp_path: Path) -> Iterator[tuple[Api, Api]]:
    """Each has its own connections; they share the database and the secret, as on two machines."""
    settings = Front(database=postgresql.database(), secret_file=f"{tmp_path}/secret", tenant_link="br0")
    rapi = Rapi()
    given = Settings(front=settings, images=Images(max_upload=1))
    first = serve(settings, rapi, given).become("alice")
    second = serve(settings, rapi, given)
    second.token = first.token
    own = {"id": OWN, "project_id": MINE, "name": "own", "created": 1.0, "facts": {}}
    with first.engine.begin() as connection:
        connection.execute(insert(db.tenant_network).values(own))
    yield first, second
    for front in (first, second):
        front.engine.dispose()


def allow(fronts: tuple[Api, Api], **columns: int) -> None:
    with fronts[0].engine.begin() as connection:
        connection.execute(update(db.project).where(db.project.c.id == MINE).values(columns))


def at_once(fronts: tuple[Api, Api], ask: Callable[[Api, int], Any]) -> Counter[int]:
    """How often which status was answered to as many creators, who come to both fronts."""
    found: list[int] = []
    numbers = iter(range(CREATORS))
    ready, lock = threading.Barrier(2 * AT_A_TIME), threading.Lock()

    def work(front: Api) -> None:
        api = Api(front.client.application.test_client(), front.engine, front.rapi)
        api.token = front.token
        ready.wait(60)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            found.append(answered(functools.partial(ask, api, number)))

    threads = [threading.Thread(target=work, args=(front,)) for front in fronts for _ in range(AT_A_TIME)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(found)


def some(good: int, bad: int, allowed: int = ALLOWED) -> Counter[int]:
    return Counter({good: allowed, bad: CREATORS - allowed})


def count(fronts: tuple[Api, Api], table: Any, *conditions: Any) -> int:
    with fronts[0].engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one())


def network(api: Api, number: int) -> Any:
    return api.call("POST", f"{NETWORK}/networks", json={"network": {"name": f"n{number}"}})


def test_networks(fronts: tuple[Api, Api]) -> None:
    allow(fronts, max_networks=ALLOWED + 1)
    assert at_once(fronts, network) == some(201, 409)
    assert count(fronts, db.tenant_network) == ALLOWED + 1


def port(api: Api, _: int) -> Any:
    """In a network that Ganeti does not have yet: what a project may have is all that is in the way."""
    return api.call("POST", f"{NETWORK}/ports", json={"port": {"network_id": OWN}})


def test_ports(fronts: tuple[Api, Api]) -> None:
    allow(fronts, max_ports=ALLOWED)
    assert at_once(fronts, port) == some(201, 409)
    assert count(fronts, db.port) == ALLOWED


def test_ports_and_servers_together(fronts: tuple[Api, Api]) -> None:
    """Compute counts the same, and says so in its own words."""
    allow(fronts, max_ports=ALLOWED, max_servers=-1, max_cores=-1, max_ram=-1)
    server = {"name": "w", "flavorRef": "f-small", "imageRef": "0aaaaaaa-0000-4000-8000-000000000001"}

    def ask(api: Api, number: int) -> Any:
        if number % 2:
            return port(api, number)
        return api.call("POST", f"{COMPUTE}/servers", json={"server": {**server, "networks": [{"uuid": NET}]}})

    found = at_once(fronts, ask)
    assert found[201] + found[202] == ALLOWED == count(fronts, db.port) + count(fronts, db.server)
    assert found[403] + found[409] == CREATORS - ALLOWED


def image(api: Api, number: int) -> Any:
    return api.call("POST", IMAGES, json={"name": f"i{number}"})


def test_images(fronts: tuple[Api, Api]) -> None:
    allow(fronts, max_images=ALLOWED)
    assert at_once(fronts, image) == some(201, 403)
    assert count(fronts, db.image, db.image.c.owner_id == MINE) == ALLOWED


def test_images_of_servers_by_their_octets(fronts: tuple[Api, Api]) -> None:
    allow(fronts, max_images=-1, max_image_gigabytes=5 * ALLOWED + 4)
    rows = [fronts[0].server(disk=5)["id"] for _ in range(CREATORS)]

    def ask(api: Api, number: int) -> Any:
        sent = {"createImage": {"name": "x"}}
        return api.call("POST", f"{COMPUTE}/servers/{rows[number]}/action", json=sent)

    assert at_once(fronts, ask) == some(202, 403)
    with fronts[0].engine.connect() as connection:
        assert imagequota.used(connection, MINE) == (ALLOWED, 5 * ALLOWED * GIB)


def test_while_less_is_allowed(fronts: tuple[Api, Api]) -> None:
    """An administrator lowers a limit in the middle: from his answer on nobody gets more than that."""
    allow(fronts, max_networks=CREATORS)
    after: list[int] = []
    lowered = threading.Event()

    def ask(api: Api, number: int) -> Any:
        if number == CREATORS // 4 and not lowered.is_set():
            with fronts[0].engine.connect() as connection:
                limits.give(connection, MINE, {"networks": ALLOWED})
                after.append(networkquota.used(connection, MINE, ("network",))["network"])
            lowered.set()
        is_late = lowered.is_set()
        answer = network(api, number)
        assert not is_late or after[0] < ALLOWED or answer.status_code == 409
        return answer

    found = at_once(fronts, ask)
    there = count(fronts, db.tenant_network)
    assert found[201] == there - 1
    assert there == max(ALLOWED, after[0])
