"""Measures what the instances on this node use, once in a while, without asking QEMU, who answers Ganeti alone."""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from eventd import samples
from eventd.worker import Worker
from ganeti_ext import event, note

log = logging.getLogger(__name__)

PROC = "/proc"
_GONE = (FileNotFoundError, ProcessLookupError)


class Guest(NamedTuple):
    """What has to be measured of an instance."""

    instance: str
    pid: int
    taps: Sequence[str]


class Machine(NamedTuple):
    """Its start, by an id, and its interfaces (samples.interfaces)."""

    boot: str
    links: Mapping[str, tuple[int, ...]]


class Files:
    """Ganeti's files at `run` (pid/INSTANCE, nic/INSTANCE/INDEX), the kernel's at `proc`.

    What goes away meanwhile is no error, and has no sample.
    """

    def __init__(self, run: str, proc: str = PROC) -> None:
        self._run, self._proc = run, proc
        self._page, self._ticks = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
        self._known: dict[str, tuple[int, int]] = {}  # processes that are known to be the instances'
        self._trouble = ""

    def measure(self) -> list[dict[str, Any]]:
        """A sample of each instance that runs; see ganeti_ext/event.py."""
        trouble = ""
        found: list[dict[str, Any]] = []
        try:
            guests = list(self._guests())
            machine = self._machine() if guests else Machine("", {})
        except (OSError, ValueError, IndexError) as err:
            guests, trouble = [], f"no instance can be measured: {err}"
        for guest in guests:
            try:
                found += self._samples(guest, machine)
            except _GONE:
                continue
            except (OSError, ValueError, IndexError, KeyError) as err:
                trouble = trouble or f"instance {guest.instance} cannot be measured: {err}"
        names = {guest.instance for guest in guests}
        self._known = {name: process for name, process in self._known.items() if name in names}
        self._complain(trouble)
        return found

    def _machine(self) -> Machine:
        boot = _read(f"{self._proc}/sys/kernel/random/boot_id").strip()
        return Machine(boot, samples.interfaces(_read(f"{self._proc}/net/dev")))

    def _samples(self, guest: Guest, machine: Machine) -> Iterator[dict[str, Any]]:
        """One; none when the process is another one, which got a dead one's number."""
        folder = f"{self._proc}/{guest.pid}"
        spent = samples.spent(_read(f"{folder}/stat"))
        process = guest.pid, spent.started
        if self._known.get(guest.instance) != process:
            if not samples.is_of(_read(f"{folder}/cmdline"), guest.instance):
                return
            self._known[guest.instance] = process
        read, written = samples.disks(_read(f"{folder}/io"))
        taps = [tap for tap in guest.taps if tap in machine.links]
        yield samples.sample(
            guest.instance,
            spent.ticks,
            self._ticks,
            memory_kib=samples.resident(_read(f"{folder}/statm"), self._page),
            read=read,
            written=written,
            nics=[[tap, *machine.links[tap]] for tap in taps],
            began=samples.began(machine.boot, *process, taps),
        )

    def _guests(self) -> Iterator[Guest]:
        pids = {}
        for entry in _entries(f"{self._run}/pid"):
            try:
                pids[entry.name] = int(_read(entry.path))
            except (*_GONE, ValueError):  # QEMU has not written it yet
                continue
        claims = {instance: list(self._claims(instance)) for instance in pids}
        owners = samples.owners(itertools.chain.from_iterable(claims.values()))
        for instance, pid in pids.items():
            yield Guest(instance, pid, [tap for tap, *_ in claims[instance] if owners[tap] == instance])

    def _claims(self, instance: str) -> Iterator[tuple[str, int, str]]:
        """The taps of an instance in the order of its NICs; see samples.owners."""
        numbered = [entry for entry in _entries(f"{self._run}/nic/{instance}") if entry.name.isdecimal()]
        for entry in sorted(numbered, key=lambda entry: int(entry.name)):
            try:
                yield _read(entry.path).strip(), entry.stat().st_mtime_ns, instance
            except _GONE:
                continue

    def _complain(self, words: str) -> None:
        if words and words != self._trouble:  # once, however often it is so
            log.warning("%s", words)
        self._trouble = words


class Sampler(Worker):
    """Measures each `period` seconds; `ready` becomes readable when there is something to take."""

    def __init__(self, period: float, files: Files) -> None:
        super().__init__("sampler")
        self.ready = os.eventfd(0, os.EFD_CLOEXEC)
        self._period, self._files = period, files
        self._message: dict[str, Any] | None = None

    def take(self, cluster: str, node: str) -> dict[str, Any] | None:
        """The message about what was measured last, if that was not taken yet; for the other thread."""
        os.eventfd_read(self.ready)
        message, self._message = self._message, None
        return message and {**message, "cluster": cluster, "node": node}

    def loop(self) -> None:
        due = time.monotonic() + self._period
        while self.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._period, time.monotonic())
            self._measure()

    def _measure(self) -> None:
        moment = note.moment(time.time_ns())
        if found := self._files.measure():
            common = {"type": event.SAMPLES, "version": event.VERSION, "event_time": moment}
            self._message = {**common, "instances": found}
            os.eventfd_write(self.ready, 1)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What is in a folder; nothing where it is not there."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except _GONE:
        return []


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
