"""What one POST /servers asks of the database: counted, so that it does not grow unseen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, update

from frontend.database import db
from tests.unit.frontend.conftest import COMPUTE, IMAGE, MINE, NET, SMALL, Api

_WHOLE = 22
"""Statements of an ordinary create, with the one that tells whose token it is."""
_ALONE = 8
"""Of these, those during which others wait: on SQLite all who write, on PostgreSQL who counts for the same project."""
_FURTHER = 6
"""Those of each further server of the same request."""


class Said:
    """Statements as they were said, and COMMIT."""

    def __init__(self, engine: Any) -> None:
        self.lines: list[str] = []
        event.listen(engine, "before_cursor_execute", lambda *given: self.lines.append(given[2]))
        event.listen(engine, "commit", lambda _: self.lines.append("COMMIT"))

    def transactions(self) -> list[list[str]]:
        """Those that wrote, each from its first write on, as from there on SQLite lets nobody else write."""
        found: list[list[str]] = [[]]
        for line in self.lines:
            if line == "COMMIT":
                found.append([])
            elif found[-1] or not line.startswith("SELECT"):
                found[-1].append(line)
        return [lines for lines in found if lines]


@pytest.fixture
def said(api: Api) -> Iterator[Said]:
    _create(api)  # what is remembered for good is read by the first
    yield Said(api.engine)


def _create(api: Api, **more: Any) -> None:
    new = {"name": "web", "flavorRef": SMALL, "imageRef": IMAGE, "networks": [{"uuid": NET}], **more}
    answer = api.call("POST", f"{COMPUTE}/servers", json={"server": new})
    assert answer.status_code == 202, answer.text


def test_an_ordinary_create(api: Api, said: Said) -> None:
    _create(api)
    asked = [line for line in said.lines if line != "COMMIT"]
    assert len(asked) <= _WHOLE, "\n".join(asked)
    counted, _there = said.transactions()
    assert len(counted) <= _ALONE, "\n".join(counted)


def test_each_further_server_is_not_counted_by_itself(api: Api, said: Said) -> None:
    with api.engine.begin() as connection:
        values = {f"max_{name}": 100_000 for name in ("servers", "cores", "ram", "ports")}
        connection.execute(update(db.project).where(db.project.c.id == MINE).values(**values))
    said.lines.clear()
    _create(api, min_count=2, max_count=5)
    asked = [line for line in said.lines if line != "COMMIT"]
    assert len(api.rapi.calls) == 1 + 5
    assert len(asked) <= _WHOLE + 4 * _FURTHER, "\n".join(asked)
