"""Ganeti's job files, as written by its jqueue (Python) and JQueue/Objects.hs (Haskell).

Read as plain JSON, without Ganeti's own modules: they would tie us to one version, and refuse a whole job for
one opcode or field that they do not know. Pure: no files, no clock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from eventd import fastjson
from ganeti_ext.event import FINAL, RANKS

Stamp = tuple[int, int]  # seconds since the epoch, microseconds
UNKNOWN_TIME: Stamp = (0, 0)


@dataclass(frozen=True, slots=True)
class Op:
    """One opcode of a job; `input` may hold secrets, and so may `result` and `log`."""

    index: int
    name: str
    status: str
    input: dict[str, Any]
    result: object
    log: str | None
    start: Stamp | None
    exec: Stamp | None
    end: Stamp | None


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    received: Stamp | None
    start: Stamp | None
    end: Stamp | None
    ops: tuple[Op, ...]

    @property
    def is_final(self) -> bool:
        return all(op.status in FINAL for op in self.ops)

    def time(self, op: Op) -> Stamp:
        """When an opcode reached its status, by the master's clock; never before an earlier status of it.

        An opcode that failed or was canceled with its job has no times of its own: then the job's count.
        """
        rank = RANKS[op.status]
        known = [self.received]
        if rank >= RANKS["waiting"]:
            known.append(op.start or self.start)
        if rank >= RANKS["running"]:
            known.append(op.exec)
        if op.status in FINAL:
            known.append(op.end or self.end)
        return max((stamp for stamp in known if stamp), default=UNKNOWN_TIME)


def parse(text: str | bytes) -> Job:
    """A job from its file; ValueError says what is wrong, without the file's content."""
    try:
        raw = fastjson.loads(text)
    except RecursionError as err:
        raise ValueError("JSON nested too deep") from err
    except json.JSONDecodeError as err:
        raise ValueError(f"not JSON, or half of it: {err}") from err
    if not isinstance(raw, dict):
        raise ValueError("not a JSON object")
    ops = raw.get("ops")
    if not isinstance(ops, list) or not ops:
        raise ValueError("no list of ops")
    return Job(
        id=_number(raw.get("id"), "id"),
        received=_stamp(raw, "received_timestamp"),
        start=_stamp(raw, "start_timestamp"),
        end=_stamp(raw, "end_timestamp"),
        ops=tuple(_op(index, op) for index, op in enumerate(ops)),
    )


def _op(index: int, raw: object) -> Op:
    if not isinstance(raw, dict) or not isinstance(raw.get("input"), dict):
        raise ValueError(f"op {index} has no input")
    name, status = raw["input"].get("OP_ID"), raw.get("status")
    if not isinstance(name, str):
        raise ValueError(f"op {index} has no OP_ID")
    if not isinstance(status, str) or status not in RANKS:
        raise ValueError(f"op {index}, {name}, has the unknown status {status!r}")
    return Op(
        index=index,
        name=name,
        status=status,
        input=raw["input"],
        result=raw.get("result"),
        log=_last_log(raw.get("log")),
        start=_stamp(raw, "start_timestamp"),
        exec=_stamp(raw, "exec_timestamp"),
        end=_stamp(raw, "end_timestamp"),
    )


def _number(value: object, name: str) -> int:
    if type(value) is int:  # and not a bool
        return value
    # Ganeti has written job ids as text in the past and still accepts them so.
    if isinstance(value, str) and value.isdecimal() and len(value) < 20:
        return int(value)
    raise ValueError(f"{name} is no number")


def _stamp(raw: dict[str, Any], name: str) -> Stamp | None:
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 2:
        return _number(value[0], name), _number(value[1], name)
    raise ValueError(f"{name} is no [seconds, microseconds]")


def _last_log(entries: object) -> str | None:
    """The text of the newest entry [serial, time, type, text]; other types carry data, some of it secret."""
    for entry in reversed(entries if isinstance(entries, list) else []):
        match entry:
            case [_, _, "message", str(text)]:
                return text
    return None
