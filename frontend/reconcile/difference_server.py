"""Servers of the database against Ganeti's instances. Values in, differences out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from frontend.compute import wished
from frontend.reconcile import kinds
from frontend.reconcile.difference import Difference, Entry, Job, Known, Row, Snapshot, told
from frontend.update import reading, state
from frontend.update.reading import Columns
from ganeti_ext import event, tags


class _Claim(NamedTuple):
    """An instance, with the facts in its tags and the id of its server."""

    name: str
    instance: Entry
    facts: Mapping[str, str]
    ident: str


class Servers:
    """One comparison at the time `now` (the new rows' and the removals'). `prefix` begins our instances' names."""

    def __init__(self, known: Known, found: Snapshot, prefix: str, now: float) -> None:
        self._known, self._found, self._prefix, self._now = known, found, prefix, now
        self._rows = {row["id"]: row for row in known.servers}
        self._by_instance = {row["instance"]: row for row in known.servers}
        self._usurped: set[str] = set()
        # A lost end of a create is told as a message (difference_action.py), and that may mean to try once more.
        self._told = {action["job"] for action in known.actions if action["operation"] == state.CREATE}
        self._subnets6 = {net["name"]: net["network6"] for net in found.networks.values()}
        self._claims, self._orphans = self._claimed()
        self.busy: list[Row] = []
        """Rows that were left alone: their jobs go on, and messages will tell how they end."""

    def differences(self) -> Iterator[Difference]:
        yield from self._orphans
        for claim in self._claims.values():
            row = self._rows.get(claim.ident)
            if row is None or row["deleted"] is not None:
                yield from self._unknown(claim, row)
            elif self._is_settled(row):
                yield from self._present(claim, row)
        for row in self._known.servers:
            done = row["id"] in self._claims or row["id"] in self._usurped or row["deleted"] is not None
            if not done and self._is_settled(row):
                yield from self._unclaimed(row)

    def _claimed(self) -> tuple[dict[str, _Claim], list[Difference]]:
        """Instances by the id of their server, and those that are nobody's."""
        claims: dict[str, _Claim] = {}
        orphans: list[Difference] = []
        for name, instance in sorted(self._found.instances.items(), key=self._own_first):
            if reading.volume_id(name, self._prefix, tags.decode(instance["tags"])) is not None:
                continue  # difference_volume.py
            facts = reading.facts(instance["tags"], self._known.owners)
            ident = reading.server_id(name, self._prefix, facts, instance["uuid"])
            if ident is None and instance["uuid"] in self._rows:
                ident = instance["uuid"]  # its tags are gone; the database still knows
            if ident is None or (ident not in self._rows and not facts.get("project")):
                orphans += self._orphan(name, instance)
            elif ident in claims:
                words = f"its tags say that it is server {ident}, which is instance {claims[ident].name}"
                advice = f"gnt-instance remove-tags {name} ganeti-ext:server:{ident}"
                orphans.append(Difference("orphan", "instance", name, None, None, words, advice))
            else:
                claims[ident] = _Claim(name, instance, facts, ident)
        return claims, orphans

    def _own_first(self, item: tuple[str, Entry]) -> tuple[bool, str]:
        """Of two instances with one id, that of the older name comes first."""
        name, instance = item
        ident = reading.server_id(name, self._prefix, tags.decode(instance["tags"]), instance["uuid"])
        row = self._rows.get(ident or "")
        return (row is None or row["instance"] != name, name)

    def _orphan(self, name: str, instance: Entry) -> Iterator[Difference]:
        project = tags.decode(instance["tags"]).get("project")
        if name in self._found.creating or not (project or name.startswith(self._prefix)):
            return
        words = f"its tag names project {project!r}, which there is not" if project else "no tag says whose it is"
        advice = f"gnt-instance add-tags {name} ganeti-ext:project:PROJECT, or gnt-instance remove {name}"
        yield Difference("orphan", "instance", name, None, None, words, advice)

    def _unknown(self, claim: _Claim, row: Row | None) -> Iterator[Difference]:
        """An instance without a row, or with one that is marked as deleted."""
        yield from self._usurper(claim)
        made = self._new_row(claim)
        if row is None:
            yield Difference("missing", "server", claim.name, None, made, "the database has no such server")
        else:
            changed = {name: value for name, value in made.items() if row[name] != value}
            words = "the database says that it is deleted"
            yield Difference("missing", "server", claim.name, row, changed, words)

    def _new_row(self, claim: _Claim) -> Columns:
        created = claim.instance["ctime"] or self._now
        row = reading.new_row(claim.ident, claim.name, claim.facts, {}, created)
        row.update(self._read(claim))
        job = self._found.creating.get(claim.name)
        if job is not None:
            row.update(power=None, fault=None, task=state.TASKS[state.CREATE], job=job)
        row["status"] = state.status(row)
        return row

    def _present(self, claim: _Claim, row: Row) -> Iterator[Difference]:
        new = self._read(claim)
        if row["instance"] != claim.name:
            new["instance"] = claim.name
            yield from self._usurper(claim)
        job = self._found.jobs.get(row["job"])
        if row["task"]:
            new["task"] = None
        new["wished"] = None
        failed = job is not None and job.creates and job.status in ("error", "canceled")
        if job is not None and failed and row["power"] is None:
            # As a failed create's message would: what it left behind may run or not, the server is broken.
            new["fault"] = _fault(row, job)
        if not claim.facts.get("project"):
            words = "no tag says whose it is"
            advice = f"gnt-instance add-tags {claim.name} {' '.join(tags.encode({'project': row['project_id']}))}"
            yield Difference("untagged", "server", claim.name, None, None, words, advice)
        changes = {name: value for name, value in new.items() if row[name] != value}
        yield from _by_kind(claim.name, row, changes)

    def _read(self, claim: _Claim) -> Columns:
        """What Ganeti says of an instance."""
        read = reading.of_rapi(claim.instance)
        new: Columns = {}
        for _, columns in reading.facets(read, self._subnets6, self._known.owners, claim.name):
            new.update(columns)
        return new

    def _usurper(self, claim: _Claim) -> Iterator[Difference]:
        """The row that holds the name of an instance which is another server's, unless it gets another name itself."""
        row = self._by_instance.get(claim.name)
        if row is not None and row["id"] != claim.ident and row["id"] not in self._claims:
            self._usurped.add(row["id"])
            deleted = row["deleted"] if row["deleted"] is not None else self._now
            after = {"instance": row["id"], "deleted": deleted, "task": None}
            words = f"row {row['id']} stands for it, too, whose server is {claim.ident}"
            yield Difference("duplicate", "server", claim.name, row, after, words)

    def _unclaimed(self, row: Row) -> Iterator[Difference]:
        """A server whose instance is not there."""
        name = row["instance"]
        job = self._found.jobs.get(row["job"])
        removed = row["task"] == state.TASKS[state.REMOVE] and job is not None and job.status in (None, "success")
        if row["fault"] and not removed:  # a broken server stays until its user deletes it
            changes: Columns = {"task": None} if job is not None and row["task"] else {}
            yield from _by_kind(name, row, changes)
            return
        if job is not None and row["power"] is None and not removed and _never_made(job):
            if job.status is not None and row["job"] in self._told:
                self.busy.append(row)
                return
            fault = _fault(row, job)
            yield Difference("build", "server", name, row, {"fault": fault, "task": None}, fault)
            return
        after: Columns = {"deleted": self._now, "task": None}
        yield Difference("stale", "server", name, row, after, "Ganeti has no such instance")

    def _is_settled(self, row: Row) -> bool:
        numbers = {row["job"], *wished.jobs(row["wished"])}
        jobs = (job for job in map(self._found.jobs.get, numbers) if job is not None)
        settled = row["id"] not in self._known.owed and all(job.status in (None, *event.FINAL) for job in jobs)
        if not settled:
            self.busy.append(row)
        return settled


def _never_made(job: Job) -> bool:
    return job.status is None or (job.creates and job.status != "success")


def _fault(row: Row, job: Job) -> str:
    if job.status is None:
        return f"job {row['job']} is not known to Ganeti and the instance does not exist"
    return job.result or f"job {row['job']} ended as {job.status}"


def _by_kind(name: str, row: Row, changes: Columns) -> Iterator[Difference]:
    """One difference for each kind of column that changes."""
    groups = defaultdict[str, Columns](dict)
    for column, value in changes.items():
        kind = _of_nics(row["nics"], value) if column == "nics" else kinds.OF_COLUMN[column]
        groups[kind][column] = value
    if "power" not in groups and state.status({**row, **changes}) != row["status"]:
        groups["power"] = {}
    for kind, columns in groups.items():
        shown = dict(columns)
        if kind == "power":
            shown["status"] = state.status({**row, **columns})
            shown = {column: value for column, value in shown.items() if row[column] != value}
        words = told(row, shown) or "the jobs that change its tags are over"
        yield Difference(kind, "server", name, row, shown, words)


def _of_nics(old: object, new: list[Columns]) -> str:
    """Whether NICs differ in more than their addresses. What an old row holds may be anything."""
    places = ("network", "mac", "uuid")
    try:
        same = [[nic[place] for place in places] for nic in old] == [[nic[place] for place in places] for nic in new]  # type: ignore[attr-defined]
    except (KeyError, TypeError):
        same = False
    return "addresses" if same else "nics"
