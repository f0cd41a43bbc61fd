"""A real probe of the whole update path: a job that changes nothing, whose message has to come back.

It is a dry run of setting a tag on the cluster. Ganeti runs such a job up to the point where it would change
something (mcpu.py, _ExecLU: no Exec, the configuration is not written), so no tag is ever set; eventd knows the tag
and sends a HEARTBEAT with the rest of it, and whoever applies that writes `probe.received`.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Engine

from frontend.database import db
from ganeti_ext.errors import ExtError, RapiError, RapiUnavailable
from ganeti_ext.event import HEARTBEAT_TAG

TIMEOUT = 10.0  # seconds
_KEPT = 86400.0  # seconds
_LOOK = 0.05  # seconds: the database tells of no change by itself


class RemoteApi(Protocol):
    """ganeti_ext.rapi.Rapi."""

    def get(self, path: str) -> Any: ...

    def submit(self, method: str, path: str, body: object = None, query: Any = None) -> int: ...


def send(engine: Engine, rapi: RemoteApi, clock: Callable[[], float] = time.time) -> tuple[str, int]:
    """Start a probe: its id, and the number of its job.

    Raises SQLAlchemyError, and ExtError where Ganeti does not take the job; there is no probe then.
    """
    ident, now = str(uuid.uuid4()), clock()
    with engine.begin() as connection:
        connection.execute(delete(db.probe).where(db.probe.c.sent < now - _KEPT))
        # First, so that the message finds it, however fast it is.
        connection.execute(insert(db.probe).values(id=ident, sent=now, received=None))
    try:
        return ident, rapi.submit("PUT", "tags", query={"tag": f"{HEARTBEAT_TAG}{ident}", "dry-run": 1})
    except (RapiError, RapiUnavailable) as err:
        with engine.begin() as connection:
            connection.execute(delete(db.probe).where(db.probe.c.id == ident))
        raise ExtError(f"Ganeti's remote API took no probe: {err}") from err


def run(engine: Engine, rapi: RemoteApi, timeout: float = TIMEOUT) -> float:
    """Send a probe and wait until its message is applied: the seconds that it took.

    ExtError says how far it came: not taken by Ganeti, not run, or run without a word of it.
    """
    ident, job = send(engine, rapi)
    sent = time.monotonic()
    seen = threading.Event()
    while time.monotonic() - sent < timeout:
        with engine.connect() as connection:
            row = connection.execute(select(db.probe.c.received).where(db.probe.c.id == ident)).one()
        if row.received is not None:
            return time.monotonic() - sent
        seen.wait(_LOOK)
    raise ExtError(_lost(rapi, job, timeout))


def _lost(rapi: RemoteApi, job: int, timeout: float) -> str:
    try:
        status = str(rapi.get(f"jobs/{job}")["status"])
    except (ExtError, LookupError, TypeError) as err:
        return f"Ganeti took the probe as job {job}, and then nothing was heard for {timeout:g} s: {err}"
    if status in ("queued", "waiting", "running", "canceling"):
        return (
            f"Ganeti took the probe as job {job}, which is still {status} after {timeout:g} s: see gnt-job info {job}"
        )
    return (
        f"job {job} of the probe ended ({status}), but its message did not come within {timeout:g} s: see eventd on"
        " the master (ganeti-ext-events status), the broker, and ganeti-ext-consumer here"
    )
