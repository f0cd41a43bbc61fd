"""A front with two clusters: Ganeti is pretended in both, and one may be silent."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from frontend.database import db
from frontend.effect import clusters
from frontend.settings import Front
from ganeti_ext import tags
from tests.unit.frontend.conftest import MINE, Api, FakeRapi, serve

SECOND = "two.example"
NET2 = "0bbbbbbb-0000-4000-8000-000000000002"


class Two:
    """`api` is a member's; `home` and `second` write down what they were asked."""

    def __init__(self, front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.second = FakeRapi(), FakeRapi()
        self.second.of_cluster = SECOND  # type: ignore[attr-defined]
        self.second.job = 500
        monkeypatch.setattr(clusters, "made", lambda *_: self.second)
        nobody = serve(front, self.home)
        self.engine, self.nobody = nobody.engine, nobody
        now = time.time()
        cluster = {"added": now, "seen": now, "told": now}
        self.put(db.cluster, id="", name="one.example", uuid="u1", **cluster)
        self.put(db.cluster, id=SECOND, name=SECOND, uuid="u2", url="https://two:5080", user="front", password="",
                 ca="", storage="", **cluster)  # fmt: skip
        for name, free in (("", 1000), (SECOND, 4000)):
            up = {"offline": False, "drained": False, "vm_capable": True, "cpus": 8, "memory": 8000, "updated": now}
            self.put(db.node, cluster=name, name="node1", zone="default", memory_free=free, **up)
        self.put(db.network, id=NET2, cluster=SECOND, name="net1", subnet="10.9.0.0/24", gateway="10.9.0.1", tags=[],
                 updated=now)  # fmt: skip
        self.api: Api = nobody.become("alice")

    def put(self, table: Any, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(insert(table).values(values))

    def set(self, cluster: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(db.cluster).where(db.cluster.c.id == cluster).values(values))

    def rows(self, table: Any) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return db.rows(connection, select(table))

    def pin(self, cluster: str) -> None:
        self.put(db.cluster_pin, project_id=MINE, cluster=cluster)

    def tenant_network(self, ident: str, cluster: str | None) -> None:
        """Of project `mine`; with a cluster, Ganeti has it there."""
        self.put(db.tenant_network, id=ident, project_id=MINE, name="own", created=1.0, cluster=cluster)
        if cluster is not None:
            self.put(db.network, id=f"{ident[:-1]}f", cluster=cluster, name=f"own.{ident}", subnet="10.1.0.0/24",
                     tags=tags.encode({"project": MINE}), updated=1.0)  # fmt: skip


@pytest.fixture
def two(front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Two:
    return Two(front, monkeypatch)
