"""A node with a real ganeti-ext-eventd on directories of our own, and who takes what it tells."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganeti_ext import event
from ganeti_ext.outbox import Outbox, drain

HERE = Path(__file__).parents[1]
ROOT = Path(os.environ.get("GANETI_EXT_ROOT", HERE.parent))
OWN_NAME = "node1.example.org"


class Node:
    """The directories of one node, and eventd on it."""

    def __init__(self, path: Path, name: str = OWN_NAME) -> None:
        self.path = path
        self.name = name
        for folder in ("queue/archive", "data", "notes", "state"):
            (path / folder).mkdir(parents=True)
        self.data("ssconf_cluster_name", "cluster.example.org")
        self.master(name)
        self.configure()
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(path / "notify"))
        self._notify.settimeout(20)
        self._processes: list[subprocess.Popen[bytes]] = []

    def configure(self, **more: str) -> None:
        keys = {
            "outbox": self.path / "state/outbox.db", "job_queue": self.path / "queue", "spool": self.path / "notes",
            "data_directory": self.path / "data", "query_socket": self.path / "no-luxid", "node_name": self.name,
            "recent_hours": "100000000", "control": "", **more,
        }  # fmt: skip
        lines = ["[eventd]", *(f"{key} = {value}" for key, value in keys.items())]
        (self.path / "eventd.conf").write_text("\n".join(lines))

    def start(self, *before: str) -> subprocess.Popen[bytes]:
        """eventd, once it is READY; `before` is a command that runs it."""
        with open(self.path / "log", "ab") as log:
            process = subprocess.Popen(
                [*before, sys.executable, "-I", ROOT / "eventd/ganeti-ext-eventd",
                 "--config", self.path / "eventd.conf"],
                env={"NOTIFY_SOCKET": str(self.path / "notify")}, stdin=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        self._processes.append(process)
        while (said := self._notify.recv(64)) != b"READY=1":
            assert said in (b"STOPPING=1", b"WATCHDOG=1"), self.log()  # of the one before
        return process

    def log(self) -> str:
        return (self.path / "log").read_text()

    def data(self, name: str, text: str) -> None:
        self._replace(self.path / "data" / name, f"{text}\n")

    def master(self, name: str) -> None:
        self.data("ssconf_master_node", name)

    def term(self, number: int) -> None:
        """Which Ganeti raises with each failover."""
        self._replace(self.path / "data/config.data", json.dumps({"cluster": {"serial_no": number}}))

    def job(self, name: str, job_id: int, folder: str = "queue") -> None:
        """A recorded job under another id, as Ganeti writes it."""
        job = json.loads((HERE / f"data/jobs/{name}.json").read_text())
        self._replace(self.path / folder / f"job-{job_id}", json.dumps({**job, "id": job_id}))

    def note(self, name: str) -> None:
        note = {"type": "ganeti-net-status", "version": 1, "event_time": [1, 2], "instance": name, "nics": []}
        self._replace(self.path / f"notes/{time.time_ns()}-7.json", json.dumps(note))

    def outbox(self) -> Outbox:
        return Outbox(str(self.path / "state/outbox.db"))

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._notify.close()

    @staticmethod
    def _replace(path: Path, text: str) -> None:
        draft = path.with_name(f"{path.name}abc.new")
        draft.write_text(text)
        draft.rename(path)


class Front:
    """Takes from the outbox when the wake-up tells; `masters` are the nodes that told they were, in order."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._wake = outbox.listen()
        self.taken: list[dict[str, Any]] = []
        self.masters: list[str] = []

    def until(self, done: Callable[[], bool], seconds: float = 15) -> None:
        end = time.monotonic() + seconds
        while True:
            drain(self._wake)
            while messages := self._outbox.take(100):
                told = [json.loads(message.body) for message in messages]
                self.masters += [each["node"] for each in told if each["type"] == event.MASTER]
                self.taken += [each for each in told if each["type"] != event.MASTER]
                self._outbox.drop(message.seq for message in messages)
            if done():
                return
            assert select.select([self._wake], [], [], max(0, end - time.monotonic()))[0], f"only {self.states()}"

    def states(self) -> list[tuple[int, int, str]]:
        return [(m["jobId"], m["op_index"], m["status"]) for m in self.taken if "jobId" in m]

    def close(self) -> None:
        self._wake.close()
        self._outbox.close()
