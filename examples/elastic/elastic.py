#!/usr/bin/python3
"""Servers that come and go with the work that waits, at any cloud that speaks OpenStack.

Looks every so often how much work waits and which servers are at work, by two commands of the site's own; makes
servers and deletes idle ones so that there are as many as are needed: at home while there is room, then at other
providers. What it has made it knows again by their metadata, so it may be stopped and started at will, and nothing else
is ever deleted.

    pip install openstacksdk                      (Debian: python3-openstacksdk)
    ./elastic.py --config batch.toml --dry-run    what it would do now
    ./elastic.py --config batch.toml              goes on until it is told to end
"""

from __future__ import annotations

import argparse
import datetime
import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

log = logging.getLogger("elastic")

MARK = "elastic"  # the key of the metadata that says whose a server is
PATIENCE = 60.0  # seconds for a command of the site's
QUOTA = (403, 413)  # HTTP statuses of a cloud that says that there may be no more


class SiteError(Exception):
    """The site's file, or one of its commands, is not as it must be."""


@dataclass(frozen=True)
class Place:
    """Where servers are made, and of what; `cloud` is its name in clouds.yaml, empty: the environment says (OS_*)."""

    cloud: str
    image: str
    flavor: str
    network: str
    key: str = ""
    user_data: str = ""
    room: int = 0
    """Servers of ours there, at most; 0: as many as its quota lets."""

    @property
    def title(self) -> str:
        return self.cloud or "the cloud of the environment"


@dataclass(frozen=True)
class Site:
    """What the file says."""

    name: str
    """Of all servers made, before their numbers."""
    image: str
    flavor: str
    network: str
    busy: str
    """A command of the shell that prints the names of the servers that are at work, a line each."""
    waiting: str = ""
    """One that prints how much work waits beside what is worked on: one number. This, or `needed`."""
    needed: str = ""
    """One that prints how much work there is in all, where it is shared among all servers."""
    drain: str = ""
    """One that takes a server, named in $SERVER, its new work away: it is to go, and is at work still."""
    cloud: str = ""
    """Its name in clouds.yaml; empty: the environment says (OS_*)."""
    key: str = ""
    user_data: str = ""
    """A file that cloud-init gets; beside the site's file unless it begins with a slash."""
    each: float = 1
    """So much work is one server's."""
    least: int = 0
    most: int = 10
    """At home and elsewhere."""
    room: int = 0
    """At home, at most; 0: as many as its quota lets."""
    burst: Sequence[Mapping[str, Any]] = ()
    """Where servers are made when there is no room at home, one after the other: keys of Place, others as at home."""
    full: float = 300
    """Seconds that a place which refused a server, or broke one, is left alone, if there is another."""
    at_once: int = 5
    """Servers made in one look."""
    linger: float = 300
    """Seconds that a server stays when there is nothing for it to do."""
    start: float = 900
    """Seconds that a new one has until it is at work for the first time, or idle."""
    seconds: float = 15
    """From one look to the next."""

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most:
            raise SiteError(f"least = {self.least}, most = {self.most}: expected 0 <= least <= most")
        if bool(self.waiting) == bool(self.needed):
            raise SiteError("expected either waiting or needed, and not both")
        for name in ("each", "at_once", "seconds"):
            if getattr(self, name) <= 0:
                raise SiteError(f"{name} = {getattr(self, name)!r}: expected a number above 0")
        clouds = [place.cloud for place in self.places()]
        if len(set(clouds)) < len(clouds):
            raise SiteError(f"burst: expected another cloud each, got {', '.join(map(repr, clouds))}")

    def places(self) -> list[Place]:
        """Home first."""
        known = [each.name for each in fields(Place)]
        home = {name: getattr(self, name) for name in known}
        for given in self.burst:
            if strange := sorted(set(given) - set(known)):
                raise SiteError(f"burst: {strange[0]}: no such setting; there are {', '.join(known)}")
        return [Place(**home), *(Place(**{**home, "room": 0, **given}) for given in self.burst)]


@dataclass(frozen=True)
class Worker:
    """A server of ours."""

    ident: str
    name: str
    status: str
    """In Nova's words."""
    age: float
    """Seconds."""
    place: int = 0
    """Which of the site's places it is at; 0: home."""


@dataclass
class Idle:
    """Since when each server has had nothing to do, as far as this process has seen."""

    since: dict[str, float] = field(default_factory=dict)

    def look(self, workers: Iterable[Worker], busy: Collection[str], now: float) -> None:
        idle = [worker.ident for worker in workers if worker.status == "ACTIVE" and worker.name not in busy]
        self.since = {ident: self.since.get(ident, now) for ident in idle}

    def seconds(self, ident: str, now: float) -> float:
        return now - self.since.get(ident, now)


@dataclass(frozen=True)
class Plan:
    """How many to make, which to delete, and which are to get no new work as they are too many."""

    make: int = 0
    delete: tuple[Worker, ...] = ()
    drain: tuple[Worker, ...] = ()


def plan(site: Site, work: float, workers: Collection[Worker], busy: Collection[str], idle: Idle, now: float) -> Plan:
    """What is to be done now, with so much work that waits, or is needed. Pure.

    Servers that are broken, or never came up, are deleted and replaced. One that has just been made counts as one that
    will take work: it is not made twice. Idle ones go when they have been so for long: first those elsewhere, and of
    one place the longest first.
    """
    broken = [worker for worker in workers if worker.status == "ERROR" or _never_came(site, worker)]
    good = [worker for worker in workers if worker not in broken]
    at_work = sorted((worker for worker in good if worker.name in busy), key=lambda worker: worker.place)
    wanted = math.ceil(work / site.each) + (len(at_work) if site.waiting else 0)
    wanted = min(site.most, max(site.least, wanted))
    surplus = len(good) - wanted
    if surplus < 0:
        room = site.most - len(workers)  # the broken ones are there until they are deleted
        return Plan(max(0, min(-surplus, site.at_once, room)), tuple(broken))
    free = [worker for worker in good if worker.ident in idle.since]
    free.sort(key=lambda worker: (worker.place, idle.seconds(worker.ident, now)), reverse=True)
    late = [worker for worker in free[:surplus] if idle.seconds(worker.ident, now) >= site.linger]
    drained = at_work[len(at_work) - max(0, surplus - len(free)) :] if site.drain else []
    return Plan(0, tuple(broken + late), tuple(drained))


def _never_came(site: Site, worker: Worker) -> bool:
    return worker.status == "BUILD" and worker.age > site.start


class Cloud:
    """The servers of a site at one place."""

    def __init__(self, site: Site, place: Place, connection: Any, folder: Path, number: int = 0) -> None:
        self.place, self.number = place, number
        self._site, self._cloud = site, connection
        self._user_data = (folder / place.user_data).read_text() if place.user_data else None

    def workers(self) -> list[Worker]:
        found = self._cloud.compute.servers(details=True)
        mine = [each for each in found if (each.metadata or {}).get(MARK) == self._site.name]
        return [Worker(each.id, each.name, each.status, _age(each.created_at), self.number) for each in mine]

    def make(self, name: str) -> None:
        place = self.place
        self._cloud.create_server(
            name,
            image=place.image,
            flavor=place.flavor,
            network=place.network,
            meta={MARK: self._site.name},
            wait=False,
            **({"key_name": place.key} if place.key else {}),
            **({"userdata": self._user_data} if self._user_data else {}),
        )
        log.info("%s: made, at %s", name, place.title)

    def delete(self, worker: Worker) -> None:
        self._cloud.delete_server(worker.ident, wait=False)
        log.info("%s: deleted, it was %s", worker.name, worker.status)


class Fleet:
    """The servers of a site at all its places. `failure` is what a cloud raises that does not do what it is asked."""

    def __init__(self, site: Site, clouds: Sequence[Cloud], failure: type[Exception]) -> None:
        self._site, self._clouds, self._failure = site, clouds, failure
        self._seen: dict[int, list[Worker]] = {}
        self._silent: set[int] = set()
        self._full: dict[int, float] = {}

    def workers(self, now: float) -> list[Worker]:
        """All of them; of a place that does not answer those that were there, which then is left alone.

        Raises `failure` when it has not answered yet: how many are there, nobody knows.
        """
        self._silent.clear()
        for cloud in self._clouds:
            try:
                self._seen[cloud.number] = cloud.workers()
            except self._failure as err:
                if cloud.number not in self._seen or len(self._clouds) == 1:
                    raise
                log.error("%s: %s", cloud.place.title, err)
                self._silent.add(cloud.number)
            if any(worker.status == "ERROR" for worker in self._seen[cloud.number]):
                self._full[cloud.number] = now + self._site.full
        return [worker for cloud in self._clouds for worker in self._seen[cloud.number]]

    def make(self, names: Iterable[str], now: float) -> None:
        """Each at the first place that takes it; `failure` when none does, or when nobody knows whether one did."""
        for name in names:
            clouds = self._open(now)
            if not clouds:
                raise SiteError(f"{name}: no place has room for it")
            self._make(name, clouds, now)

    def delete(self, workers: Iterable[Worker]) -> None:
        for worker in workers:
            if worker.place not in self._silent:
                self._clouds[worker.place].delete(worker)

    def _open(self, now: float) -> list[Cloud]:
        """The places that may take one more; all those that have room if each of them was full of late."""
        there = [cloud for cloud in self._clouds if cloud.number not in self._silent and self._has_room(cloud)]
        return [cloud for cloud in there if self._full.get(cloud.number, now) <= now] or there

    def _has_room(self, cloud: Cloud) -> bool:
        return not cloud.place.room or len(self._seen[cloud.number]) < cloud.place.room

    def _make(self, name: str, clouds: Sequence[Cloud], now: float) -> None:
        for cloud in clouds:
            try:
                cloud.make(name)
            except self._failure as err:
                self._full[cloud.number] = now + self._site.full
                if cloud is clouds[-1] or getattr(err, "status_code", None) not in QUOTA:
                    raise
                log.warning("%s: no room: %s", cloud.place.title, err)
            else:
                self._seen[cloud.number].append(Worker("", name, "BUILD", 0.0, cloud.number))
                return


def names(site: Site, workers: Iterable[Worker], count: int) -> list[str]:
    """The lowest that are free."""
    taken = {worker.name for worker in workers}
    free = (f"{site.name}-{number}" for number in range(1, site.most + len(taken) + 1))
    return [name for name in free if name not in taken][:count]


def look(
    site: Site, fleet: Fleet, idle: Idle, *, dry_run: bool = False, clock: Callable[[], float] = time.monotonic
) -> Plan:
    """Look once, and do what is to be done."""
    work, busy = _number(site.waiting or site.needed), set(_said(site.busy).split())
    now = clock()
    workers = fleet.workers(now)
    idle.look(workers, busy, now)
    todo = plan(site, work, workers, busy, idle, now)
    new = names(site, workers, todo.make)
    at_work = sum(worker.name in busy for worker in workers)
    kind = "waits" if site.waiting else "is there"
    log.info("work: %g %s; servers: %d, %d at work; to make: %d, to delete: %d, to drain: %d",
             work, kind, len(workers), at_work, todo.make, len(todo.delete), len(todo.drain))  # fmt: skip
    if not dry_run:
        for worker in todo.drain:
            _said(site.drain, SERVER=worker.name)
        fleet.delete(todo.delete)
        fleet.make(new, now)
    return todo


def read(path: Path) -> Site:
    """SiteError names what is wrong in the file."""
    try:
        told: Mapping[str, Any] = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as err:
        raise SiteError(f"{path}: {err}") from err
    known = {each.name for each in fields(Site)}
    if strange := sorted(set(told) - known):
        raise SiteError(f"{path}: {strange[0]}: no such setting; there are {', '.join(sorted(known))}")
    try:
        return Site(**told)
    except (TypeError, SiteError) as err:
        raise SiteError(f"{path}: {err}") from err


def _number(command: str) -> float:
    said = _said(command).strip()
    try:
        return float(said)
    except ValueError:
        raise SiteError(f"{command!r} says {said[:80]!r}: expected one number") from None


def _said(command: str, **more: str) -> str:
    try:
        done = subprocess.run(  # noqa: S602 (the commands are the site's own)
            command,
            shell=True,
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SiteError(f"{command!r} has not ended within {PATIENCE:g} s") from None
    if done.returncode:
        raise SiteError(f"{command!r} ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return done.stdout


def _age(created: str) -> float:
    """Seconds since a time as Nova writes it."""
    return (datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(created)).total_seconds()


def main() -> int:
    """Until SIGTERM or SIGINT. Exit code 1: it could not look (with --once or --dry-run), 2: the file is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="the site, in TOML")
    parser.add_argument("--once", action="store_true", help="look once, and end")
    parser.add_argument("--dry-run", action="store_true", help="look once, and say what would be done")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    logging.getLogger("keystoneauth").setLevel(logging.WARNING)
    try:
        site = read(options.config)
    except SiteError as err:
        parser.error(str(err))
    import openstack  # noqa: PLC0415 (--help and a wrong file need no cloud)

    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    clouds = [
        Cloud(site, place, openstack.connect(cloud=place.cloud or None), options.config.parent, number)
        for number, place in enumerate(site.places())
    ]
    fleet, idle = Fleet(site, clouds, openstack.exceptions.SDKException), Idle()
    while not over.is_set():
        try:
            look(site, fleet, idle, dry_run=options.dry_run)
        except (SiteError, openstack.exceptions.SDKException) as err:  # the next look may see more
            log.error("%s", err)
            if options.once or options.dry_run:
                return 1
        if options.once or options.dry_run:
            break
        over.wait(site.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
