"""Ganeti's job files as they are on the master's disk: what was done, and when that was written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from eventd import jobs, messages
from ganeti_ext.event import FINAL
from lab import master
from lab.node import Node

_QUEUE = "var/lib/ganeti/queue"
_JOBS_PER_ARCHIVE = 10_000
_NAMES = ("instance_name", "network_name", "name", "new_name")


class Job(NamedTuple):
    """`statuses` has the status of each opcode that is to be told, by its place in the job.

    `objects` are the keys (see `key`) of what it is about; `written` is when its file was, in seconds since the
    epoch by this machine's clock, whatever the node takes for the time.
    """

    number: int
    statuses: Mapping[int, str]
    objects: frozenset[str]
    written: float
    is_final: bool


class JobFiles:
    """Jobs above the number `after`, of the cluster of these nodes."""

    def __init__(self, nodes: Sequence[Node], after: int | None = None) -> None:
        self._nodes = nodes
        self._ended: dict[int, Job] = {}
        self.after = max((number for number, _ in self._files()), default=0) if after is None else after

    def read(self) -> dict[int, Job]:
        """All of them by number. LookupError when there is no master just now."""
        found = dict(self._ended)
        for number, path in self._files():
            if number > self.after and number not in found:
                job = _job(path)
                if job is not None:
                    found[number] = job
        self._ended = {number: job for number, job in found.items() if job.is_final}
        return found

    def has_ended(self, number: int) -> bool:
        """Whether a job that was submitted has; one that no master knows any more has, too."""
        queue = master.current(self._nodes).root / _QUEUE
        places = (queue / f"job-{number}", queue / f"archive/{number // _JOBS_PER_ARCHIVE}/job-{number}")
        job = _job(places[0]) or _job(places[1])
        return job is None or job.is_final

    def forget(self) -> None:
        """Read the ended ones again, too: another master may know them otherwise."""
        self._ended = {}

    def _files(self) -> Iterator[tuple[int, Path]]:
        queue = master.current(self._nodes).root / _QUEUE
        # In the order in which a file moves, so that none slips past.
        for folder in (queue, *(queue / "archive").glob("[0-9]*")):
            for path in folder.glob("job-*"):
                name = path.name.removeprefix("job-")
                if name.isdecimal():
                    yield int(name), path


def key(name: str) -> str:
    """What stays of an object's name when it is renamed: an instance's without domain, a network's before its dash."""
    return name.split(".", 1)[0] if name.startswith("gx-") else name.split("-", 1)[0]


def _job(path: Path) -> Job | None:
    try:
        written, content = path.stat().st_mtime, path.read_bytes()
    except FileNotFoundError:  # archived meanwhile
        return None
    raw = json.loads(content)
    told = {item.message["op_index"]: item.status for item in messages.news(jobs.parse(content), {}, "")}
    statuses = {index: status for index, status in told.items() if not _is_dry(raw["ops"][index]["input"])}
    is_final = all(op["status"] in FINAL for op in raw["ops"])
    names = {op["input"].get(field) for op in raw["ops"] for field in _NAMES}
    objects = frozenset(key(name) for name in names if isinstance(name, str))
    return Job(int(path.name.removeprefix("job-")), statuses, objects, written, is_final)


def _is_dry(fields: Mapping[str, Any]) -> bool:
    return bool(fields.get("dry_run"))
