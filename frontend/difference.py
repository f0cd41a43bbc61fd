"""Where the database differs from Ganeti: values in, planned changes out.

What is compared was read in this order: the rows, then the jobs they name, then Ganeti's instances. So a job
that was over when it was read was over before the instances were read, and no two clocks are compared.
Nothing here ever asks for a change in Ganeti.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from frontend import reading, state
from frontend.reading import Columns
from ganeti_ext import event, tags

Row = dict[str, Any]


class Job(NamedTuple):
    """A job that a row names; status None: Ganeti has no such job any more."""

    status: str | None
    creates: bool
    result: str


class Snapshot(NamedTuple):
    """What was read. Keys: job numbers, names of instances, UUIDs of networks."""

    jobs: Mapping[int, Job]
    instances: Mapping[str, Mapping[str, Any]]
    networks: Mapping[str, Mapping[str, Any]]


class Difference(NamedTuple):
    """One row to be changed, made (`before` is None) or deleted (`after` is None)."""

    table: str
    name: str
    before: Row | None
    after: Columns | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.table} {self.name}: in Ganeti only, row made"
        if self.after is None:
            return f"{self.table} {self.name}: not in Ganeti, row removed"
        shown = (
            f"{name} {self.before[name]!r} -> {value!r}"
            for name, value in self.after.items()
            if name not in state.BOOKKEEPING
        )
        return f"{self.table} {self.name}: {', '.join(shown)}"


class Comparison:
    """Rules of a comparison at the time `now`.

    Rows and instances that changed less than `grace` seconds ago are left to the messages about them.
    """

    def __init__(self, prefix: str, now: float, grace: float) -> None:
        self._prefix, self._now, self._grace = prefix, now, grace

    def servers(self, rows: Sequence[Row], found: Snapshot) -> Iterator[Difference]:
        """Rows of servers against instances; deleted rows as far as there is an instance of their name."""
        subnets6 = {net["name"]: net["subnet6"] for net in map(network, found.networks.values())}
        for row in rows:
            if self._is_settled(row, found.jobs):
                changes = self._server(row, found, subnets6)
                if changes:
                    yield Difference("server", row["instance"], row, changes)
        known = {row["instance"] for row in rows} | {row["id"] for row in rows}
        for name, instance in found.instances.items():
            ident = reading.server_id(name, self._prefix)
            if ident and not {ident, name} & known:
                made = self._unknown(ident, instance, subnets6)
                if made:
                    yield Difference("server", name, None, made)

    def networks(self, rows: Sequence[Row], found: Snapshot) -> Iterator[Difference]:
        """Rows of networks against Ganeti's."""
        missing = dict(found.networks)
        for row in rows:
            listed = missing.pop(row["id"], None)
            if self._is_young(row["updated"]):
                continue
            if listed is None:
                yield Difference("network", row["name"], row, None)
                continue
            changes = {name: value for name, value in network(listed).items() if row[name] != value}
            if changes:
                yield Difference("network", row["name"], row, changes)
        for listed in missing.values():
            yield Difference("network", listed["name"], None, network(listed))

    def _is_young(self, time: float | None) -> bool:
        return time is not None and abs(self._now - time) < self._grace

    def _is_settled(self, row: Row, jobs: Mapping[int, Job]) -> bool:
        if self._is_young(row["updated"]):
            return False
        job = jobs.get(row["job"])
        return job is None or job.status is None or job.status in event.FINAL

    def _server(self, row: Row, found: Snapshot, subnets6: Mapping[str, str | None]) -> Columns:
        instance = found.instances.get(row["instance"])
        job = found.jobs.get(row["job"]) if row["deleted"] is None else None
        new: Columns = {}
        if instance is None:
            new.update(_absent(row, job, self._now))
        else:
            new.update(_present(row, job, instance, subnets6))
        if job is not None:
            new["task"] = None
        new["status"] = state.status({**row, **new})
        return {name: value for name, value in new.items() if row[name] != value}

    def _unknown(self, ident: str, instance: Mapping[str, Any], subnets6: Mapping[str, str | None]) -> Columns | None:
        facts = tags.decode(instance["tags"])
        if not facts.get("project") or self._is_young(instance["ctime"]):
            return None
        row = reading.new_row(ident, instance["name"], facts, {}, instance["ctime"] or self._now)
        row["disk"] = sum(instance["disk.sizes"]) // 1024
        for _, columns in reading.facets(reading.of_rapi(instance), subnets6):
            row.update(columns)
        row["status"] = state.status(row)
        return row


def _absent(row: Row, job: Job | None, now: float) -> Columns:
    """A server whose instance is not there: never made, or removed behind our back."""
    removed = row["task"] == state.TASKS[state.REMOVE] and job is not None and job.status in (None, "success")
    if row["deleted"] is not None or (row["fault"] and not removed):
        return {}  # a broken server stays until its user deletes it
    never_made = job is not None and (job.status is None or (job.creates and job.status != "success"))
    if job is not None and never_made and row["power"] is None and not removed:
        return {"fault": _fault(row, job)}
    return {"deleted": now}


def _present(row: Row, job: Job | None, instance: Mapping[str, Any], subnets6: Mapping[str, str | None]) -> Columns:
    new: Columns = {"deleted": None}
    for _, columns in reading.facets(reading.of_rapi(instance), subnets6):
        new.update(columns)
    if row["power"] is None and job is not None and job.creates and job.status in ("error", "canceled"):
        # As a failed create's message would: what it left behind may run or not, the server is broken.
        new["fault"] = _fault(row, job)
    return new


def _fault(row: Row, job: Job) -> str:
    if job.status is None:
        return f"job {row['job']} is not known to Ganeti and the instance does not exist"
    return job.result or f"job {row['job']} ended as {job.status}"


def network(listed: Mapping[str, Any]) -> Columns:
    """The columns of a network in an entry of GET /2/networks?bulk=1."""
    return {
        "id": listed["uuid"],
        "name": listed["name"],
        "subnet": listed["network"],
        "gateway": listed["gateway"],
        "subnet6": listed["network6"],
        "gateway6": listed["gateway6"],
        "tags": sorted(listed["tags"]),
    }


def job(answer: Mapping[str, Any]) -> Job:
    """The answer of GET /2/jobs/N."""
    names = [op.get("OP_ID") for op in answer["ops"]]
    ended = zip(answer["opresult"], answer["opstatus"], strict=True)
    said = [_words(result) for result, status in ended if status in ("error", "canceled")]
    return Job(answer["status"], state.CREATE in names, " ".join(filter(None, said)))


def _words(result: Any) -> str:
    """A failed opcode's result in one line.

    An exception comes as [class, arguments], and those of OpPrereqError end with a code
    (ganeti/errors.py EncodeException).
    """
    match result:
        case ["OpPrereqError", [message, str(code)]]:
            return f"{message} ({code})"
        case [str(), list(arguments)]:
            return " ".join(str(argument) for argument in arguments)
    return str(result or "")
