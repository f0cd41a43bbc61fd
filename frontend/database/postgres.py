"""How PostgreSQL is spoken to: what a connection is told at its start, and that no answer is waited for for ever.

A server that is frozen says nothing, so neither its own timeouts nor TCP's end the wait. psycopg2 therefore waits
through a function of ours (psycopg2.extensions.set_wait_callback); a connection that it gives up is closed.
"""

from __future__ import annotations

import contextlib
import select
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg2
from psycopg2 import extensions

_CONNECT = 2.5  # seconds
_ANSWER = 8.0

# libpq-connect(3): a machine that is gone is noticed within 10 s also when nothing is being asked.
_TCP: Mapping[str, int] = {
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms
}
# Of the session: who holds a lock and is not heard of any more must not keep the others waiting.
_SESSION: Mapping[str, str] = {
    "lock_timeout": "3s",
    "statement_timeout": "7s",
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "4",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}

_own = threading.local()


def arguments(query: Mapping[str, Sequence[str] | str]) -> dict[str, Any]:
    """Arguments of a connection; what the URL's query says counts."""
    extensions.set_wait_callback(_wait)
    options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    given = query.get("options", "")
    more = given if isinstance(given, str) else " ".join(given)
    return {
        **{name: value for name, value in _TCP.items() if name not in query},
        "options": f"{options} {more}".rstrip(),
    }


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Within the block this thread waits longer for an answer: a new index takes its time."""
    before = getattr(_own, "answer", None)
    _own.answer = seconds
    try:
        yield
    finally:
        _own.answer = before


def _wait(connection: Any) -> None:
    ready = select.poll()
    while (state := connection.poll()) != extensions.POLL_OK:
        is_setup = connection.status == extensions.STATUS_SETUP
        seconds = _CONNECT if is_setup else getattr(_own, "answer", None) or _ANSWER
        ready.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        if not ready.poll(seconds * 1000):
            raise psycopg2.OperationalError(f"no answer within {seconds:g} s")
