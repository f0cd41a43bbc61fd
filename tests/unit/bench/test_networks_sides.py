"""The floor answers what the front answers, and what plays Ganeti does what the front's ports need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bench.api.ganeti import serve
from bench.api.inside import issue
from bench.api.population import ident
from bench.networks import floor, ganeti, inside, population, reads
from bench.networks.population import BIG, SMALL
from frontend import settings
from frontend.app import create_app
from frontend.database import db
from frontend.effect import remote
from tests.unit.frontend.remote import certificate

SIZE = 40, 300
NETWORK = "/network/v2.0"


@pytest.fixture
def cluster() -> ganeti.Cluster:
    return ganeti.Cluster()


@pytest.fixture
def conf(tmp_path: Path, cluster: ganeti.Cluster) -> Iterator[str]:
    made = certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_text(made.read_text() + (tmp_path / "key.pem").read_text())
    server = serve(str(both), 0, cluster.answer)
    lines = (
        "[front]",
        f"database = sqlite:///{tmp_path}/front.db",
        f"secret_file = {tmp_path}/secret",
        "tenant_link = br1",
        "[rapi]",
        f"url = https://127.0.0.1:{server.server_address[1]}",
        "user = front",
        "password = front",
        f"ca = {made}",
    )
    path = tmp_path / "frontend.conf"
    path.write_text("\n".join(lines) + "\n")
    inside.fill(str(path), SIZE)
    cluster.begin(str(path), *SIZE)
    yield str(path)
    server.server_close()


class Asked:
    """Both sides, for a user."""

    def __init__(self, conf: str, user: str) -> None:
        read = settings.read(conf)
        app = create_app(read, remote.of(read))
        (token,) = issue(conf, [user])
        self._ours, self._floor = app.test_client(), floor.make(read.front.database).test_client()
        self._headers = {"X-Auth-Token": token}, {"X-Auth-Token": ident("project", user)}

    def both(self, method: str, path: str, **sent: Any) -> tuple[Any, Any]:
        ours = self._ours.open(path, method=method, headers=self._headers[0], **sent)
        theirs = self._floor.open(path, method=method, headers=self._headers[1], **sent)
        assert ours.status_code == theirs.status_code < 300, (ours.text, theirs.text)
        return ours.get_json(), theirs.get_json()


def test_both_answer_the_same(conf: str) -> None:
    for user in (BIG, SMALL):
        asked = Asked(conf, user)
        for read in reads.questions(*SIZE):
            if read.user == user:
                ours, theirs = asked.both("GET", f"{NETWORK}{read.path}")
                shown = [value for key, value in ours.items() if not key.endswith("_links")]
                assert shown == list(theirs.values()), read.title
                assert read.entries in (None, len(shown[0])), read.title


def test_what_is_made_is_jobs_and_is_told(conf: str, cluster: ganeti.Cluster) -> None:
    asked, net = Asked(conf, BIG), population.nets(SIZE[0])[3]
    ours, theirs = asked.both("POST", f"{NETWORK}/ports", json={"port": {"network_id": net.id}})
    assert ours["port"].keys() == theirs["port"].keys()
    assert sum(count for call, count in cluster.calls().items() if call.startswith("PUT")) == 2
    path = f"/compute/v2.1/servers/{population.server_id(0)}/os-interface"
    ours, _ = asked.both("POST", path, json={"interfaceAttachment": {"net_id": net.id}})
    made = ours["interfaceAttachment"]
    assert (made["net_id"], made["fixed_ips"][0]["ip_address"]) == (net.id, "10.0.3.128")
    engine = db.open_engine(settings.read(conf).front.database)
    with engine.connect() as connection:
        nics = connection.execute(
            select(db.server.c.nics).where(db.server.c.id == population.server_id(0))
        ).scalar_one()
    engine.dispose()
    assert [nic.get("port") for nic in nics] == [None, made["port_id"]]
