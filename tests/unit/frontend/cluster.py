"""A cluster for tests of the comparison: what its remote API would say, from lists that a test fills."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.reconcile.difference import Difference
from frontend.reconcile.reconcile import Reconciler
from ganeti_ext import event
from ganeti_ext.errors import RapiUnavailable
from ganeti_ext.rapi import Query
from tests.unit.frontend import remote, updates
from tests.unit.frontend.updates import BEGIN, IDENT, row

NOW = BEGIN + 10_000.0
CLUSTER = "0c1f8a4e-5f1d-4c3f-9a80-d8b7e1a6f001"


class FakeRapi:
    """Answers from lists and writes down what it was asked; it has no way to change anything."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.paused: list[float] = []
        self.instances: list[dict[str, Any]] = []
        self.networks: list[dict[str, Any]] = []
        self.groups: list[dict[str, Any]] = [{"name": "default", "node_cnt": 3}]
        self.nodes: list[dict[str, Any]] = []
        self.jobs: list[dict[str, Any]] = []
        self.cluster = CLUSTER
        self.tags: list[str] = []
        self.down = False
        self.meanwhile: Callable[[], None] | None = None
        """Called when the instances are asked for."""

    def get(self, path: str, query: Query | None = None) -> Any:
        self._ask(path)
        if path == "tags":
            return list(self.tags)
        assert (path, query) == ("info", None)
        return {"name": "cluster.lab", "uuid": self.cluster, "tags": self.tags}

    def query(self, what: str, fields: Sequence[str], wanted: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        self._ask(what)
        if what == "instance" and self.meanwhile:
            self.meanwhile()
        answer = remote.table(vars(self), f"query/{what}", fields, wanted)
        return [dict(zip(fields, (value for _, value in line), strict=True)) for line in answer["data"]]

    def pause(self, seconds: float) -> None:
        self.asked.append("pause")
        self.paused.append(seconds)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.down:
            raise RapiUnavailable("RAPI n1:5080: connection refused")


def job(status: str, opcode: str = "CREATE", number: int = 10, result: Any = None) -> dict[str, Any]:
    """An entry of query/job, with one opcode on our instance."""
    return {
        "id": number,
        "status": status,
        "summary": [f"INSTANCE_{opcode}({updates.NAME})"],
        "opstatus": [status],
        "opresult": [result],
        "opend": [[BEGIN + 7, 250_000] if status in event.FINAL else None],
    }


def network(**fields: Any) -> dict[str, Any]:
    """An entry of query/network: .1 is the gateway's, .2 that of updates.instance()."""
    known = {
        "uuid": "u-blue",
        "name": "blue",
        "network": "10.0.0.0/29",
        "gateway": "10.0.0.1",
        "network6": None,
        "gateway6": None,
        "tags": ["nfdhcpd"],
        "map": "XXX....X",
        "external_reservations": "10.0.0.0, 10.0.0.1, 10.0.0.7",
        "group_list": [["default", "bridged", "br0", ""]],
    }
    return {**known, **fields}


class Both:
    """A database, a cluster, and who compares them."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.engine: Engine = db.connect_writer(url or f"sqlite:///{folder}/front.db")
        self.rapi = FakeRapi()
        self.now = NOW
        self.reconciler = Reconciler(self.engine, self.rapi, "gx-", clock=lambda: self.now, pause=self.rapi.pause)

    def add(self, **columns: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(insert(db.server).values(row(**columns)))

    def found(self) -> list[Difference]:
        return self.reconciler.compare().found

    def mended(self) -> list[str]:
        """What was found, and once mended, is found no more."""
        found = self.found()
        assert self.reconciler.mend(found) == found
        assert self.found() == []
        return [str(each) for each in found]

    def server(self, ident: str = IDENT) -> dict[str, Any]:
        with self.engine.connect() as connection:
            found = db.row(connection, select(db.server).where(db.server.c.id == ident))
        assert found is not None
        return found

    def servers(self) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return db.rows(connection, select(db.server).order_by(db.server.c.id))


def running(**columns: Any) -> dict[str, Any]:
    """The columns of a row that is as `updates.instance()` says."""
    known = {
        "status": "ACTIVE",
        "power": "ACTIVE",
        "task": None,
        "host": "n1",
        "nics": [updates.SHOWN_NIC],
        "created": BEGIN - 1000.0,
        "vcpus": 2,
        "ram": 512,
        "disk": 3,
        "disks": [{"name": None, "uuid": "d1", "size": 3072}],
    }
    return {**known, **columns}
