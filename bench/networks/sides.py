"""Ours and the floor, at work over one database: gunicorn with as many processes and threads for both."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bench.api.fronts import ADDRESS, KINDS, PORT, front
from bench.api.place import Place
from bench.api.population import ident
from bench.networks import population
from lab.step import step

DATABASE = "BENCH_FLOOR_DATABASE"  # in the floor's environment
OURS, FLOOR = "ours", "floor"
_FLOOR = ("/usr/bin/gunicorn", "--worker-class=gthread", "--workers=2", "--threads=8", "--keep-alive=75")
_MORE = f"max_page = {{most}}\ntenant_link = {population.LINK}"


class Side(NamedTuple):
    """`headers` by the name of who asks; `conf` is ours, too, for the floor."""

    name: str
    at: tuple[str, int]
    headers: Mapping[str, Mapping[str, str]]
    conf: str


@contextlib.contextmanager
def sides(place: Place, size: tuple[int, int]) -> Iterator[list[tuple[str, list[Side]]]]:
    """Both, for each kind of database."""
    with contextlib.ExitStack() as undo:
        found = []
        for number, kind in enumerate(KINDS):
            with step(f"Filling {kind} with {size[0]:,} networks and {size[1]:,} ports"):
                found.append((kind, list(undo.enter_context(_both(place, kind, PORT + 2 * number, size)))))
        yield found


@contextlib.contextmanager
def _both(place: Place, kind: str, port: int, size: tuple[int, int]) -> Iterator[tuple[Side, Side]]:
    name, more = f"networks{kind.lower()}", _MORE.format(most=max(1000, *size))
    with front(place, kind, name, port, size, more) as (at, conf, database):
        bind, env = f"--bind={ADDRESS}:{port + 1}", ((population.FLOOR, database),)
        with place.daemon(f"floor-{name}", *_FLOOR, bind, "bench.networks.floor:application", env=env):
            users = population.PROJECTS
            tokens = dict(zip(users, place.worker.call("issue", conf, users), strict=True))
            ours = {user: {"X-Auth-Token": token} for user, token in tokens.items()}
            theirs = {user: {"X-Auth-Token": ident("project", user)} for user in users}
            yield Side(OURS, at, ours, conf), Side(FLOOR, (ADDRESS, port + 1), theirs, conf)
