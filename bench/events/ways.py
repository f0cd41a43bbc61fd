"""All ways that are compared, in two groups: without a broker, and with one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from bench.events import ours
from bench.events.jobfiles import SERVERS
from bench.events.place import HOME, Place
from bench.events.rabbitmq import rabbitmq
from bench.events.way import Table, Way
from bench.postgresql import SOCKETS, database, postgresql
from lab.step import step

RECEIPT = "floor, to its receipt"
ROW = "floor, to a row"
FASTER = "floor without fsync, to its receipt"
FASTER_ROW = "floor without fsync, to a row"
PEER = "kombu's own way, to a row"


class Floor(NamedTuple):
    """A transport of floor.py, and a kind of sink."""

    title: str
    transport: str
    sink: str


class Site(NamedTuple):
    """A group: what it is called in a command, and in a table."""

    short: str
    title: str
    floors: Sequence[Floor]


EMBEDDED = Site(
    "embedded",
    "outbox file and SQLite",
    (
        Floor(RECEIPT, "full", "lines"),
        Floor(ROW, "full", "sqlite"),
        Floor(FASTER, "normal", "lines"),
        Floor(FASTER_ROW, "normal", "sqlite-normal"),
    ),
)
BROKER = Site(
    "rabbitmq",
    "RabbitMQ and PostgreSQL",
    (Floor(RECEIPT, "window", "lines"), Floor(ROW, "window", "postgresql"), Floor(PEER, "each", "postgresql")),
)
SITES = {site.short: site for site in (EMBEDDED, BROKER)}
Ways = Mapping[Site, Sequence[Way]]


@contextlib.contextmanager
def ways(place: Place, sites: Sequence[Site]) -> Iterator[Ways]:
    """All ways of some groups at work, ours first, each with its servers in their rows."""
    with contextlib.ExitStack() as undo:
        found: dict[Site, list[Way]] = {}
        for site in sites:
            if site is BROKER:
                undo.enter_context(rabbitmq(place))
                undo.enter_context(postgresql(place, f"{HOME}/postgresql"))
            with step(f"Starting all ways with {site.title}"):
                mine = ours.broker(place) if site is BROKER else ours.embedded(place)
                floors = [_floor(place, floor) for floor in site.floors]
                found[site] = [undo.enter_context(each) for each in (mine, *floors)]
        yield found


@contextlib.contextmanager
def _floor(place: Place, floor: Floor) -> Iterator[Way]:
    name = f"{floor.transport}-{floor.sink}"
    home = f"{HOME}/{name}"
    place.file(f"{home}/queue/x")
    via = name if floor.transport in ("window", "each") else f"{home}/queue.db"
    where = f"{home}/sink/rows"
    place.file(where)
    if floor.sink == "postgresql":
        database(place, name)
        where = f"host={SOCKETS} user=postgres dbname={name}"
    program = ("python3", "-m", "bench.events.floor")
    with (
        place.daemon(f"{name}-take", *program, "take", floor.transport, via, floor.sink, where) as taker,
        place.daemon(f"{name}-send", *program, "send", floor.transport, via, f"{home}/queue") as sender,
    ):
        table = Table(floor.sink.removesuffix("-normal"), where, "seen")
        way = Way(floor.title, f"{home}/queue", table, sender, taker)
        way.drain(place, SERVERS)
        yield way
