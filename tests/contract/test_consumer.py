"""The real consumer process on a real outbox, killed at any moment."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select

from frontend.database import db
from ganeti_ext import event
from ganeti_ext.outbox import Outbox
from tests.unit.frontend import remote, updates
from tests.unit.frontend.cluster import CLUSTER

ROOT = Path(os.environ.get("GANETI_EXT_ROOT", Path(__file__).parents[2]))
CONSUMER = ROOT / "frontend" / "ganeti-ext-consumer"
SERVERS = 300

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    remote.certificate(tmp_path)
    remote.configure(tmp_path)
    return tmp_path


@contextlib.contextmanager
def consumer(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The process once it said READY, its log in the file `log`; killed at the end if it still runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, (folder / "log").open("w") as log:
        address = folder / f"notify.{time.monotonic_ns()}"
        notify.bind(str(address))
        notify.settimeout(20)
        process = subprocess.Popen(
            [sys.executable, "-I", str(CONSUMER), "--config", str(folder / "frontend.conf"), *options],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET": str(address)},
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            try:
                assert notify.recv(64) == b"READY=1"
            except TimeoutError as err:
                err.add_note((folder / "log").read_text())
                raise
            yield process
        finally:
            process.kill()
            process.wait()


def ident(number: int) -> str:
    return f"7a1f0a52-52b4-4f0d-9d39-{number:012x}"


def bodies() -> Iterator[str]:
    """A create of each server, a shutdown of every other, a message that is garbage after each tenth."""
    for number in range(SERVERS):
        name = f"gx-{ident(number)}"
        yield event.encode({**updates.create("running", at=number), "instance": name})
        done = {**updates.create("success", at=number, **updates.read(True, at=number)), "instance": name}
        yield event.encode(done)
        if number % 2:
            off = updates.op("SHUTDOWN", "success", job=11, at=number + 5, instance=name)
            yield event.encode(off)
        if number % 10 == 0:
            yield f"garbage {number}"


def rows(folder: Path, table: Any) -> list[dict[str, Any]]:
    engine = create_engine(f"sqlite:///{folder}/front.db")
    try:
        with engine.connect() as connection:
            return db.rows(connection, select(table))
    finally:
        engine.dispose()


def wait(until: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def test_nothing_is_lost_and_nothing_comes_twice_whenever_it_is_killed(folder: Path) -> None:
    outbox = Outbox(str(folder / "outbox.db"))
    outbox.put([("key", body) for body in bodies()])
    total, kills = len(outbox), 0
    while left := len(outbox):
        with consumer(folder, "--log-level", "ERROR") as process:
            wait(lambda left=left: len(outbox) < left)  # type: ignore[misc]
            time.sleep(0.03 * (kills % 3))
            process.send_signal(signal.SIGKILL)
            process.wait()
        kills += 1
    assert total > 700
    assert kills >= 2
    servers = {row["id"]: row for row in rows(folder, db.server)}
    assert len(servers) == SERVERS
    for number in range(SERVERS):
        row = servers[ident(number)]
        assert (row["status"], row["task"]) == ("SHUTOFF" if number % 2 else "ACTIVE", None), number
    assert sorted(row["body"] for row in rows(folder, db.dead_letter)) == sorted(
        f"garbage {number}" for number in range(0, SERVERS, 10)
    )
    outbox.close()


def test_a_message_arrives_at_once_and_a_signal_stops_it(folder: Path) -> None:
    outbox = Outbox(str(folder / "outbox.db"))
    with consumer(folder) as process:
        took = []
        for _ in range(5):
            began = time.monotonic()
            outbox.put([("key", event.encode(updates.create("queued")))])
            wait(lambda: len(outbox) == 0)
            took.append(time.monotonic() - began)
        # The tick that would find one unasked comes once a second, so all but the first would wait for a whole one.
        assert min(took[1:]) < 0.9
        assert rows(folder, db.server)[0]["status"] == "BUILD"
        # The remote API does not answer: one line, and no harm.
        wait(lambda: "again every 2 s" in (folder / "log").read_text())
        outbox.put([("key", event.encode(updates.create("error", at=5)))])
        wait(lambda: rows(folder, db.server)[0]["status"] == "ERROR")
        process.terminate()
        assert process.wait(10) == 0
    said = (folder / "log").read_text()
    assert said.count("reconcile: RAPI 127.0.0.1:1") == 1
    assert "the-secret" not in said
    outbox.close()


def test_it_compares_with_ganeti_also_behind_a_backlog(folder: Path) -> None:
    outbox = Outbox(str(folder / "outbox.db"))
    outbox.put([("key", body) for body in bodies()])
    other = "gx-99999999-52b4-4f0d-9d39-0a0b7c4f9c11"
    names = [f"gx-{ident(number)}" for number in range(SERVERS)]
    answers = {
        "info": {"uuid": CLUSTER},
        "instances": [updates.instance(name) for name in (other, *names)],
    }
    with remote.serving(folder, answers) as url:
        remote.configure(folder, url)
        with consumer(folder):
            wait(lambda: other in [row["instance"] for row in rows(folder, db.server)])
            wait(lambda: len(outbox) == 0)
            # The messages said that every other one is off.
            wait(lambda: {row["status"] for row in rows(folder, db.server)} == {"ACTIVE"})
    outbox.close()


@pytest.mark.parametrize(
    ("line", "words"),
    [("broker = amqp:", "unknown section"), ("[broker]\nurl = smtp://x", "starts neither with outbox:")],
)
def test_a_wrong_setting_is_named(folder: Path, line: str, words: str) -> None:
    text = (folder / "frontend.conf").read_text()
    if line.startswith("[broker]"):
        text = text.replace(f"[broker]\nurl = outbox:{folder}/outbox.db", line)
    else:
        text += f"[wrong]\n{line}\n"
    (folder / "frontend.conf").write_text(text)
    done = subprocess.run(
        [sys.executable, "-I", str(CONSUMER), "--config", str(folder / "frontend.conf")],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert words in done.stderr
