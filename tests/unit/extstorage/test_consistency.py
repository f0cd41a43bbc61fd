"""A guest that is held still goes on, whatever becomes of who held it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from extstorage import consistency
from extstorage.consistency import CRASH, FILES, Guest, Keeper
from ganeti_ext import qemusocket
from ganeti_ext.errors import ExtError

ROOT = Path(__file__).parents[3]
SECONDS = 10.0


class Server:
    """A JSON socket that serves one client at a time, as QEMU's do."""

    def __init__(self, path: Path, answers: Callable[[str], object], greeting: bytes = b"") -> None:
        self.path = str(path)
        self.heard: list[str] = []
        self.changed = threading.Condition()
        self._answers, self._greeting = answers, greeting
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen(5)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                with client, client.makefile("rb") as lines, contextlib.suppress(OSError):
                    client.sendall(self._greeting)
                    for line in lines:
                        self._answer(client, line)

    def _answer(self, client: socket.socket, line: bytes) -> None:
        request = json.loads(line.lstrip(b"\xff"))
        name = request["execute"]
        if name == "guest-sync-delimited":
            client.sendall(b"\xff" + json.dumps({"return": request["arguments"]["id"]}).encode() + b"\n")
            return
        answer = self._answers(name)
        with self.changed:
            self.heard.append(name)
            self.changed.notify_all()
        if answer is not None:
            event = b'{"event": "STOP", "timestamp": {}}\n'
            client.sendall(event + json.dumps(answer).encode() + b"\n")

    def await_(self, name: str) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: name in self.heard, SECONDS)


class Machine:
    """A QEMU with an agent in its guest."""

    def __init__(self, folder: Path) -> None:
        self.state = "running"
        self.frozen: object = {"return": 2}
        self.thawed = True
        self.refuses: set[str] = set()
        self.qemu = Server(folder / "web.qmp", self._qemu, b'{"QMP": {}}\n')
        self.agent = Server(folder / "web.qga", self._agent)

    def _qemu(self, name: str) -> object:
        if name in self.refuses:
            return {"error": {"class": "GenericError", "desc": f"no {name} today"}}
        if name in ("stop", "cont"):
            self.state = {"stop": "paused", "cont": "running"}[name]
        return {"return": {"status": self.state} if name == "query-status" else {}}

    def _agent(self, name: str) -> object:
        if self.state != "running":
            return None  # a guest whose processors stand still says nothing
        if name == "guest-fsfreeze-freeze":
            self.thawed = self.frozen != {"return": 2}
            return self.frozen
        if name == "guest-fsfreeze-thaw":
            self.thawed = True
        return {"return": 2}

    @property
    def goes_on(self) -> bool:
        return self.state == "running" and self.thawed

    def guest(self, *, freeze: bool = True) -> Guest:
        return Guest(self.qemu.path, self.agent.path, freeze=freeze)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr(consistency, "ANSWER", 1.0)
    monkeypatch.setattr(consistency, "FREEZE", 1.0)
    found = Machine(tmp_path)
    yield found
    found.qemu.close()
    found.agent.close()


def test_a_guest_with_an_agent(machine: Machine) -> None:
    with Keeper(machine.guest()) as keeper:
        assert keeper.held == (FILES, "")
        assert (machine.state, machine.thawed) == ("paused", False)
        assert keeper.end() == ""
    assert machine.goes_on
    assert machine.qemu.heard == ["qmp_capabilities", "query-status", "stop", "query-status", "cont"]
    assert machine.agent.heard == ["guest-fsfreeze-freeze", "guest-fsfreeze-thaw"]


def test_without_an_agent_it_is_of_one_moment_at_least(machine: Machine) -> None:
    machine.agent.close()
    with Keeper(machine.guest()) as keeper:
        assert keeper.held == (CRASH, "no agent answers in the guest")
        assert machine.state == "paused"
    assert machine.goes_on
    os.unlink(machine.agent.path)
    with Keeper(machine.guest()) as keeper:
        assert keeper.held == (CRASH, "the hypervisor parameter use_guest_agent is off")
    machine.agent = Server(Path(machine.agent.path), machine._agent)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"error": {"desc": "no such command"}}, r"did not freeze: .*no such command"),
        ({"return": 0}, r"no file system to freeze"),
        (None, r"did not freeze: .*no answer"),
    ],
)
def test_an_agent_that_does_not_freeze(machine: Machine, answer: object, why: str) -> None:
    machine.frozen = answer
    with Keeper(machine.guest()) as keeper:
        assert keeper.held.consistency == CRASH
        assert re.search(why, keeper.held.why)
    assert machine.goes_on
    assert "guest-fsfreeze-thaw" in machine.agent.heard


def test_the_agent_is_left_alone_when_that_is_said(machine: Machine) -> None:
    with Keeper(machine.guest(freeze=False)) as keeper:
        assert keeper.held.consistency == CRASH
    assert (machine.goes_on, machine.agent.heard) == (True, [])


def test_a_paused_guest_stays_paused(machine: Machine) -> None:
    machine.state = "paused"
    with Keeper(machine.guest()) as keeper:
        assert keeper.held.consistency == CRASH
        assert keeper.end() == ""
    assert (machine.state, "cont" in machine.qemu.heard) == ("paused", False)


@pytest.mark.parametrize("state", ["inmigrate", "postmigrate"])
def test_a_guest_that_moves(machine: Machine, state: str) -> None:
    machine.state = state
    with pytest.raises(ExtError, match=f"QEMU says {state}"), Keeper(machine.guest(freeze=False)):
        pass
    assert machine.state == state


def test_qemu_that_refuses_to_stop(machine: Machine) -> None:
    machine.refuses = {"stop"}
    with pytest.raises(ExtError, match="stop: no stop today"), Keeper(machine.guest()):
        pass
    assert machine.goes_on


def test_an_error_meanwhile(machine: Machine) -> None:
    with pytest.raises(ZeroDivisionError), Keeper(machine.guest()):
        assert machine.state == "paused"
        raise ZeroDivisionError
    assert machine.goes_on


def test_somebody_who_lets_the_guest_go_on(machine: Machine) -> None:
    with Keeper(machine.guest()) as keeper:
        machine.state = "running"
        assert keeper.end() == "somebody let the guest go on meanwhile"
    assert machine.goes_on


def test_snapshots_that_take_too_long(machine: Machine) -> None:
    with Keeper(machine.guest(), limit=0.2) as keeper:
        assert machine.agent.await_("guest-fsfreeze-thaw")
        assert machine.goes_on
        os.waitid(os.P_PID, keeper._pid, os.WEXITED | os.WNOWAIT)
        assert keeper.end() == "after 0.2 s the guest had to go on"


def test_a_guest_that_cannot_be_let_go_is_told(machine: Machine) -> None:
    machine.refuses = {"cont"}
    with Keeper(machine.guest(freeze=False)) as keeper, pytest.raises(ExtError, match="may still stand still: cont: "):
        keeper.end()
    assert machine.qemu.heard.count("cont") == 2


def test_a_keeper_that_is_killed(machine: Machine) -> None:
    with Keeper(machine.guest()) as keeper:
        os.kill(keeper._pid, signal.SIGKILL)
        os.waitid(os.P_PID, keeper._pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(ExtError, match="the process that held the guest died"):
            keeper.end()
    assert machine.goes_on


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_who_asked_is_killed(machine: Machine, how: signal.Signals) -> None:
    code = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from extstorage.consistency import Guest, Keeper
with Keeper(Guest({machine.qemu.path!r}, {machine.agent.path!r})):
    print("held", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        assert machine.state == "paused"
        process.send_signal(how)
        assert machine.agent.await_("guest-fsfreeze-thaw")
    assert machine.goes_on


def test_a_socket_that_says_nothing(tmp_path: Path) -> None:
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(tmp_path / "qmp"))
    silent.listen(1)
    with silent, pytest.raises(ExtError, match="no answer"):
        qemusocket.monitor(str(tmp_path / "qmp"), 0.1)
    with pytest.raises(ExtError, match="No such file"):
        qemusocket.monitor(str(tmp_path / "none"), 0.1)


def test_what_an_earlier_client_left_is_skipped(tmp_path: Path) -> None:
    """The agent's answers to somebody who gave up come before ours."""
    ours, theirs = socket.socketpair()
    found = qemusocket.Monitor.__new__(qemusocket.Monitor)
    found.path, found._socket, found._timeout, found._rest = "x", ours, 5.0, b""

    def answer() -> None:
        request: Any = json.loads(theirs.recv(4096).lstrip(b"\xff"))
        number = request["arguments"]["id"]
        theirs.sendall(b'{"return": 7}\n{"retu\xff' + json.dumps({"return": number}).encode() + b"\n")

    thread = threading.Thread(target=answer)
    thread.start()
    found.sync()
    thread.join()
    assert not select.select([ours], [], [], 0)[0]
    ours.close()
    theirs.close()
