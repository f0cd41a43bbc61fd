"""Rows of volumes, and what tests of Block Storage ask."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select

from frontend.database import db
from frontend.volume import volumestate
from tests.unit.frontend.conftest import ALICE, FOREIGN, MINE, Api

VOLUMES = f"/volume/v3/{MINE}"
THEIRS = f"/volume/v3/{FOREIGN}"
SERVER = "0ddddddd-0000-4000-8000-00000000000d"


def ident(number: int) -> str:
    return f"0dd00000-0000-4000-8000-{number:012x}"


def add(api: Api, number: int = 1, **changes: Any) -> str:
    """A volume of project `mine`, that its holder has, unless changed; its id."""
    key = ident(number)
    row = {
        **volumestate.new_row(key, f"gx-vol-{key}", {}, 1_700_000_000.0 + number),
        "project_id": MINE,
        "user_id": ALICE,
        "name": f"vol-{number}",
        "type": "cow",
        "size": 2,
        "held": True,
        "job": 50,
        **changes,
    }
    with api.engine.begin() as connection:
        connection.execute(insert(db.volume).values({**row, "status": volumestate.status(row)}))
    return key


def attached(api: Api, number: int = 1, **changes: Any) -> str:
    """One that a running server of project `mine` has as its third disk."""
    key = ident(number)
    disks = [
        {"name": None, "uuid": "u0", "size": 5120},
        {"name": None, "uuid": "u1", "size": 1},
        {"name": f"vol-{key}", "uuid": "u2", "size": 2048},
    ]
    api.server(id=SERVER, disks=disks)
    place = {"server_id": SERVER, "device": "/dev/vdc", "attached": 1_700_000_100.0, "held": False}
    return add(api, number, **{**place, **changes})


def row(api: Api, key: str) -> dict[str, Any]:
    with api.engine.connect() as connection:
        found = db.row(connection, select(db.volume).where(db.volume.c.id == key))
    assert found is not None
    return found


def snapshot(api: Api, volume: str, number: int = 1, **changes: Any) -> str:
    key = f"0dd11111-0000-4000-8000-{number:012x}"
    values = {
        "id": key,
        "volume_id": volume,
        "project_id": MINE,
        "user_id": ALICE,
        "name": "snap",
        "size": 2,
        "status": "available",
        "provider": "cow",
        "created": 1.0,
        "updated": 1.0,
        **changes,
    }
    with api.engine.begin() as connection:
        connection.execute(insert(db.volume_snapshot).values(values))
    return key


def at(minor: int | str) -> dict[str, str]:
    """The headers of a request by microversion 3.MINOR, or `latest`."""
    return {"OpenStack-API-Version": f"volume {minor if isinstance(minor, str) else f'3.{minor}'}"}


def shown(api: Api, key: str, minor: int = 0) -> dict[str, Any]:
    answer = api.get(f"{VOLUMES}/volumes/{key}", headers=at(minor))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json["volume"]  # type: ignore[index]
    return found


def act(api: Api, key: str, action: str, argument: Any = None, expect: int = 202, minor: int = 0) -> Any:
    """Do something to a volume by microversion 3.MINOR; what the answer holds."""
    url, sent = f"{VOLUMES}/volumes/{key}/action", {action: {} if argument is None else argument}
    answer = api.call("POST", url, json=sent, headers=at(minor))
    assert answer.status_code == expect, answer.text
    return answer.json if answer.data else None


def message(answer: Any) -> str:
    """The words of a refusal, in Cinder's shape."""
    ((name, said),) = answer.items()
    assert name in ("badRequest", "itemNotFound", "conflictingRequest", "overLimit", "forbidden", "notImplemented")
    assert set(said) == {"code", "message"}
    return str(said["message"])
