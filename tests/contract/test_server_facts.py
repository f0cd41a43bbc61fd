"""What a server is to its tenant, written into the tags of an instance of a real Ganeti."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from frontend.app import create_app
from frontend.database import db
from frontend.effect import facts
from frontend.settings import Front, Settings
from frontend.web.fault import Conflict
from ganeti_ext import event, tags
from ganeti_ext.rapi import Rapi
from tests.contract.ganeti_node import GanetiNode
from tests.contract.kvm_ifup_node import needs_node

pytestmark = [pytest.mark.lab, needs_node]

IDENT = "0aaaaaaa-0000-4000-8000-000000000001"
INSTANCE = f"gx-{IDENT}"
FACTS = {"server": IDENT, "project": "p", "user": "u", "name": "web", "flavor": "f", "image": "i"}


@pytest.fixture(scope="module")
def cluster(ganeti: GanetiNode) -> GanetiNode:
    ganeti.instance(INSTANCE, "--no-start", f"--tags={','.join(tags.encode(FACTS))}")
    return ganeti


@pytest.fixture
def app(cluster: GanetiNode, tmp_path: Path) -> Flask:
    rapi = Rapi("https://127.0.0.1:5080", "front", "password", str(cluster.path("/var/lib/ganeti/rapi.pem")))
    front = Front(database=f"sqlite:///{tmp_path}/front.db", secret_file=f"{tmp_path}/secret")
    made = create_app(Settings(front=front), rapi)
    with made.extensions["ganeti-ext"].engine.begin() as connection:
        owned = {"project_id": "p", "user_id": "u", "flavor_id": "f", "image_id": "i"}
        sizes = {"vcpus": 1, "ram": 128, "disk": 1, "nics": [], "created": 1.0, "updated": 1.0}
        connection.execute(
            insert(db.server).values(id=IDENT, instance=INSTANCE, status="SHUTOFF", name="web", **owned, **sizes)
        )
    return made


def row(app: Flask) -> dict[str, Any]:
    with app.extensions["ganeti-ext"].engine.connect() as connection:
        return db.rows(connection, select(db.server))[0]


def change(cluster: GanetiNode, app: Flask, *wanted: Any, **more: Any) -> list[int]:
    with app.test_request_context(), cluster.network():
        return facts.change(row(app), *wanted, **more)


def ends(cluster: GanetiNode, app: Flask, jobs: list[int]) -> list[str]:
    """How the jobs ended, in their order."""
    wanted = ["|", *(["=", "id", job] for job in jobs)]
    end = time.monotonic() + 60
    while True:
        with cluster.network():
            found = app.extensions["ganeti-ext"].clusters.rapi("").query("job", ("id", "status"), wanted)
        told = {each["id"]: each["status"] for each in found}
        if set(told.values()) <= event.FINAL or time.monotonic() > end:
            return [told[job] for job in jobs]
        time.sleep(0.1)  # Ganeti tells of no job's end but who asks for it


def said(cluster: GanetiNode, app: Flask, wanted: tuple[dict[str, str], dict[str, str]]) -> None:
    """The instance's tags say this; luxid tells so up to 0.25 s after the jobs."""
    end = time.monotonic() + 5
    while True:
        with cluster.network():
            found = app.extensions["ganeti-ext"].clusters.rapi("").get(f"instances/{INSTANCE}/tags")
        if (tags.decode(found), tags.metadata(found)) == wanted or time.monotonic() > end:
            assert (tags.decode(found), tags.metadata(found)) == wanted
            return
        time.sleep(0.05)


def test_changes_one_after_the_other_before_any_was_told(cluster: GanetiNode, app: Flask) -> None:
    jobs = change(cluster, app, {"description": "ü" * 255, "label": "a,b"}, metadata={"role": "db"}, name="Größe 1")
    jobs += change(cluster, app, {"description": "short", "label": None}, metadata={"role": "web", "x": ""})
    jobs += change(cluster, app, {"description": None}, metadata={"x": None}, name="web")
    assert ends(cluster, app, jobs) == ["success"] * len(jobs)
    said(cluster, app, (FACTS, {"role": "web"}))
    assert row(app)["metadata"] == {"role": "web"}


def test_more_than_one_call_takes(cluster: GanetiNode, app: Flask) -> None:
    most = {f"{number}" + "ü" * 254: "*" * 255 for number in range(3)}
    jobs = change(cluster, app, metadata=most)
    assert len(jobs) > 1
    assert ends(cluster, app, jobs) == ["success"] * len(jobs)
    with app.extensions["ganeti-ext"].engine.begin() as connection:
        connection.execute(update(db.server).values(wished=None))  # as its messages do
    said(cluster, app, (FACTS, most))
    jobs = change(cluster, app, metadata=dict.fromkeys(most))
    assert ends(cluster, app, jobs) == ["success"] * len(jobs)
    said(cluster, app, (FACTS, {}))


def test_a_tag_that_is_not_there_fails_the_job(cluster: GanetiNode, app: Flask) -> None:
    with app.extensions["ganeti-ext"].engine.begin() as connection:
        wish = {"facts": {"jobs": [1], "held": None, "floor": None}}
        connection.execute(update(db.server).values(facts={"key": "never"}, wished=wish))
    assert ends(cluster, app, change(cluster, app, {"key": None})) == ["error"]


def test_an_instance_that_there_is_not(cluster: GanetiNode, app: Flask) -> None:
    with app.extensions["ganeti-ext"].engine.begin() as connection:
        connection.execute(update(db.server).values(instance="gx-none", status="ERROR"))
    with pytest.raises(Conflict, match="was never built"):
        change(cluster, app, name="x")
