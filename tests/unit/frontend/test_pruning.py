"""Rows that nobody asks for any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.settings import Front
from frontend.update import actions
from frontend.update.pruning import AT_ONCE, PERIOD, Pruning
from ganeti_ext.errors import ConfigError
from tests.unit.frontend.updates import BEGIN, op

DAY = 86_400


def fill(engine: Engine, ages: list[float]) -> None:
    """An action, a request and a probe of each age, in days before BEGIN."""
    told = [actions.told(None, op("STARTUP", "success", job=number), None).row for number in range(len(ages))]
    with engine.begin() as connection:
        connection.execute(
            insert(db.action),
            [{**(row or {}), "updated": BEGIN - age * DAY} for row, age in zip(told, ages, strict=True)],
        )
        connection.execute(
            insert(db.probe), [{"id": str(number), "sent": BEGIN - age * DAY} for number, age in enumerate(ages)]
        )
        asked = {"server_id": "s", "action": "reboot", "user_id": "u", "project_id": "p", "jobs": []}
        connection.execute(
            insert(db.request),
            [{**asked, "id": f"req-{number}", "began": BEGIN - age * DAY} for number, age in enumerate(ages)],
        )


def count(engine: Engine, table: Any) -> int:
    with engine.connect() as connection:
        found = connection.execute(select(func.count()).select_from(table)).scalar()
    return int(found or 0)


@pytest.mark.parametrize(("days", "kept"), [(30, 2), (1, 1), (0, 4)])
def test_what_is_older_than_the_days_goes(engine: Engine, days: float, kept: int) -> None:
    fill(engine, [0.5, 29.9, 30.1, 400])
    Pruning(engine, days, 24, lambda: float(BEGIN)).tick()
    assert (count(engine, db.action), count(engine, db.request), count(engine, db.probe)) == (kept, kept, 1)


def test_few_at_once(engine: Engine) -> None:
    fill(engine, [40.0] * (AT_ONCE + 7))
    prune = Pruning(engine, 30, 24, lambda: float(BEGIN))
    prune.tick()
    assert count(engine, db.action) == 7
    prune.tick()
    assert count(engine, db.action) == 0
    fill(engine, [40.0])
    looks = 0
    while count(engine, db.action):
        prune.tick()
        looks += 1
    assert looks * PERIOD == 60.0, "with nothing to do it looks each minute"


def test_a_database_that_is_away_is_no_harm(tmp_path: Path) -> None:
    gone = db.open_engine(f"sqlite:///{tmp_path}/none/front.db")
    Pruning(gone, 30, 24).tick()
    assert not (tmp_path / "none").exists()


def test_samples_go_by_the_hour(engine: Engine) -> None:
    used = {"began": "a", "cpu_ns": 1, "memory_kib": 1, "read": 1, "written": 1, "nics": []}
    ages = (0.5, 1.9, 2.1, 400)
    with engine.begin() as connection:
        new = [{"server_id": ident, "at": BEGIN - age * 3600, **used} for age in ages for ident in "ab"]
        connection.execute(insert(db.sample), new)
    Pruning(engine, 0, 2, lambda: float(BEGIN)).tick()
    with engine.connect() as connection:
        assert {row["at"] for row in db.rows(connection, select(db.sample))} == {BEGIN - 1800, BEGIN - 6840}


def test_days_below_zero_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[front\] keep_actions: -1"):
        Front(keep_actions=-1)
    with pytest.raises(ConfigError, match=r"\[front\] keep_samples: 0"):
        Front(keep_samples=0)
