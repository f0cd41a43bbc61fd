"""Volumes of the database against Ganeti's instances: their holders, and the servers whose disks they are.

Values in, differences out; as difference_server.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from frontend.compute import wished
from frontend.effect import purpose
from frontend.reconcile.difference import Difference, Entry, Known, Row, Snapshot, told
from frontend.update import reading
from frontend.update.reading import Columns
from frontend.volume import volumename, volumestate
from ganeti_ext import event, tags

_LOST_ANSWER = 120.0  # seconds after which a create whose answer was lost has reached Ganeti, or never will
_TASKS = frozenset(purpose.VOLUME_TASKS.values())


class _Place(NamedTuple):
    server_id: str
    number: int
    """Which of the server's disks it is, from 0."""
    size: int
    """MiB."""


class Volumes:
    """One comparison at the time `now`."""

    def __init__(self, known: Known, found: Snapshot, prefix: str, now: float) -> None:
        self._known, self._found, self._prefix, self._now = known, found, prefix, now
        self._rows = {row["id"]: row for row in known.volumes}
        self._holders: dict[str, Entry] = {}
        self._places: dict[str, _Place] = {}
        for name, instance in found.instances.items():
            self._look_at(name, instance)
        self.busy: list[Row] = []
        """Rows that were left alone, as their jobs go on."""

    def differences(self) -> Iterator[Difference]:
        for ident, holder in self._holders.items():
            row = self._rows.get(ident)
            if row is None or row["deleted"] is not None:
                yield from self._unknown(ident, holder, row)
            elif self._is_settled(row):
                yield from self._present(holder, row)
        for row in self._known.volumes:
            if row["deleted"] is None and row["id"] not in self._holders and self._is_settled(row):
                yield from self._unheld(row)

    def _look_at(self, name: str, instance: Entry) -> None:
        facts = tags.decode(instance["tags"])
        ident = reading.volume_id(name, self._prefix, facts)
        if ident is not None:
            self._holders.setdefault(ident, instance)
            return
        server_id = reading.server_id(name, self._prefix, facts, instance["uuid"])
        for number, (label, size) in enumerate(zip(instance["disk.names"], instance["disk.sizes"], strict=True)):
            volume = volumename.of_disk(label)
            if volume is not None and server_id is not None:
                self._places[volume] = _Place(server_id, number, size)

    def _unknown(self, ident: str, holder: Entry, row: Row | None) -> Iterator[Difference]:
        name = holder["name"]
        facts = reading.facts(holder["tags"], self._known.owners)
        if name in self._found.creating:
            return
        if not facts.get("project"):
            advice = f"gnt-instance add-tags {name} ganeti-ext:project:PROJECT, or gnt-instance remove {name}"
            yield Difference("volume-orphan", "volume", name, None, None, "no tag says whose it is", advice)
            return
        made = volumestate.new_row(ident, name, facts, holder["ctime"] or self._now)
        made.update(self._read(ident, holder, made))
        made["status"] = volumestate.status(made)
        if row is None:
            yield Difference("volume-missing", "volume", name, None, made, "the database has no such volume")
        else:
            changes = {column: value for column, value in made.items() if row[column] != value}
            words = "the database says that it is deleted"
            yield Difference("volume-missing", "volume", name, row, changes, words)

    def _present(self, holder: Entry, row: Row) -> Iterator[Difference]:
        new = self._read(row["id"], holder, row)
        if row["instance"] != holder["name"]:
            new["instance"] = holder["name"]
        if row["task"] in (None, volumestate.OFFERED, *_TASKS):
            new["task"] = self._mark(row["id"], {**row, **new})
        new["wished"] = None
        changes = {column: value for column, value in new.items() if row[column] != value}
        if changes or volumestate.status(row) != row["status"]:
            words = told(row, changes) or "its jobs are over"
            yield Difference("volume", "volume", holder["name"], row, changes, words)
        after = {**row, **changes}
        if not after["held"] and after["server_id"] is None:
            advice = f"gnt-instance modify --disk 0:attach,name={volumename.disk(row['id'])} {holder['name']}"
            words = "no instance has its disk"
            yield Difference("volume-lost", "volume", holder["name"], None, {"id": row["id"]}, words, advice)

    def _mark(self, ident: str, row: Row) -> str | None:
        """That it is offered, which the table of transfers knows: the mark of one may be lost, and stay behind one."""
        idle = row["held"] and row["server_id"] is None
        return volumestate.OFFERED if ident in self._known.offered and idle else None

    def _unheld(self, row: Row) -> Iterator[Difference]:
        """A volume without a holder."""
        name, place = row["instance"], self._places.get(row["id"])
        if place is not None:
            words = f"its holder is gone, and server {place.server_id} has its disk"
            yield Difference("volume-orphan", "volume", name, None, None, words, "make an instance of this name again")
            return
        if row["held"] is None and row["fault"] is None:
            if row["job"] is None and row["created"] > self._now - _LOST_ANSWER:
                return
            fault = "Ganeti has made nothing of it"
            yield Difference("volume-stale", "volume", name, row, {"fault": fault, "task": None}, fault)
        elif row["held"] is not None:
            after: Columns = {"deleted": self._now, "task": None}
            yield Difference("volume-stale", "volume", name, row, after, "Ganeti has no such instance")
        elif row["task"]:
            yield Difference("volume", "volume", name, row, {"task": None}, "its job is over")

    def _read(self, ident: str, holder: Entry, row: Row) -> Columns:
        new: Columns = {}
        for _, columns in volumestate.facets(reading.of_rapi(holder), ident, self._known.owners):
            new.update(columns)
        place = self._places.get(ident)
        new.update(server_id=None, device=None, attached=None, fault=None)
        if place is not None:
            since = row["attached"] if row["server_id"] == place.server_id and row["attached"] else self._now
            new.update(server_id=place.server_id, device=volumestate.device(place.number), attached=since)
            new["size"] = place.size // 1024
        if not new["held"] and place is None:
            new["fault"] = row["fault"]
        return new

    def _is_settled(self, row: Row) -> bool:
        numbers: set[int] = {row["job"], *wished.jobs(row["wished"])}
        jobs = (job for job in map(self._found.jobs.get, numbers) if job is not None)
        settled = all(job.status in (None, *event.FINAL) for job in jobs)
        if not settled:
            self.busy.append(row)
        return settled


def jobs(rows: Iterable[Row]) -> set[int]:
    """The jobs that volumes wait for."""
    numbers: set[int] = set()
    for row in rows:
        numbers |= wished.jobs(row["wished"])
        if row["job"] is not None and row["task"]:
            numbers.add(row["job"])
    return numbers
