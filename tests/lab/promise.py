"""The promise of the update path, measured: after a fault the front's view equals Ganeti's within 5 s of the last part
coming back, and each final state of each job was applied exactly once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from ganeti_ext.errors import CommandError, ExtError
from ganeti_ext.event import FINAL
from ganeti_ext.rapi import Rapi
from lab.node import Node
from tests.lab import views
from tests.lab.history import Final, History, Shown, right_since
from tests.lab.jobfiles import Job, JobFiles

# The promise is of a machine that does nothing else. Beside all other tests only what holds is asserted, and how soon
# it did is printed: there a handshake with Ganeti alone may take its ten seconds.
WITHIN = 60.0 if "CHECK" in os.environ else 5.0
_PATIENCE = 90.0  # seconds that a promise which does not hold is watched, so that it can be said when it would
_AFTERWARDS = 1.5  # seconds that what holds must go on holding
_PAUSE = 0.2
_VERSIONS = 6


class Held(NamedTuple):
    """Seconds from when everything was back, or from the end of the last job about it if that was later."""

    view: float
    """Until the front showed each object as Ganeti has it."""
    actions: float
    """Until each final state was in the database."""
    objects: int
    last: str
    """The object that was right last, and what was shown of it, in words."""


class Promise:
    """`front` is the node with the database."""

    def __init__(self, nodes: Sequence[Node], front: Node, rapi: Rapi) -> None:
        self.jobs = JobFiles(nodes)
        self.history = History(front)
        self._front = front
        self._rapi = rapi

    def measure(self, back: float) -> Held:
        """Watch until it all holds; `back` is when the last part was back. AssertionError tells what does not hold."""
        end = time.monotonic() + _PATIENCE
        held_since: float | None = None
        while held_since is None or time.monotonic() < held_since + _AFTERWARDS:
            time.sleep(_PAUSE)
            wrong = self._wrong()
            if not wrong:
                held_since = held_since or time.monotonic()
                continue
            held_since = None
            if time.monotonic() > end:
                raise AssertionError("\n".join([f"not within {_PATIENCE:g} s:", *wrong]))
        self.exactly_once()
        return self._held(back)

    def exactly_once(self) -> int:
        """Every final state of every job is applied once; how many. AssertionError tells which are not."""
        self.jobs.forget()
        wanted, applied = finals(self.jobs.read()), [final for _, final in self.history.finals()]
        wrong = {
            "missing": sorted(wanted - set(applied)),
            "more than once": sorted(each for each in set(applied) if applied.count(each) > 1),
            "otherwise than its job ended": sorted(each for each in set(applied) - wanted if each[0] > self.jobs.after),
        }
        assert not any(wrong.values()), wrong
        return len(wanted)

    def _wrong(self) -> list[str]:
        """What does not hold just now, in words."""
        try:
            jobs = self.jobs.read()
            known, shown = views.of_ganeti(self._rapi), views.of_front(self._front)
            applied = {final for _, final in self.history.finals()}
        except (ExtError, LookupError) as err:
            return [f"{type(err).__name__}: {err}"]
        wrong = [f"job {job.number} goes on" for job in jobs.values() if not job.is_final]
        missing = sorted(finals(jobs) - applied)
        wrong += [f"job {job}, opcode {index}: its {status} is not applied" for job, index, status in missing]
        for name in sorted(known.keys() | shown.keys()):
            if not views.agree(known.get(name), shown.get(name)):
                wrong.append(f"{name}: Ganeti has {known.get(name)}, the front shows {shown.get(name)}")
        return wrong

    def _held(self, back: float) -> Held:
        """Now that it holds: since when."""
        jobs, shown = self.jobs.read(), self.history.shown()
        waits = {"": 0.0}
        for name, versions in shown.items():
            ends = [job.written for job in jobs.values() if name in job.objects]
            waits[name] = right_since(versions) - max([back, *ends])
        last = max(waits, key=lambda name: waits[name])
        late = [at - max(back, jobs[final[0]].written) for at, final in self.history.finals() if final[0] in jobs]
        return Held(waits[last], max(late, default=0.0), len(shown), _words(last, shown.get(last, ()), back))


def _words(name: str, versions: Sequence[Shown], back: float) -> str:
    """When what was shown of an object changed, in seconds after `back`."""
    lines = [f"  {version.at - back:+.1f} s: {version.columns}" for version in versions[-_VERSIONS:]]
    return "\n".join([name, *lines])


def finals(jobs: Mapping[int, Job]) -> set[Final]:
    """The final states of jobs."""
    return {
        (job.number, index, status)
        for job in jobs.values()
        for index, status in job.statuses.items()
        if status in FINAL
    }


def messages(nodes: Sequence[Node]) -> int:
    """How many messages the nodes' eventds have put into their outboxes since these were made."""
    query = "import sqlite3,sys; print(sum(n for n, in sqlite3.connect(sys.argv[1]).execute(sys.argv[2])))"
    words = ("/var/lib/ganeti-ext/eventd/outbox.db", "select seq from sqlite_sequence where name = 'message'")
    total = 0
    for node in nodes:
        with suppress(CommandError):
            total += int(node.run("python3", "-c", query, *words))
    return total


def mended(front: Node, since: float) -> int:
    """How many rows the consumer's comparison with Ganeti has changed since a time."""
    journal = front.run(
        "journalctl", "--unit=ganeti-ext-consumer", f"--since=@{since:.0f}", "--no-pager", "--output=cat"
    )
    return sum("reconciled " in line for line in journal.splitlines())
