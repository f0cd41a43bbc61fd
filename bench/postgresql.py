"""PostgreSQL as Debian ships it, with its defaults, for the length of a `with` block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from bench.daemons import Daemons
from bench.process import running
from lab.step import step, until

SOCKETS = "/run/postgresql"
_PATIENCE = 120.0  # seconds


@contextlib.contextmanager
def postgresql(place: Daemons, data: str) -> Iterator[None]:
    """Its files are in the new directory `data`; it listens in SOCKETS alone, where anyone may be the user postgres."""
    binaries = max((place.root / "usr/lib/postgresql").iterdir()).relative_to(place.root)
    for folder in (data, SOCKETS):
        place.run("install", "-d", "-o", "postgres", "-g", "postgres", "-m", "700", folder)
    argv = as_user("postgres", f"/{binaries}/bin/postgres", "-D", data, "-k", SOCKETS, "-c", "listen_addresses=")
    with step("Starting PostgreSQL"), contextlib.ExitStack() as undo:
        place.run(*as_user("postgres", f"/{binaries}/bin/initdb", "--auth=trust", "--no-sync", "-D", data))
        process = undo.enter_context(running(argv, place.where, place.file("/var/log/bench-postgresql.log")))
        until("PostgreSQL listens", lambda: process.alive() and _ready(place), _PATIENCE)
        later = undo.pop_all()
    with later:
        yield


def database(place: Daemons, name: str) -> None:
    """Make a database."""
    place.run("createdb", f"--host={SOCKETS}", "--username=postgres", name)


def url(name: str) -> str:
    """What SQLAlchemy reaches a database by."""
    return f"postgresql+psycopg2://postgres@/{name}?host={SOCKETS}"


def as_user(user: str, *argv: str) -> Sequence[str]:
    """A command line that another user runs."""
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *argv]


def _ready(place: Daemons) -> bool:
    return (place.root / SOCKETS[1:] / ".s.PGSQL.5432").exists()
