"""How daemons stand, in plain words: their answers to "status" in, lines out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganeti_ext.plaintext import clean
from monitor.words import span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ganeti_ext.session import Record


def lines(record: Record, now: float) -> Iterator[str]:
    """One daemon's; `now` in seconds since the epoch."""
    name = str(record.get("daemon"))
    yield clean(f"{name} {record.get('version')}, running for {span(now - record.get('started', now))}")
    about = _ABOUT.get(name)
    for line in about(record, now) if about else ():
        yield clean(f"  {line}")


def _eventd(record: Record, now: float) -> Iterator[str]:
    if record.get("is_master"):
        yield f"{record['node']} is the master: its jobs are told"
    else:
        where = f"{record['master']} is; ask there" if record.get("master") else "nobody is known to be"
        yield f"{record['node']} is not the master ({where}): notes of hooks alone are told"
    yield f"told {record['told']} messages, the last one {_ago(record['last_event'], now)}"
    if record["brokers"]:
        yield f"broker: {record['broker'] or 'NONE of the configured ones answers'}"
        yield f"confirmed last {_ago(record['last_published'], now)}"
    else:
        yield "broker: none, the front on this machine takes from the spool"
    yield _waiting(record, now)
    if record["complaints"] or record["lost"]:
        yield f"not understood: {record['complaints']} jobs and notes; LOST for a full spool: {record['lost']} messages"


def _waiting(record: Record, now: float) -> str:
    if record["waiting"] is None:
        return "spool: cannot be read"
    oldest = f", the oldest since {span(now - record['oldest'])}" if record["oldest"] and record["waiting"] else ""
    return f"spool: {record['waiting']} of at most {record['limit']} messages wait{oldest}"


def _consumer(record: Record, now: float) -> Iterator[str]:
    yield f"applied {record['applied']} messages, {record['dead']} not understood"
    yield f"last message {_ago(record['last_message'], now)}, of an event {_ago(record['last_event'], now)}"
    waiting = "an unknown number of" if record["waiting"] is None else record["waiting"]
    yield f"{waiting} messages wait"


def _reaper(record: Record, now: float) -> Iterator[str]:
    yield f"{record['records']} taps are recorded, {record['taps']} are there; swept {_ago(record['swept'], now)}"
    undone = ", ".join(f"{count} {what}s" for what, count in record["reaped"].items())
    yield f"undone: {undone}; failures: {record['failures']}"


def _consoled(record: Record, _: float) -> Iterator[str]:
    yield f"{record['open']} screens are open; {record['logs']} guests have a serial log"
    served = record["served"]
    passwords = served.get("password", 0)
    yield (
        f"served: {served['screen']} screens, {served['log']} logs, {passwords} passwords; not here: "
        f"{record['absent']}; refused: {record['refused']}"
    )


def _ago(moment: float | None, now: float) -> str:
    return f"{span(max(0.0, now - moment))} ago" if moment else "never"


_ABOUT: Mapping[str, Callable[[Record, float], Iterator[str]]] = {
    "eventd": _eventd,
    "consoled": _consoled,
    "consumer": _consumer,
    "reaper": _reaper,
}
ASKED = frozenset(_ABOUT)
