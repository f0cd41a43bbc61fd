"""RabbitMQ and PostgreSQL as Debian ships them, with their defaults, for the length of a `with` block."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence

from bench import netns
from bench.events.place import HOME, NAMESPACE, Place
from bench.process import running
from lab.step import step, until

SOCKETS = "/run/postgresql"
_DATA = f"{HOME}/postgresql"
_PATIENCE = 120.0  # seconds; RabbitMQ takes 5 to 30


@contextlib.contextmanager
def rabbitmq(place: Place) -> Iterator[None]:
    """It listens at its usual port; its user guest may come in from there."""
    folder = f"{HOME}/rabbitmq"
    env = [f"HOME={folder}", "RABBITMQ_NODENAME=bench@localhost", f"RABBITMQ_MNESIA_BASE={folder}/mnesia"]
    env += [f"RABBITMQ_LOG_BASE={folder}/log"]
    place.run("install", "-d", "-o", "rabbitmq", "-g", "rabbitmq", folder)
    argv = _as("rabbitmq", "env", *env, "/usr/lib/rabbitmq/bin/rabbitmq-server")
    with step("Starting RabbitMQ"), contextlib.ExitStack() as undo:
        process = undo.enter_context(running(argv, place.where, place.file("/var/log/bench-rabbitmq.log")))
        until("RabbitMQ listens", lambda: process.alive() and _listens(), _PATIENCE)
        later = undo.pop_all()
    with later:
        yield


@contextlib.contextmanager
def postgresql(place: Place) -> Iterator[None]:
    """It listens at its socket in SOCKETS alone, where anyone may be the user postgres."""
    binaries = max((place.root / "usr/lib/postgresql").iterdir()).relative_to(place.root)
    for folder in (_DATA, SOCKETS):
        place.run("install", "-d", "-o", "postgres", "-g", "postgres", "-m", "700", folder)
    argv = _as("postgres", f"/{binaries}/bin/postgres", "-D", _DATA, "-k", SOCKETS, "-c", "listen_addresses=")
    with step("Starting PostgreSQL"), contextlib.ExitStack() as undo:
        place.run(*_as("postgres", f"/{binaries}/bin/initdb", "--auth=trust", "--no-sync", "-D", _DATA))
        process = undo.enter_context(running(argv, place.where, place.file("/var/log/bench-postgresql.log")))
        until("PostgreSQL listens", lambda: process.alive() and _ready(place), _PATIENCE)
        later = undo.pop_all()
    with later:
        yield


def database(place: Place, name: str) -> None:
    """Make a database."""
    place.run("createdb", f"--host={SOCKETS}", "--username=postgres", name)


def _as(user: str, *argv: str) -> Sequence[str]:
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *argv]


def _listens() -> bool:
    def connect() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", 5672), 1):
            return True
        return False

    return netns.inside(NAMESPACE, connect)


def _ready(place: Place) -> bool:
    return (place.root / SOCKETS[1:] / ".s.PGSQL.5432").exists()
