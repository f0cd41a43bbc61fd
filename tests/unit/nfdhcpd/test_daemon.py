"""The wiring, with a stand-in for python3-netfilterqueue and packets handed in at its edge."""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ganeti_ext import binding as file_of
from ganeti_ext.errors import ExtError
from nfdhcpd import divert, settings
from tests.unit.nfdhcpd.guest import binding

pytest.importorskip("pyinotify")


class Sender:
    def send(self, _frames: list[tuple[int, bytes]]) -> dict[int, OSError]:
        return {}


class Queue:
    """nfqueue.Queue that never has a packet."""

    bound: set[int] = set()

    def __init__(self, number: int, *_calls: Callable[..., object]) -> None:
        self.number = number
        self.reader, self.writer = os.pipe()
        Queue.bound.add(number)

    def fileno(self) -> int:
        return self.reader

    def ready(self) -> None: ...

    def close(self) -> None:
        Queue.bound.discard(self.number)
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    stand_in = ModuleType("netfilterqueue")
    stand_in.NetfilterQueue = stand_in.Packet = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "netfilterqueue", stand_in)
    found = importlib.import_module("nfdhcpd.daemon")
    monkeypatch.setattr(found, "Queue", Queue)
    monkeypatch.setattr(found, "Sender", Sender)
    monkeypatch.setattr(divert, "check_bridge", lambda _settings: None)
    yield found
    for name in ("nfdhcpd.daemon", "nfdhcpd.nfqueue"):
        sys.modules.pop(name, None)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "bindings").mkdir()
    # Loopback stands for a tap: it is there wherever the tests run.
    file_of.write(binding(tap="lo", indev=None), str(tmp_path / "bindings"))
    path = tmp_path / "nfdhcpd.conf"
    path.write_text(
        f"[general]\ndirectory = {tmp_path}/bindings\ncontrol = {tmp_path}/control\n[guests]\nlease = 100\n"
    )
    return path


def later(seconds: float, act: Callable[[], object]) -> None:
    threading.Timer(seconds, act).start()


def send(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def test_serves_until_it_is_told_to_stop(daemon: Any, config: Path, caplog: pytest.LogCaptureFixture) -> None:
    bound: list[set[int]] = []
    later(0.2, lambda: bound.append(set(Queue.bound)))
    later(0.3, send(signal.SIGUSR1))
    later(0.4, lambda: config.write_text(config.read_text().replace("100", "200")))
    later(0.5, send(signal.SIGHUP))
    later(0.7, (config.parent / "bindings" / "lo").unlink)
    later(1.0, send(signal.SIGTERM))
    with caplog.at_level(logging.INFO):
        daemon.serve(settings.load(str(config)), str(config))
    assert bound == [{42, 43}]
    assert set() == Queue.bound
    wanted = ["lo (gx-web): served", "1 taps served, 0 bindings not", "reloaded", "lo (gx-web): no longer served"]
    assert [line for line in caplog.messages if line in wanted] == wanted


def test_the_control_socket_is_there_while_it_serves(daemon: Any, config: Path) -> None:
    answers: list[Any] = []

    def ask() -> None:
        with socket.socket(socket.AF_UNIX) as sock, sock.makefile("rwb") as file:
            sock.settimeout(5)
            sock.connect(str(config.parent / "control"))
            file.write(b'{"do":"list"}\n')
            file.flush()
            answers.append(json.loads(file.readline()))
        os.kill(os.getpid(), signal.SIGTERM)

    later(0.2, ask)
    daemon.serve(settings.load(str(config)), str(config))
    assert [answer["tap"] for answer in answers] == ["lo"]
    assert not (config.parent / "control").exists()


def test_without_a_control_socket(daemon: Any, config: Path) -> None:
    config.write_text(config.read_text().replace(f"control = {config.parent}/control", "control ="))
    later(0.2, send(signal.SIGTERM))
    daemon.serve(settings.load(str(config)), str(config))


def test_systemd_is_told_how_many_are_served(daemon: Any, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(config.parent / "notify"))
        heard.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(config.parent / "notify"))
        later(0.2, send(signal.SIGTERM))
        daemon.serve(settings.load(str(config)), str(config))
        told = [heard.recv(100).decode() for _ in range(3)]
    assert told == ["READY=1", "STATUS=1 taps served, 0 bindings not", "STOPPING=1"]


def test_a_family_that_is_off_has_no_queue(daemon: Any, config: Path) -> None:
    config.write_text(config.read_text() + "[ipv6]\nenable = no\n")
    bound: list[set[int]] = []
    later(0.2, lambda: bound.append(set(Queue.bound)))
    later(0.3, send(signal.SIGTERM))
    daemon.serve(settings.load(str(config)), str(config))
    assert bound == [{42}]


def test_a_directory_that_goes_away_ends_the_daemon(daemon: Any, config: Path) -> None:
    later(0.2, lambda: (config.parent / "bindings").rename(config.parent / "elsewhere"))
    with pytest.raises(ExtError, match="went away"):
        daemon.serve(settings.load(str(config)), str(config))


def test_a_bad_configuration_is_not_taken(daemon: Any, config: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Service:
        def reconfigure(self, _settings: object) -> None:
            pytest.fail("taken")

    config.write_text("[guests]\nlease = soon\n")
    daemon.reload(Service(), str(config))
    assert "not reloaded" in caplog.text


def test_what_a_reload_cannot_change_is_said(daemon: Any, config: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Table:
        settings = settings.load(str(config))

    class Service:
        table = Table()
        taken: Any = None

        def reconfigure(self, settings: object) -> None:
            self.taken = settings

    config.write_text(config.read_text() + "[dhcp]\nqueue = 7\n")
    service = Service()
    daemon.reload(service, str(config))
    assert service.taken.dhcp.queue == 7
    assert "change with the next restart" in caplog.text
