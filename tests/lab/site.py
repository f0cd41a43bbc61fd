"""The cluster as the tests of the update path use it: a load on it, faults, and what came of it all, told in lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import NamedTuple

from ganeti_ext.errors import CommandError, ExtError
from ganeti_ext.rapi import Rapi
from lab import ganeti, inside, master, services
from lab.node import Node
from lab.step import until
from lab.story import Story, clear
from tests.lab import promise, targets, views
from tests.lab.load import Load
from tests.lab.promise import Promise

EVENTD, CONSUMER, BROKER, DATABASE = (
    *("ganeti-ext-eventd", "ganeti-ext-consumer"),
    *("rabbitmq-server", "postgresql@17-main"),
)
BROKER_PORT = 5672
_IN_FLIGHT = 2  # jobs that go on when a fault begins
_PARTS_BACK = 240.0  # seconds
_HEADING = "fault                                      jobs  messages  view s  applied s  objects  mended"


class Line(NamedTuple):
    """What a fault did. `jobs` and `messages` since the one before; see promise.Held."""

    fault: str
    jobs: int
    messages: int
    view: float
    actions: float
    objects: int
    mended: int

    def __str__(self) -> str:
        counted = f"{self.jobs:5d} {self.messages:9d} {self.view:7.1f} {self.actions:10.1f}"
        return f"{self.fault:42.42} {counted} {self.objects:8d} {self.mended:7d}"


class Site:
    """`lines` has one a fault, in their order."""

    def __init__(self, story: Story, rapi: Rapi, seed: int, workers: int) -> None:
        self.nodes, self.front = story.nodes, story.nodes[2]
        random = Random(seed)
        self.promise = Promise(self.nodes, self.front, rapi)
        project = views.sql(self.front, f"select id from project where name = '{services.PROJECT}'").strip()
        names = [node.name for node in self.nodes]
        self._project = project
        kinds = [targets.REAL, *[targets.FAKE] * (workers - 1)]
        worked = [targets.Instance(rapi, Random(random.random()), names, project, kind) for kind in kinds]
        self.load = Load([*worked, targets.Network(rapi, Random(random.random()), 1)], self.promise.jobs, random)
        self.lines: list[Line] = []
        self._rapi = rapi
        self._jobs, self._messages = 0, promise.messages(self.nodes)

    @property
    def master(self) -> Node:
        return master.current(self.nodes)

    def busy(self) -> None:
        """Wait until the load has jobs in flight."""
        self.load.resume()
        until("jobs are in flight", lambda: self._open() >= _IN_FLIGHT, 60)

    def add(self) -> None:
        """One more instance than the load's, of which the front has heard when this returns."""
        targets.Instance(self._rapi, Random(), [self.nodes[0].name], self._project, targets.FAKE).add()
        self.rest()
        self.promise.measure(time.time())

    def worked(self, count: int, timeout: float = 60) -> None:
        """Wait until so many more jobs have ended."""
        wanted = self._ended() + count
        until(f"{count} more jobs end", lambda: self._ended() >= wanted, timeout)

    def rest(self) -> None:
        """Wait until no job goes on."""
        until("all jobs end", lambda: self._open() == 0, 240)

    def survive(self, name: str, fault: Callable[[Site], None]) -> Line:
        """Let a fault come and go while jobs are in flight; AssertionError when the promise does not hold after it.

        `fault` returns once nothing keeps its parts from coming back.
        """
        self.busy()
        began = time.time()
        fault(self)
        until("all parts are back", self._is_whole, _PARTS_BACK)
        back = time.time()
        self.load.pause()
        held = self.promise.measure(back)
        line = self._line(name, held, began)
        self.lines.append(line)
        assert held.view <= promise.WITHIN, f"the front's view was right after {held.view:.1f} s: {held.last}"
        assert held.actions <= promise.WITHIN, f"final states were there after {held.actions:.1f} s"
        return line

    def restarted(self, node: Node, unit: str) -> Callable[[], bool]:
        """What says whether a unit runs, ready, as another process than now."""

        def pid() -> str:
            shown = node.run("systemctl", "show", "--property=ActiveState,MainPID", unit)
            said = dict(line.split("=", 1) for line in shown.splitlines())
            return said["MainPID"] if said["ActiveState"] == "active" else ""

        before = pid()
        return lambda: pid() not in ("", before)

    def table(self) -> list[str]:
        """What happened, a line a fault, and what the load did."""
        return [_HEADING, *map(str, self.lines), f"submitted: {dict(self.load.submitted)}"]

    def answers(self) -> bool:
        """Whether Ganeti has a master that answers."""
        try:
            self._rapi.get("info")
        except ExtError:
            return False
        return True

    def _line(self, name: str, held: promise.Held, began: float) -> Line:
        jobs, messages = len(self.promise.jobs.read()), promise.messages(self.nodes)
        new_jobs, new_messages = jobs - self._jobs, messages - self._messages
        self._jobs, self._messages = jobs, messages
        mended = promise.mended(self.front, began)
        return Line(name, new_jobs, new_messages, held.view, held.actions, held.objects, mended)

    def _open(self) -> int:
        return self._count(lambda is_final: not is_final)

    def _ended(self) -> int:
        return self._count(lambda is_final: is_final)

    def _count(self, wanted: Callable[[bool], bool]) -> int:
        with suppress(LookupError, OSError):
            return sum(wanted(job.is_final) for job in self.promise.jobs.read().values())
        return 0

    def _is_whole(self) -> bool:
        try:
            self.master.run("systemctl", "is-active", EVENTD)
            self.front.run("systemctl", "is-active", CONSUMER, BROKER, DATABASE)
        except (ExtError, LookupError):
            return False
        return self.answers()


@contextmanager
def site(story: Story, seed: int, workers: int) -> Iterator[Site]:
    """Quick instances are possible and a load runs, paused, for the length of the block; then all of it goes."""
    _allow(story, "kvm,fake", "ext,diskless")
    made = Site(story, inside.remote_api(story.master), seed, workers)
    made.load.start()
    try:
        yield made
    finally:
        made.load.stop()
        made.rest()
        _clear(story)
        _allow(story, "kvm", "ext")
        made.promise.history.stop()


def _allow(story: Story, hypervisors: str, templates: str) -> None:
    words = (f"--enabled-hypervisors={hypervisors}", f"--enabled-disk-templates={templates}")
    story.gnt("cluster", "modify", *words, f"--ipolicy-disk-templates={templates}")


def _clear(story: Story) -> None:
    """Instances and networks of the load go, and for the tenant what never came to be."""
    for name in story.gnt("instance", "list", "--no-headers", "-o", "name").split():
        words = ("remove", "--force", "--ignore-failures", "--shutdown-timeout=1", name)
        try:
            story.gnt("instance", *words)
        except CommandError as err:
            if "is not used by an instance" not in str(err):
                raise
            master.forget_addresses(story.master, name)
            story.gnt("instance", *words)
    for name in set(story.gnt("network", "list", "--no-headers", "-o", "name").split()) - {ganeti.NETWORK}:
        with suppress(CommandError):  # it was never connected
            story.gnt("network", "disconnect", name)
        story.gnt("network", "remove", name)
    clear(story)
