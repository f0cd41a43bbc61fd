"""The update path under faults, on the real cluster with jobs going on: see promise.py for what must hold.

LAB_SEED=7 repeats a load. A few faults are always tried, all of them with LAB_ALL=1.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from random import Random

import pytest

from lab import clock, master
from lab.faults import dead, frozen, full, halted, kill, mute, small, stopped
from lab.node import Node
from lab.step import until
from lab.story import Story
from tests.lab import site as made
from tests.lab.site import BROKER, BROKER_PORT, CONSUMER, DATABASE, EVENTD, Site

SEED = int(os.environ.get("LAB_SEED", "0")) or Random().randrange(1, 1 << 31)
WORKERS = 3
SPOOL = "/var/lib/ganeti-ext/eventd"
HOUR = 3600
MANY = 200  # jobs, of the whole suite


@pytest.fixture(scope="module")
def site(story: Story, told: list[str]) -> Iterator[Site]:
    with made.site(story, SEED, WORKERS) as found:
        yield found
        told += [f"LAB_SEED={SEED}", *found.table()]


def _kill(site: Site, node: Node, unit: str) -> None:
    """It is back when systemd has started it again by itself."""
    is_back = site.restarted(node, unit)
    kill(node, unit)
    until(f"{unit} is back", is_back, 120)


def _last(site: Site, fault: AbstractContextManager[None], seconds: float = 0) -> None:
    """A fault lasts until four jobs have ended in it, and at least so long."""
    begun = time.monotonic()
    with fault:
        site.worked(4)
        until("the fault has lasted", lambda: time.monotonic() - begun >= seconds, seconds + 60)


def eventd_killed(site: Site) -> None:
    _kill(site, site.master, EVENTD)


def consumer_killed(site: Site) -> None:
    _kill(site, site.front, CONSUMER)


def broker_killed(site: Site) -> None:
    _kill(site, site.front, BROKER)


def database_killed(site: Site) -> None:
    """Debian's unit does not start it again: an administrator does."""
    kill(site.front, DATABASE)
    site.worked(4)
    site.front.run("systemctl", "start", DATABASE, timeout=180)


def master_fails_over(site: Site) -> None:
    other = next(node for node in site.nodes if node is not site.master)
    master.fail_over(site.nodes, other, site.answers)


def master_fails_back(site: Site) -> None:
    master.fail_over(site.nodes, site.nodes[0], site.answers)


def eventd_frozen(site: Site) -> None:
    _last(site, frozen(site.master, EVENTD), 6)


def consumer_frozen(site: Site) -> None:
    _last(site, frozen(site.front, CONSUMER), 6)


def broker_frozen(site: Site) -> None:
    _last(site, frozen(site.front, BROKER), 12)


def database_frozen(site: Site) -> None:
    _last(site, frozen(site.front, DATABASE), 12)


def broker_cut_off(site: Site) -> None:
    _last(site, mute(site.front, BROKER_PORT), 13)


def jobs_archived_unseen(site: Site) -> None:
    """They end while eventd is down, and are in the archive when it comes back."""
    with stopped(site.master, EVENTD):
        site.worked(6)
        site.master.run("gnt-job", "autoarchive", "all", timeout=60)


def configuration_put_back(site: Site) -> None:
    """An administrator's backup: it has no instance of those that were added since, and no job tells that they went."""
    site.load.pause()
    site.rest()
    with master.undone(site.master):
        site.add()


def master_halted(site: Site) -> None:
    """All of it stands still, and nobody takes over."""
    begun = time.monotonic()
    with halted(site.master):
        until("the node has stood still", lambda: time.monotonic() - begun >= 12, 30)


def master_dead(site: Site) -> None:
    """It loses its power and boots again. No job tells that what ran there does so no more."""
    with dead(site.master):
        pass


ALWAYS = (eventd_killed, consumer_killed, broker_killed, database_killed, master_fails_over, master_fails_back)
LONG = (
    *(eventd_frozen, consumer_frozen, broker_frozen, database_frozen),
    *(broker_cut_off, jobs_archived_unseen, configuration_put_back, master_halted, master_dead),
)


@pytest.mark.parametrize("fault", [*ALWAYS, *(pytest.param(each, marks=pytest.mark.long) for each in LONG)])
def test_survives(site: Site, fault: Callable[[Site], None]) -> None:
    site.survive(fault.__name__.replace("_", " "), fault)


@pytest.mark.long
def test_survives_a_full_spool(site: Site) -> None:
    with small(site.master, SPOOL, EVENTD):
        site.survive("spool full", lambda site: _last(site, full(site.master, SPOOL), 8))


@pytest.mark.long
def test_survives_steps_of_the_masters_clock(site: Site) -> None:
    with clock.movable(site.master):
        site.survive("clock an hour ahead", partial(_step, seconds=HOUR))
        site.survive("clock an hour back", partial(_step, seconds=0))


def _step(site: Site, seconds: int) -> None:
    clock.step(site.master, seconds)
    assert abs(clock.now(site.master) - time.time() - seconds) < 60
    site.worked(8)


@pytest.mark.long
def test_two_hundred_jobs_end_once_each(site: Site) -> None:
    site.survive("no fault", lambda site: site.worked(max(4, MANY - len(site.promise.jobs.read())), 600))
    assert site.promise.exactly_once() >= MANY
