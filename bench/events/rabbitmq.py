"""RabbitMQ as Debian ships it, with its defaults, for the length of a `with` block."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from bench import netns
from bench.events.place import HOME, NAMESPACE, Place
from bench.postgresql import as_user
from bench.process import running
from lab.step import step, until

_PATIENCE = 120.0  # seconds; RabbitMQ takes 5 to 30


@contextlib.contextmanager
def rabbitmq(place: Place) -> Iterator[None]:
    """It listens at its usual port; its user guest may come in from there."""
    folder = f"{HOME}/rabbitmq"
    env = [f"HOME={folder}", "RABBITMQ_NODENAME=bench@localhost", f"RABBITMQ_MNESIA_BASE={folder}/mnesia"]
    env += [f"RABBITMQ_LOG_BASE={folder}/log"]
    place.run("install", "-d", "-o", "rabbitmq", "-g", "rabbitmq", folder)
    argv = as_user("rabbitmq", "env", *env, "/usr/lib/rabbitmq/bin/rabbitmq-server")
    with step("Starting RabbitMQ"), contextlib.ExitStack() as undo:
        process = undo.enter_context(running(argv, place.where, place.file("/var/log/bench-rabbitmq.log")))
        until("RabbitMQ listens", lambda: process.alive() and _listens(), _PATIENCE)
        later = undo.pop_all()
    with later:
        yield


def _listens() -> bool:
    def connect() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", 5672), 1):
            return True
        return False

    return netns.inside(NAMESPACE, connect)
