"""Consumer processes on a RabbitMQ and a PostgreSQL, and messages for them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import kombu
from sqlalchemy import select
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.update import amqp
from ganeti_ext import event, tags
from tests.unit.frontend import remote, updates
from tests.waiting import PATIENCE

ROOT = Path(os.environ.get("GANETI_EXT_ROOT", Path(__file__).parents[2]))
CONSUMER = ROOT / "frontend" / "ganeti-ext-consumer"


class Consumer:
    """One process, with its own configuration in `folder`; `log` is what it says."""

    def __init__(self, folder: Path, broker: str, database: str, **env: str) -> None:
        self.folder = folder
        folder.mkdir()
        remote.certificate(folder)
        config = remote.configure(folder)
        text = config.read_text().replace(f"outbox:{folder}/outbox.db", broker)
        # The messages are of 2023, and so is what they tell of jobs.
        config.write_text(text.replace(f"sqlite:///{folder}/front.db", f"{database}\nkeep_actions = 0"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, (folder / "log").open("w") as log:
            notify.bind(str(folder / "notify"))
            self.process = subprocess.Popen(
                [sys.executable, "-I", str(CONSUMER), "--config", str(config)],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET": str(folder / "notify"), **env},
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
            notify.settimeout(0.5)
            self._ready(notify)

    def _ready(self, notify: socket.socket) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < end, self.log
            with contextlib.suppress(TimeoutError):
                assert notify.recv(64) == b"READY=1"
                return

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def complaints(self) -> list[str]:
        """The last lines that are no mere news."""
        return [line for line in self.log.splitlines() if not line.startswith(("INFO", "DEBUG"))][-20:]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class Broker:
    """The exchange that eventd writes to, and the front's queue."""

    def __init__(self, url: str) -> None:
        self._connection = kombu.Connection(url, connect_timeout=20)
        self._channel = self._connection.channel()
        amqp.QUEUE(self._channel).declare()
        self._producer = kombu.Producer(self._channel, amqp.EXCHANGE(self._channel), auto_declare=False)

    def publish(self, bodies: Iterable[str | bytes], key: str = "ganeti.gx.event.op", **properties: Any) -> None:
        for body in bodies:
            self._producer.publish(
                body, routing_key=key, delivery_mode=2, content_type="application/json", content_encoding="utf-8",
                **properties,
            )  # fmt: skip

    def waiting(self) -> int:
        """Messages that are with nobody; those that a consumer holds are not counted."""
        count: int = amqp.QUEUE(self._channel).queue_declare(passive=True).message_count
        return count

    def close(self) -> None:
        self._connection.release()


def ident(number: int) -> str:
    return f"7a1f0a52-52b4-4f0d-9d39-{number:012x}"


def lives(servers: int, jobs: int) -> list[dict[str, Any]]:
    """Messages of servers that are made, stopped, started ... and some removed, in the order they were seen in."""
    chance = random.Random(6)
    found: list[dict[str, Any]] = []
    plans = {
        server: ["CREATE", *chance.choices(("SHUTDOWN", "STARTUP", "REBOOT"), k=jobs)] for server in range(servers)
    }
    for server in range(0, servers, 7):
        plans[server].append("REMOVE")
    job = 100
    while any(plans.values()):
        job += 1
        server = chance.choice([number for number, plan in plans.items() if plan])
        found += _job(plans[server].pop(0), server, job)
    return [{**message, "seq": [1, number]} for number, message in enumerate(found)]


def _job(opcode: str, server: int, job: int) -> Iterator[dict[str, Any]]:
    running = opcode != "SHUTDOWN"
    for offset, status in enumerate(("queued", "waiting", "running", "success")):
        at = 10 * job + offset
        # Ganeti answers for what there is, with its tags.
        was_asked = status == "success" and opcode not in ("CREATE", "REMOVE")
        said = updates.read(running, at=at, tags=tags.encode(updates.FACTS)) if was_asked else {}
        if opcode == "CREATE":
            message = updates.create(status, at=at, job=job, **said)
        else:
            message = updates.op(opcode, status, at=at, job=job, **said)
        yield {**message, "instance": f"gx-{ident(server)}"}


def encode(messages: Iterable[dict[str, Any]]) -> list[str]:
    return [event.encode(message) for message in messages]


def everything(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """All that consumers write, without the time at which they did."""
    found = {}
    with engine.connect() as connection:
        for table in (db.server, db.action, db.dead_letter):
            rows = db.rows(connection, select(table).order_by(*table.primary_key))
            found[table.name] = [{name: row[name] for name in row if name not in _TIMES[table.name]} for row in rows]
    return found


_TIMES = {"server": ("updated",), "action": (), "dead_letter": ("time", "tries")}


@contextlib.contextmanager
def running(folder: Path, count: int, broker: str, database: str, **env: str) -> Iterator[list[Consumer]]:
    with contextlib.ExitStack() as stack:
        folder.mkdir(exist_ok=True)
        made = (Consumer(folder / f"c{number}", broker, database, **env) for number in range(count))
        yield [stack.enter_context(contextlib.closing(one)) for one in made]


def counted(engine: Engine) -> int:
    """How many opcodes have ended."""
    with engine.connect() as connection:
        return len(connection.execute(select(db.action.c.job).where(db.action.c.ended.is_not(None))).all())
