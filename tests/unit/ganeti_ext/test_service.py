"""The daemons' loop: timers, files, signals, and what systemd hears."""

import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ganeti_ext import service
from ganeti_ext.errors import ConfigError
from ganeti_ext.service import Loop, log_to_journal, notify, watchdog_period

ROOT = Path(__file__).parents[3]


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield heard


def later(seconds: float, act: Callable[[], None]) -> None:
    threading.Timer(seconds, act).start()


def send(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def test_systemd_hears_ready_and_then_stopping(systemd: socket.socket) -> None:
    loop = Loop()
    loop.every(0.01, loop.stop)
    loop.run()
    assert [systemd.recv(64) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]


def test_an_abstract_socket_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"ganeti-ext-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0{name}")
        heard.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify("RELOADING=1")
        assert heard.recv(64) == b"RELOADING=1"


def test_nobody_listening_is_no_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")


def test_a_readable_file_is_called_back_until_removed() -> None:
    loop = Loop()
    here, there = socket.socketpair()
    with here, there:
        heard: list[bytes] = []

        def hear() -> None:
            heard.append(here.recv(1))
            if len(heard) == 2:
                loop.remove(here)
                there.send(b"c")
                loop.every(0.02, loop.stop)

        loop.add(here, hear)
        there.send(b"ab")
        loop.run()
    assert heard == [b"a", b"b"]


def test_a_timer_keeps_its_pace_beside_another() -> None:
    loop = Loop()
    fast: list[float] = []
    slow: list[float] = []
    start = time.monotonic()

    def count() -> None:
        fast.append(time.monotonic() - start)
        if len(fast) == 8:
            loop.stop()

    loop.every(0.02, count)
    loop.every(0.05, lambda: slow.append(time.monotonic() - start))
    loop.run()
    assert all(at >= 0.02 * number for number, at in enumerate(fast, 1))
    assert all(at >= 0.05 * number for number, at in enumerate(slow, 1))
    assert slow


def test_timers_that_begin_apart_are_due_together(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(service, "time", SimpleNamespace(monotonic=lambda: now))
    loop = Loop()
    called: list[str] = []
    for name, seconds, later in (("fast", 1.0, 0.3), ("as fast", 1.0, 0.4), ("slow", 5.0, 0.25)):
        now += later
        loop.every(seconds, lambda name=name: called.append(name))  # type: ignore[misc]
    turns = []
    for now in (101.01, 102.02, 105.0, 106.0):  # noqa: B007 (the loop's clock)
        loop._turn()
        turns.append(called[:])
        called.clear()
    fast = ["fast", "as fast"]
    assert turns == [fast, fast, [*fast, "slow"], fast]


def test_a_timer_does_not_run_after_the_fact() -> None:
    # A callback that took longer than the pace is followed by one call, not by all that were missed.
    loop = Loop()
    calls: list[float] = []

    def slow() -> None:
        calls.append(time.monotonic())
        time.sleep(0.1 if len(calls) == 1 else 0)

    loop.every(0.01, slow)
    loop.every(0.13, loop.stop)
    loop.run()
    assert len(calls) <= 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_loop_that_waits(number: int, systemd: socket.socket) -> None:
    before = signal.getsignal(number)
    loop = Loop()
    later(0.05, send(number))
    loop.run()
    assert [systemd.recv(64) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]
    assert signal.getsignal(number) == before


def test_sighup_reloads_and_goes_on() -> None:
    loop = Loop()
    reloaded: list[int] = []

    def reload() -> None:
        reloaded.append(1)
        later(0.02, send(signal.SIGHUP if len(reloaded) < 3 else signal.SIGTERM))

    loop.on_reload(reload)
    later(0.02, send(signal.SIGHUP))
    loop.run()
    assert len(reloaded) == 3


def test_any_signal_can_call_back() -> None:
    loop = Loop()
    called: list[str] = []
    loop.on_signal(signal.SIGUSR1, lambda: called.append("one"))
    loop.on_signal(signal.SIGUSR2, loop.stop)
    later(0.02, send(signal.SIGUSR1))
    later(0.1, send(signal.SIGUSR2))
    loop.run()
    assert called == ["one"]


def test_sighup_without_a_reload_is_ignored() -> None:
    loop = Loop()
    later(0.02, send(signal.SIGHUP))
    loop.every(0.1, loop.stop)
    loop.run()


def test_a_callbacks_error_ends_the_loop_and_restores_the_signals() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def refuse() -> None:
        raise ValueError("garbage")

    loop = Loop()
    loop.every(0.01, refuse)
    with pytest.raises(ValueError, match="garbage"):
        loop.run()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_file_added_by_its_number() -> None:
    loop = Loop()
    here, there = os.pipe()
    os.write(there, b"x")
    loop.add(here, loop.stop)
    loop.run()
    os.close(here)
    os.close(there)
    with pytest.raises(KeyError):
        selectors.DefaultSelector().unregister(here)


def test_log_lines_go_to_stderr_with_level_and_name() -> None:
    program = "import logging; from ganeti_ext.service import log_to_journal as f; f('WARNING')\n"
    program += "logging.getLogger('nfdhcpd.ra').info('no'); logging.getLogger('nfdhcpd.ra').warning('tap0: %s', 'gone')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "WARNING nfdhcpd.ra: tap0: gone\n")


@pytest.mark.parametrize("level", ["LOUD", "", "info"])
def test_an_unknown_level_is_refused_by_name(level: str) -> None:
    with pytest.raises(ConfigError, match=f"^log level '{level}': expected DEBUG"):
        log_to_journal(level)


def test_systemd_gets_its_signs_of_life_from_the_loop(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    loop = Loop()
    start = time.monotonic()
    heard: list[bytes] = []

    def hear() -> None:
        heard.append(systemd.recv(64))
        if len(heard) == 4:
            loop.stop()

    loop.add(systemd, hear)
    loop.every(20, loop.stop)
    loop.run()
    lasted = time.monotonic() - start
    while (message := systemd.recv(64)) != b"STOPPING=1":
        heard.append(message)
    assert heard[0] == b"READY=1"
    assert set(heard[1:]) == {b"WATCHDOG=1"}
    assert 3 <= len(heard[1:]) <= lasted / 0.02


def test_a_loop_that_is_stuck_gives_no_sign_of_life(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    loop = Loop()

    def hang() -> None:
        time.sleep(0.3)
        loop.stop()

    loop.every(0.001, hang)
    loop.run()
    assert [systemd.recv(64) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]


@pytest.mark.parametrize(
    ("span", "pid", "period"),
    [
        ("30000000", "", 15.0),
        ("30000000", "1", None),
        ("30000000", "me", 15.0),
        ("0", "", None),
        ("", "", None),
        ("soon", "", None),
    ],
)
def test_whether_systemd_wants_signs_of_life(
    span: str, pid: str, period: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", span)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "me" else pid)
    assert watchdog_period() == period


def test_systemd_hears_when_a_reload_begins_and_ends(systemd: socket.socket) -> None:
    loop = Loop()
    during: list[bytes] = []

    def reload() -> None:
        during.extend(systemd.recv(64) for _ in range(2))
        loop.stop()

    loop.on_reload(reload)
    later(0.02, send(signal.SIGHUP))
    before = time.monotonic_ns() // 1000
    loop.run()
    ready, reloading = during
    first, _, second = reloading.decode().partition("\n")
    assert (ready, first) == (b"READY=1", "RELOADING=1")
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    assert [systemd.recv(64) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]


def test_the_status_is_told_when_it_changes(systemd: socket.socket) -> None:
    texts = ["one", "one", "two", "two", "two"]
    loop = Loop()

    def status() -> str:
        if len(texts) == 1:
            loop.stop()
        return texts.pop(0)

    loop.on_status(status, 0.01)
    loop.run()
    heard = [systemd.recv(64) for _ in range(4)]
    assert heard == [b"READY=1", b"STATUS=one", b"STATUS=two", b"STOPPING=1"]
