"""The room of a pool, by what `ceph df --format=json` of a Ceph 18 said."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from extstorage import rbd_room
from extstorage.rbd_settings import Settings

STATS = {"stored": 19, "objects": 2, "kb_used": 1, "bytes_used": 57, "max_avail": 4080193280}
POOLS = [{"name": "other", "id": 1, "stats": {}}, {"name": "rbd", "id": 2, "stats": STATS}]


@pytest.mark.parametrize(
    ("pools", "room"),
    [
        (POOLS, (4080193299, 4080193280)),
        ([{"name": "rbd", "id": 2, "stats": {"bytes_used": 5, "max_avail": 7}}], (12, 7)),
        (POOLS[:1], None),
        ([], None),  # without a manager
    ],
)
def test_room(monkeypatch: pytest.MonkeyPatch, pools: list[Any], room: tuple[int, int] | None) -> None:
    @contextlib.contextmanager
    def connected(_: Settings) -> Iterator[None]:
        yield

    monkeypatch.setattr(rbd_room, "Pool", connected)
    monkeypatch.setattr(rbd_room, "_ask", lambda *_: json.dumps({"stats": {}, "pools": pools}))
    assert rbd_room.capacity(Settings()) == room
