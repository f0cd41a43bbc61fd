"""The least that such a path is made of: a watcher, a transport, a consumer. It runs on Debian 13.

    python3 -m bench.events.floor send TRANSPORT PLACE QUEUE      what is renamed into the directory QUEUE
    python3 -m bench.events.floor take TRANSPORT PLACE KIND WHERE  a sink of a KIND in sinks.py

PLACE is the file or the queue's name. Nothing that was missed is looked for, no failure is outlived.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from bench.events import sinks
from bench.inotify import MOVED_TO, Watch
from ganeti_ext.event import RANKS
from ganeti_ext.service import notify


class Sender(Protocol):
    def send(self, body: str) -> None: ...
    def flush(self) -> None: ...


class Taker(Protocol):
    def take(self) -> list[str] | list[str | bytes]: ...
    def done(self) -> None: ...


def _sqlite(synchronous: str, end: str, place: str) -> Sender | Taker:
    from bench.events import sqlitequeue  # noqa: PLC0415 (each process has one transport in it)

    return (sqlitequeue.Sender if end == "send" else sqlitequeue.Taker)(place, synchronous)


def _amqp(window: int, end: str, place: str) -> Sender | Taker:
    from bench.events import amqpqueue  # noqa: PLC0415

    if end == "send":
        return amqpqueue.Sender(place, window) if window > 1 else amqpqueue.PlainSender(place)
    return amqpqueue.Taker(place, single=window == 1)


TRANSPORTS: Mapping[str, Callable[[str, str], Sender | Taker]] = {
    "full": lambda end, place: _sqlite("FULL", end, place),
    "normal": lambda end, place: _sqlite("NORMAL", end, place),
    "window": lambda end, place: _amqp(64, end, place),
    "each": lambda end, place: _amqp(1, end, place),
}


def send(sender: Sender, queue: str) -> None:
    """Tell what is renamed into a directory, for ever."""
    watch = Watch(queue, MOVED_TO)
    notify("READY=1")
    while True:
        for name in watch.names():
            sender.send(message(Path(f"{queue}/{name}").read_bytes()))
        sender.flush()


def message(text: bytes) -> str:
    """What a job file tells: a line of JSON with job, instance, operation, status and time."""
    job = json.loads(text)
    op = job["ops"][0]
    found = {"job": job["id"], "instance": op["input"]["instance_name"], "operation": op["input"]["OP_ID"]}
    return json.dumps({**found, "status": op["status"], "time": op["end_timestamp"] or job["received_timestamp"]})


def take(taker: Taker, sink: sinks.Sink) -> None:
    """Take what comes, for ever."""
    notify("READY=1")
    while True:
        found = [json.loads(body) for body in taker.take()]
        sink.keep([(one["job"], RANKS[one["status"]]) for one in found])
        taker.done()


def main() -> None:
    end, transport, place, *rest = sys.argv[1:]
    made = TRANSPORTS[transport](end, place)
    if end == "send":
        send(made, rest[0])  # type: ignore[arg-type]
    else:
        kind, where = rest
        take(made, sinks.KINDS[kind](where))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
