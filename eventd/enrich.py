"""Adds to final messages how their instance or network stands now, stamped with when it was read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from eventd.messages import News
from ganeti_ext.event import NETWORK_STATUS, OP_STATUS

# These change the configuration of their object, hence its mtime.
_CHANGES = frozenset((
    "OP_INSTANCE_CREATE", "OP_INSTANCE_SET_PARAMS", "OP_INSTANCE_GROW_DISK", "OP_INSTANCE_RENAME",
    "OP_NETWORK_ADD", "OP_NETWORK_SET_PARAMS", "OP_NETWORK_RENAME", "OP_TAGS_SET", "OP_TAGS_DEL",
))  # fmt: skip
# These do not start or stop an instance, so its node need not be asked.
_KEEPS_RUNNING = frozenset(("OP_TAGS_SET", "OP_TAGS_DEL", "OP_INSTANCE_SET_PARAMS", "OP_INSTANCE_GROW_DISK"))
_REMOVES = frozenset(("OP_INSTANCE_REMOVE", "OP_NETWORK_REMOVE"))

# luxid sees a change of the configuration up to 0.25 s late (ConfigReader.hs, Constants.hs
# confdConfigReloadRatelimit), while we read the job's end within milliseconds.
_LAG = 0.3
_TRIES = 3
_FRESH = 10.0  # seconds; older news are not worth waiting for, the object may have been gone for long


Rows = dict[str, dict[str, Any]]


class Source(Protocol):
    """What is asked: eventd.ganeti.Ganeti. None when there is no answer."""

    def instances(self, names: Iterable[str]) -> Rows | None: ...
    def running(self, names: Iterable[str]) -> dict[str, bool | None] | None: ...
    def networks(self, names: Iterable[str]) -> Rows | None: ...


def enrich(
    found: Sequence[News],
    source: Source,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Complete the messages in place; each object is asked for once.

    `read_at` is when we asked, not when the answer came: what ends in between must count as newer. Alone it
    says that Ganeti knows no such object.
    """
    instances = [item for item in found if _exists_after(item, OP_STATUS)]
    networks = [item for item in found if _exists_after(item, NETWORK_STATUS)]
    for wanted, ask in ((instances, source.instances), (networks, source.networks)):
        if not wanted:
            continue
        rows, asked = _ask(wanted, ask, clock, sleep)
        if rows is None:
            continue
        if wanted is instances:
            _add_running(instances, rows, source)
        _add(wanted, rows, asked)


def subject(message: dict[str, Any]) -> str:
    """The name that the object of a final message has now."""
    name: str = message.get("instance") or message["network"]
    if message["status"] == "success" and message["operation"] in ("OP_INSTANCE_RENAME", "OP_NETWORK_RENAME"):
        return message["result"] if isinstance(message["result"], str) else name
    return name


def _exists_after(item: News, kind: str) -> bool:
    if not item.is_final or item.message["type"] != kind:
        return False
    return item.status != "success" or item.message["operation"] not in _REMOVES


def _ask(
    wanted: Sequence[News],
    ask: Callable[[Iterable[str]], Rows | None],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> tuple[Rows | None, float]:
    """The rows by name, None without an answer, and when they were asked for."""
    names = {subject(item.message) for item in wanted}
    rows: Rows | None = None
    for attempt in range(_TRIES):
        if attempt:
            sleep(_LAG)
        asked = clock()
        rows = ask(names)
        if rows is None or not any(_is_behind(item, rows, asked) for item in wanted):
            break
    return rows, asked


def _is_behind(item: News, rows: Rows, now: float) -> bool:
    """Whether the answer is surely older than the change that the message tells of."""
    if item.message["operation"] not in _CHANGES or item.status != "success" or abs(now - item.time) > _FRESH:
        return False
    row = rows.get(subject(item.message))
    return row is None or (row["mtime"] or 0) < item.began


def _add_running(wanted: Sequence[News], rows: Rows, source: Source) -> None:
    names = {subject(item.message) for item in wanted if item.message["operation"] not in _KEEPS_RUNNING} & set(rows)
    for name, running in ((source.running(names) if names else None) or {}).items():
        if name in rows:
            rows[name]["instance_state"]["oper_state"] = running


def _add(wanted: Sequence[News], rows: Rows, asked: float) -> None:
    read_at = [int(asked), int(asked % 1 * 1e6)]
    for item in wanted:
        row = rows.get(subject(item.message), {})
        item.message.update({key: value for key, value in row.items() if key != "mtime"}, read_at=read_at)
