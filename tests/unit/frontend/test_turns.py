"""Who writes after whom."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from frontend.database import turns


class Other(threading.Thread):
    """Opens a writer's connection, and says so."""

    def __init__(self, engine: Any) -> None:
        super().__init__(daemon=True)
        self._engine = engine
        self.is_in = threading.Event()

    def run(self) -> None:
        with turns.writer(self._engine):
            self.is_in.set()


def test_on_sqlite_one_of_a_process_writes_at_a_time() -> None:
    engine = create_engine("sqlite://")
    other = Other(engine)
    with turns.writer(engine):
        other.start()
        assert not other.is_in.wait(0.1)
    assert other.is_in.wait(10)


def test_who_fails_is_in_nobodys_way() -> None:
    engine = create_engine("sqlite://")
    with pytest.raises(RuntimeError), turns.writer(engine):
        raise RuntimeError
    other = Other(engine)
    other.start()
    assert other.is_in.wait(10)


def test_another_process_is_waited_for_as_long_as_sqlite_waits(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/front.db", connect_args={"timeout": 0.1})
    with sqlite3.connect(tmp_path / "front.db") as theirs:
        theirs.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked"), turns.writer(engine):
            pytest.fail("there are two writers")
        engine.dispose()
        patient = create_engine(f"sqlite:///{tmp_path}/front.db", connect_args={"timeout": 10})
        other = Other(patient)
        other.start()
        assert not other.is_in.wait(0.1)
    theirs.close()
    assert other.is_in.wait(10)
    other.join()
    with patient.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 10_000


def test_postgresql_has_many_writers() -> None:
    engine = MagicMock()
    engine.dialect.name = "postgresql"
    with turns.writer(engine):
        other = Other(engine)
        other.start()
        assert other.is_in.wait(10)
