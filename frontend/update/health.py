"""Whether the update path is alive, part by part: what the database knows of it, judged.

Who asks is nobody in particular (load balancers), so nothing is told but numbers, and answers are remembered for a
second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flask import Response, current_app, jsonify, request
from sqlalchemy import func, select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from frontend.cluster import standing
from frontend.cluster.standing import Standing
from frontend.database import db
from frontend.effect.clusters import HOME
from frontend.settings import Settings
from frontend.update.beat import PERIOD
from frontend.web.context import services
from frontend.web.fault import BadRequest

_MISSED = 3  # signs of life that may be missed
_WAY = 30.0  # seconds that a probe may be under way
_SLACK = 300.0  # seconds that a comparison may be late, as it waits for what goes on
_KEPT = 1.0  # seconds


class Part(NamedTuple):
    """`about` is for people, `numbers` for programs."""

    ok: bool
    about: str
    numbers: Mapping[str, Any] = {}


Parts = Mapping[str, Part]
PARTS = ("database", "schema", "consumer", "events", "broker", "comparison", "probe", "clusters")
_UNSEEN = Part(False, "cannot be seen without the database")


def examine(engine: Engine, settings: Settings, clock: Callable[[], float] = time.time) -> Parts:
    """Every part by name, see PARTS; `database` and `schema` at most when they are bad."""
    began = time.monotonic()
    try:
        fault = db.schema_fault(engine)
        if fault is not None:
            return {"database": _database(began), "schema": Part(False, fault)}
        with engine.connect() as connection:
            found = _read(connection)
    except SQLAlchemyError:
        return {"database": Part(False, "does not answer")}
    parts = {"database": _database(began), "schema": Part(True, "is this program's")}
    return {**parts, **judge(found, settings, clock())}


def judge(found: Mapping[str, Any], settings: Settings, now: float) -> Parts:
    """Of rows of `beat` (the newest), `comparison` and `probe` (the last one sent); each may be None."""
    beat = found["beat"]
    return {
        "consumer": _consumer(beat, now),
        "events": _events(beat, now),
        "broker": _broker(beat, settings.health.backlog),
        "comparison": _comparison(found["comparison"], settings.reconcile.seconds, now),
        "probe": _probe(found["probe"], now),
        "clusters": _clusters(found.get("clusters", ()), settings, now),
    }


def healthy(parts: Parts) -> bool:
    """Whether all of them are well."""
    return all(part.ok for part in parts.values())


def report(parts: Parts) -> dict[str, Any]:
    """For programs."""
    told = {name: {"ok": part.ok, "about": part.about, **part.numbers} for name, part in parts.items()}
    return {"healthy": healthy(parts), "parts": told}


@dataclass(slots=True)
class _Remembered:
    """The last answer, and until when it holds."""

    until: float = 0.0
    parts: Parts = field(default_factory=dict)


def show() -> Response:
    """GET /health: 200, or 503 when a part is not well; numbers alone. ?parts=NAME,... asks for some alone."""
    remembered: _Remembered = current_app.extensions.setdefault("ganeti-ext-health", _Remembered())
    if time.monotonic() >= remembered.until:
        remembered.parts = examine(services().engine, services().settings)
        remembered.until = time.monotonic() + _KEPT
    parts = _chosen(remembered.parts, request.args.get("parts", ""))
    answer = jsonify(report(parts))
    answer.status_code = 200 if healthy(parts) else 503
    return answer


def _chosen(parts: Parts, names: str) -> Parts:
    """Those of the names, all without any; what could not be looked at, as the database is bad, is bad."""
    wanted = [name for name in names.split(",") if name] or list(parts)
    for name in wanted:
        if name not in PARTS:
            raise BadRequest(f"There is no part {name[:40]!r}; there are {', '.join(PARTS)}.")
    return {name: parts.get(name, _UNSEEN) for name in wanted}


def _read(connection: Connection) -> dict[str, Any]:
    newest = select(db.beat).order_by(db.beat.c.time.desc()).limit(1)
    last = select(db.probe).order_by(db.probe.c.sent.desc()).limit(1)
    # Of several probes at once, one that has come tells that the path is alive.
    came = connection.execute(select(func.max(db.probe.c.received))).scalar()
    probe = connection.execute(last).mappings().first()
    home = select(db.comparison).where(db.comparison.c.of_cluster == HOME)
    return {
        "beat": connection.execute(newest).mappings().first(),
        "comparison": connection.execute(home).mappings().first(),
        "clusters": standing.read(connection),
        "probe": None if probe is None else {**probe, "came": came},
    }


def _database(began: float) -> Part:
    took = time.monotonic() - began
    return Part(True, f"answers within {took * 1000:.0f} ms", {"seconds": round(took, 6)})


def _consumer(beat: Mapping[str, Any] | None, now: float) -> Part:
    if beat is None:
        return Part(False, "has never given a sign of life: systemctl start ganeti-ext-consumer")
    age = now - beat["time"]
    return Part(age <= _MISSED * PERIOD, f"gave its last sign of life {age:.0f} s ago", _age(age))


def _events(beat: Mapping[str, Any] | None, now: float) -> Part:
    if beat is None or beat["last_event"] is None:
        return Part(True, "none was heard since the consumer started")
    age = now - beat["last_event"]
    return Part(True, f"the last one was {age:.0f} s ago, by the master's clock", _age(age))


def _broker(beat: Mapping[str, Any] | None, most: int) -> Part:
    if beat is None or beat["waiting"] is None:
        return Part(True, "how much waits is not known")
    waiting = beat["waiting"]
    return Part(waiting <= most, f"{waiting} messages wait for the consumer", {"waiting": waiting})


def _comparison(last: Mapping[str, Any] | None, period: float, now: float) -> Part:
    if last is None:
        return Part(True, "the database was not compared with Ganeti yet")
    age = now - last["time"]
    numbers = {**_age(age), "found": sum(last["found"].values()), "mended": last["mended"]}
    if last["error"]:
        return Part(False, f"the last one with Ganeti failed, {age:.0f} s ago", numbers)
    late = bool(period) and age > 2 * period + _SLACK
    return Part(not late, f"the last one with Ganeti was {age:.0f} s ago, and found {numbers['found']}", numbers)


def _probe(last: Mapping[str, Any] | None, now: float) -> Part:
    if last is None:
        return Part(True, "none was sent within a day")
    age = now - last["sent"]
    if last["received"] is not None:
        took = max(0.0, last["received"] - last["sent"])
        return Part(True, f"the last one, {age:.0f} s ago, came through in {took:.2f} s", {**_age(age), "took": took})
    lost = age > _WAY and (last["came"] is None or last["came"] < last["sent"])
    return Part(not lost, f"the last one, sent {age:.0f} s ago, has not come back", _age(age))


def _clusters(found: Sequence[Standing], settings: Settings, now: float) -> Part:
    return Part(*standing.judged(found, settings.reconcile.seconds, settings.clusters.unknown, now))


def _age(seconds: float) -> dict[str, float]:
    return {"age": round(seconds, 3)}
