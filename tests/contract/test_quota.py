"""Quotas hold when many ask at once, on SQLite and on PostgreSQL: who counts is alone until his row is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from frontend.compute import quotas
from frontend.database import db
from frontend.image import imagequota
from frontend.network import networkquota
from frontend.settings import Front, Quota
from frontend.volume import volumequota
from tests.unit.frontend import volumes
from tests.unit.frontend.conftest import COMPUTE, MINE, NET, SMALL, Api, FakeRapi
from tests.unit.frontend.conftest import IMAGE as IMAGE_ID
from tests.unit.frontend.images import DATA, IMAGES, Site, make, shown

CALLERS, FITTING = 6, 2
GIB = 1 << 30


class Rapi(FakeRapi):
    """For many threads."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def submit(self, *call: Any, **more: Any) -> int:
        with self._lock:
            return super().submit(*call, **more)


@pytest.fixture
def site(each_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A front whose counts take a while to get around: who is not alone counts before another's row is there."""
    for module in (imagequota, volumequota, quotas, networkquota):
        monkeypatch.setattr(module, "used", slow(module.used))
    quota = Quota(images=50, image_gigabytes=11, volumes=50, gigabytes=5, snapshots=50)
    return Site(Front(database=each_database, secret_file=f"{tmp_path}/secret"), Rapi(), tmp_path, quota)


def slow(count: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*args: Any) -> Any:
        found = count(*args)
        time.sleep(0.1)
        return found

    return counted


def at_once(site: Site, ask: Callable[[Api, int], Any], callers: int = CALLERS) -> list[int]:
    """The statuses of answers to as many callers."""
    ready, found = threading.Barrier(callers), []

    def call(number: int) -> None:
        app = site.nobody.client.application
        api = Api(app.test_client(), site.nobody.engine, site.nobody.rapi)
        api.token = site.alice.token
        ready.wait(30)
        found.append(answered(lambda: ask(api, number)))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found)


def answered(ask: Callable[[], Any]) -> int:
    """The status. Who waits for his turn too long, as the machine does much else, is told 503, and comes again."""
    end = time.monotonic() + 60
    while (status := int(ask().status_code)) == 503:
        assert time.monotonic() < end
    return status


def some(good: int, bad: int) -> list[int]:
    return sorted([good] * FITTING + [bad] * (CALLERS - FITTING))


def test_new_servers(site: Site) -> None:
    give(site, max_servers=FITTING, max_cores=50)
    sent = {"server": {"name": "web", "flavorRef": SMALL, "imageRef": IMAGE_ID, "networks": [{"uuid": NET}]}}
    assert at_once(site, lambda api, _: api.call("POST", f"{COMPUTE}/servers", json=sent)) == some(202, 403)
    with site.nobody.engine.connect() as connection:
        assert len(db.rows(connection, select(db.server))) == FITTING
        assert len(db.rows(connection, select(db.reservation))) == FITTING, "till their jobs are over"


def test_new_servers_of_several_at_once(site: Site) -> None:
    """As many as fit, whoever comes first; and no more than fit, all together."""
    give(site, max_servers=7, max_cores=50)
    sent = {"name": "web", "flavorRef": SMALL, "imageRef": IMAGE_ID, "networks": [{"uuid": NET}]}
    more = {"server": {**sent, "min_count": 1, "max_count": 3}}
    found = at_once(site, lambda api, _: api.call("POST", f"{COMPUTE}/servers", json=more))
    assert found == sorted([202] * 3 + [403] * 3)
    with site.nobody.engine.connect() as connection:
        assert len(db.rows(connection, select(db.server))) == 7


def test_new_ports(site: Site) -> None:
    """In a network that Ganeti does not have yet: what a project may have is all that is in the way."""
    give(site, max_servers=50, max_ports=FITTING + 1)
    site.nobody.server()
    own = {"id": "0bbbbbbb-5555-4000-8000-000000000005", "project_id": MINE, "name": "own", "created": 1.0, "facts": {}}
    with site.nobody.engine.begin() as connection:
        connection.execute(insert(db.tenant_network).values(own))
    sent = {"port": {"network_id": own["id"]}}
    assert at_once(site, lambda api, _: api.call("POST", "/network/v2.0/ports", json=sent)) == some(201, 409)
    with site.nobody.engine.connect() as connection:
        assert len(db.rows(connection, select(db.port))) == FITTING


def test_servers_that_grow(site: Site) -> None:
    give(site, max_servers=50, max_cores=CALLERS + FITTING, max_ram=-1)
    with site.nobody.engine.begin() as connection:
        connection.execute(insert(db.flavor).values(id="f-two", name="two", vcpus=2, ram=512, disk=5))
    idents = [site.nobody.server(power="SHUTOFF", status="SHUTOFF")["id"] for _ in range(CALLERS)]

    def resize(api: Api, number: int) -> Any:
        path = f"{COMPUTE}/servers/{idents[number]}/action"
        return api.call("POST", path, json={"resize": {"flavorRef": "f-two"}})

    assert at_once(site, resize) == some(202, 403)


def test_new_volumes(site: Site) -> None:
    path = f"{volumes.VOLUMES}/volumes"
    found = at_once(site, lambda api, _: api.call("POST", path, json={"volume": {"size": 2}}))
    assert found == some(202, 413)


def test_snapshots_of_volumes(site: Site) -> None:
    key = volumes.add(site.nobody, size=1)
    path, sent = f"{volumes.VOLUMES}/snapshots", {"snapshot": {"volume_id": key}}
    limit(site, FITTING + 1)
    assert at_once(site, lambda api, _: api.call("POST", path, json=sent)) == some(202, 413)


def test_volumes_that_grow(site: Site) -> None:
    keys = [volumes.add(site.nobody, number, size=1) for number in range(CALLERS)]
    limit(site, CALLERS + FITTING)

    def extend(api: Api, number: int) -> Any:
        path = f"{volumes.VOLUMES}/volumes/{keys[number]}/action"
        return api.call("POST", path, json={"os-extend": {"new_size": 2}})

    assert at_once(site, extend) == some(202, 413)
    with site.nobody.engine.connect() as connection:
        found = db.rows(connection, select(db.volume))
    assert sorted(row["status"] for row in found) == ["available"] * (CALLERS - FITTING) + ["extending"] * FITTING
    free = next(row["id"] for row in found if row["status"] == "available")
    assert extend(site.alice, keys.index(free)).status_code == 413, "still taken"


def test_images_of_servers(site: Site) -> None:
    rows = [site.nobody.server(disk=5) for _ in range(CALLERS)]

    def create(api: Api, number: int) -> Any:
        path = f"{COMPUTE}/servers/{rows[number]['id']}/action"
        return api.call("POST", path, json={"createImage": {"name": "x"}})

    assert at_once(site, create) == some(202, 403)


def test_new_images(site: Site) -> None:
    for number in range(50 - FITTING):
        site.put(f"0aaaaaaa-0000-4000-8000-{number:012x}"[:24] + f"1{number:011x}")
    found = at_once(site, lambda api, _: api.call("POST", IMAGES, json={"name": "x"}))
    assert found == some(201, 403)


@pytest.mark.parametrize("is_announced", [True, False], ids=["announced", "chunked"])
def test_uploads(site: Site, is_announced: bool) -> None:
    """Of such that say how long they are, what does not fit is not taken; others are taken back at their end."""
    idents = [make(site.alice) for _ in range(CALLERS)]
    site.put("0aaaaaaa-0000-4000-8000-100000000000", size=11 * GIB - FITTING * len(DATA) - 5)

    def send(api: Api, number: int) -> Any:
        path, headers = f"{IMAGES}/{idents[number]}/file", {"Content-Type": "application/octet-stream"}
        if is_announced:
            return api.call("PUT", path, data=DATA, headers=headers)
        environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        headers["Transfer-Encoding"] = "chunked"
        return api.call("PUT", path, input_stream=BytesIO(DATA), headers=headers, environ_overrides=environ)

    assert at_once(site, send) == some(204, 413)
    statuses = [shown(site.alice, ident)["status"] for ident in idents]
    assert sorted(statuses) == ["active"] * FITTING + ["queued"] * (CALLERS - FITTING)
    assert site.stored() == sorted(f"{ident}.raw" for ident, status in zip(idents, statuses, strict=True)
                                   if status == "active")  # fmt: skip
    with site.nobody.engine.connect() as connection:
        assert imagequota.used(connection, MINE)[1] == 11 * GIB - 5


def limit(site: Site, gigabytes: int) -> None:
    give(site, max_gigabytes=gigabytes)


def give(site: Site, **columns: int) -> None:
    with site.nobody.engine.begin() as connection:
        connection.execute(update(db.project).where(db.project.c.id == MINE).values(columns))
