"""The API under gunicorn as its package starts it, over a database of its own with so many servers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.api.place import CERTIFICATE, HOME, RAPI_PORT, Place
from bench.postgresql import database, url
from lab.step import step

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
KINDS = (SQLITE, POSTGRESQL)
ADDRESS = "127.0.0.1"
PORT = 8774  # of the first; the others' follow
# debian/ganeti-ext-frontend.ganeti-ext-api.service
_START = ("/usr/bin/gunicorn", "--config", "python:frontend.serve", "frontend.wsgi:application")
_CONF = """\
[front]
database = {database}
listen = {address}:{port}
secret_file = {home}/secret
{more}
[rapi]
url = https://127.0.0.1:{rapi}
user = front
password = front
ca = {certificate}
[health]
counts = /run/bench-{name}-counts
"""


class Front(NamedTuple):
    """One at work; `at` is its address and port, `conf` its configuration."""

    kind: str
    servers: int
    at: tuple[str, int]
    conf: str

    @property
    def title(self) -> str:
        return f"{self.kind}, {self.servers:,} servers"

    def tokens(self, place: Place, *names: str) -> list[str]:
        """Of users, each for his own project."""
        found: list[str] = place.worker.call("issue", self.conf, names)
        return found


@contextlib.contextmanager
def fronts(place: Place) -> Iterator[Sequence[Front]]:
    """One for each kind of database and number of servers."""
    chosen = [(kind, servers) for servers in place.size.servers for kind in KINDS]
    with contextlib.ExitStack() as undo:
        found = []
        for number, (kind, servers) in enumerate(chosen):
            with step(f"Filling {kind} with {servers:,} servers"):
                found.append(undo.enter_context(_front(place, kind, servers, PORT + number)))
        yield found


@contextlib.contextmanager
def _front(place: Place, kind: str, servers: int, port: int) -> Iterator[Front]:
    with front(place, kind, f"{kind.lower()}{servers}", port, servers) as (at, conf, _):
        yield Front(kind, servers, at, conf)


@contextlib.contextmanager
def front(
    place: Place, kind: str, name: str, port: int, size: object, more: str = ""
) -> Iterator[tuple[tuple[str, int], str, str]]:
    """One that is at work, over a database that the worker has filled: where, its configuration, the database's URL.

    `more` are lines of the section [front].
    """
    home = f"{HOME}/{name}"
    conf = f"{home}/frontend.conf"
    place.file(conf)
    if kind == POSTGRESQL:
        database(place, name)
    where = url(name) if kind == POSTGRESQL else f"sqlite:///{home}/front.db"
    values = {"database": where, "address": ADDRESS, "port": port, "home": home, "name": name, "more": more}
    place.file(conf).write_text(_CONF.format(**values, rapi=RAPI_PORT, certificate=CERTIFICATE))
    place.worker.call("fill", conf, size)
    with place.daemon(name, *_START, env=(("GANETI_EXT_FRONTEND_CONF", conf),)):
        yield (ADDRESS, port), conf, where
