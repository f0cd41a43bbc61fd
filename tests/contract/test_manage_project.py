"""ganeti-ext-manage: projects' limits and credits, and the report of what they have used."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from frontend.database import db
from frontend.usage import meter, spans
from tests.contract.manage_site import Manage

BEGIN = 1_700_006_400.0  # 2023-11-15, midnight
HOUR = 3600.0
PERIOD = ("--from", "2023-11-15", "--to", "2023-11-16T00:00:00+00:00")


@pytest.fixture
def manage(tmp_path: Path) -> Manage:
    return Manage(tmp_path)


def test_limits_of_a_project(manage: Manage) -> None:
    ident = manage.ok("project-create", "blue", "--servers", "3", "--image-gigabytes", "7", "--networks", "-1").strip()
    (row,) = manage.rows(db.project)
    assert (row["id"], row["max_servers"], row["max_cores"]) == (ident, 3, -2)
    assert (row["max_image_gigabytes"], row["max_networks"], row["max_images"]) == (7, -1, None)
    manage.ok("project-modify", "blue", "--servers", "default", "--networks", "default", "--addresses", "2")
    (row,) = manage.rows(db.project)
    assert (row["max_servers"], row["max_networks"], row["max_addresses"]) == (-2, None, 2)
    shown = manage.ok("project-show", "blue").splitlines()
    assert "servers               10     default" in shown
    assert "image_gigabytes       7      own" in shown
    assert "20" in manage.ok("project-list")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--servers", "-2"), "-2 is below 0, and not -1"),
        (("--servers", "many"), "invalid limit value: 'many'"),
        (("--ram", "2147483648"), "or above 2147483647"),
        (("--credits", "-1"), "-1: expected credits from 0 on"),
        (("--credits", "nan"), "nan: expected credits"),
    ],
)
def test_what_is_no_limit(manage: Manage, args: tuple[str, ...], words: str) -> None:
    manage.ok("project-create", "blue")
    assert words in manage.refused("project-modify", "blue", *args, code=2)


def test_credits_of_a_project(manage: Manage) -> None:
    manage.ok("project-create", "blue", "--credits", "100")
    (row,) = manage.rows(db.budget)
    assert row["credits"] == 100.0
    manage.ok("project-modify", "blue", "--credits", "+50.5")
    (row,) = manage.rows(db.budget)
    assert row["credits"] == 150.5
    assert "150.50" in manage.ok("project-show", "blue")
    manage.ok("project-modify", "blue", "--credits", "none")
    assert manage.rows(db.budget) == []
    assert "no budget that more could be added to" in manage.refused("project-modify", "blue", "--credits", "+1")
    assert "nothing is to be changed" in manage.refused("project-modify", "blue")


def test_what_projects_have_used(manage: Manage) -> None:
    blue, red = (manage.ok("project-create", name).strip() for name in ("blue", "red"))
    flavor = manage.ok(
        *["flavor-create", "small", "--vcpus", "2", "--ram", "1024", "--disk", "10", "--extra-spec", "credits:hour=1.5"]
    )
    assert "is no number of credits" in manage.refused(
        "flavor-set", "small", "--extra-spec", "credits:hour=dear", code=2
    )
    server = {"alive": True, "project_id": blue, "flavor_id": flavor.strip(), "vcpus": 2, "ram": 1024, "gib": 10.0}
    volume = {"alive": True, "project_id": red, "flavor_id": "cow", "gib": 5.0}
    engine = create_engine(f"sqlite:///{manage.folder}/front.db")
    with engine.begin() as connection:
        meter.agree(connection, spans.SERVER, "s", server, BEGIN - HOUR)
        meter.agree(connection, spans.SERVER, "s", {"vcpus": 4}, BEGIN + HOUR)
        meter.agree(connection, spans.SERVER, "s", {"alive": False}, BEGIN + 3 * HOUR + 1)
        meter.agree(connection, spans.VOLUME, "v", volume, BEGIN + 22 * HOUR)
        meter.address(connection, "p", blue, BEGIN + 23.5 * HOUR)
    engine.dispose()
    found = {(line["project"], line["kind"]): line for line in json.loads(report(manage, "json"))}
    assert set(found) == {("blue", "server"), ("blue", "address"), ("red", "volume")}
    line = found["blue", "server"]
    assert (line["flavor"], line["count"], line["server_hours"]) == ("small", 1, 3.000278)
    assert line["core_hours"] == pytest.approx(2 + 8 + 4 / 3600, abs=1e-6)
    assert (line["ram_gib_hours"], line["credits"]) == (3.000278, pytest.approx(4.500417, abs=1e-6))
    assert found["red", "volume"]["volume_gib_hours"] == 10.0
    assert found["blue", "address"]["address_hours"] == 0.5
    rows = list(csv.DictReader(io.StringIO(report(manage, "csv"))))
    assert [(row["project_id"], row["kind"]) for row in rows] == [(blue, "address"), (blue, "server"), (red, "volume")]
    assert rows[1]["server_hours"] == "3.000278"
    head, line = report(manage, "table", "--project", "red").splitlines()
    assert head.split() == ["PROJECT", "KIND", "FLAVOR", "COUNT", "VOLUME", "GIB", "HOURS", "CREDITS"]
    assert line.split() == ["red", "volume", "cow", "1", "10.00", "0.00"]
    assert "not before" in manage.refused("usage-report", "--from", "2023-11-16", "--to", "2023-11-15")
    assert "is no ISO 8601 time" in manage.refused("usage-report", "--from", "soon", code=2)


def report(manage: Manage, shape: str, *more: str) -> str:
    return manage.ok("usage-report", *PERIOD, "--format", shape, *more)
