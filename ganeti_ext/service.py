"""What every daemon needs: one poll loop, signals, and word to systemd (sd_notify(3), sd_watchdog_enabled(3))."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from ganeti_ext.errors import ConfigError

log = logging.getLogger(__name__)


class HasFileno(Protocol):
    def fileno(self) -> int: ...


def log_to_journal(level: str = "INFO") -> None:
    """Log lines on stderr, which systemd hands to the journal with its own time stamps.

    ConfigError when the level is none of logging's.
    """
    if level not in logging.getLevelNamesMapping():
        raise ConfigError(f"log level {level!r}: expected DEBUG, INFO, WARNING or ERROR")
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")


def notify(state: str) -> None:
    """Tell systemd, e.g. READY=1; does nothing when it does not listen."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sock:
        sock.sendto(state.encode(), address)


def watchdog_period() -> float | None:
    """Seconds between two signs of life that systemd wants, None when it wants none of this process."""
    span, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not span.isdecimal() or int(span) == 0 or pid not in ("", str(os.getpid())):
        return None
    return int(span) / 2e6


class Loop:
    """Calls back on readable files and due timers until SIGTERM or SIGINT.

    A callback that raises ends the loop: systemd restarts the daemon, and what it does at start is made to
    catch up. Callbacks that must survive bad input catch what they expect themselves. One that never returns
    is the watchdog's: the loop itself gives the signs of life.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()  # and no selector of the library, which costs as much again at each wake-up
        self._files: dict[int, Callable[[], None]] = {}
        self._made = time.monotonic()
        self._timers: list[_Timer] = []
        self._due = math.inf  # of the timer that is due first
        self._stopping = False
        self._status: Callable[[], str] = str
        self._told = ""
        self._on_signal: dict[int, Callable[[], None]] = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGHUP: lambda: None,
        }

    def add(self, file: HasFileno | int, callback: Callable[[], None]) -> None:
        """Call back whenever the file is readable."""
        number = file if isinstance(file, int) else file.fileno()
        self._epoll.register(number, select.EPOLLIN)
        self._files[number] = callback

    def remove(self, file: HasFileno | int) -> None:
        number = file if isinstance(file, int) else file.fileno()
        del self._files[number]
        self._epoll.unregister(number)

    def every(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back at this pace, counted from the making of the loop.

        So what is to be done each second and what each five are due in one moment, and one waking does for both.
        """
        self._timers.append(_Timer(seconds, callback, self._next(seconds, time.monotonic())))
        self._due = min(self._due, self._timers[-1].due)

    def on_reload(self, callback: Callable[[], None]) -> None:
        """Call back on SIGHUP, between RELOADING and READY."""

        def reload() -> None:
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            notify(f"RELOADING=1\nMONOTONIC_USEC={now}")
            callback()
            notify("READY=1")
            self._tell()

        self.on_signal(signal.SIGHUP, reload)

    def on_status(self, status: Callable[[], str], seconds: float = 5.0) -> None:
        """What `systemctl status` shows: asked for at this pace, told when it changed."""
        self._status = status
        self.every(seconds, self._tell)

    def on_signal(self, number: int, callback: Callable[[], None]) -> None:
        """Call back on a signal, between two other callbacks; before `run`."""
        self._on_signal[number] = callback

    def stop(self) -> None:
        self._stopping = True

    def run(self) -> None:
        """Send READY, work, send STOPPING."""
        period = watchdog_period()
        if period is not None:
            self.every(period, lambda: notify("WATCHDOG=1"))
        with self._signals():
            notify("READY=1")
            self._tell()
            while not self._stopping:
                self._turn()
            notify("STOPPING=1")

    def work(self) -> None:
        """The same in a thread of its own: without signals, and nothing is told to systemd."""
        while not self._stopping:
            self._turn()

    def _tell(self) -> None:
        text = self._status()
        if text != self._told:
            notify(f"STATUS={text}")
            self._told = text

    def _turn(self) -> None:
        wait = self._due - time.monotonic()
        for number, _ in self._epoll.poll(-1 if wait == math.inf else max(wait, 0.0)):
            callback = self._files.get(number)
            if callback is not None:  # else another callback has just removed it
                callback()
        now = time.monotonic()
        if now >= self._due:
            for timer in self._timers:
                if timer.due <= now:
                    timer.due = self._next(timer.seconds, now)
                    timer.callback()
            self._due = min(timer.due for timer in self._timers)

    def _next(self, seconds: float, now: float) -> float:
        return self._made + ((now - self._made) // seconds + 1) * seconds

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        # A signal has to end select(): Python writes its number to this pipe (PEP 475 restarts the call else).
        inner, outer = socket.socketpair()
        inner.setblocking(False)
        outer.setblocking(False)
        self.add(inner, lambda: self._signalled(inner.recv(64)))
        wakeup = signal.set_wakeup_fd(outer.fileno(), warn_on_full_buffer=False)
        numbers = tuple(self._on_signal)
        before = [signal.signal(number, lambda *_: None) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            self.remove(inner)
            inner.close()
            outer.close()

    def _signalled(self, numbers: bytes) -> None:
        for number in numbers:
            self._on_signal.get(number, lambda: None)()


class _Timer:
    def __init__(self, seconds: float, callback: Callable[[], None], due: float) -> None:
        self.seconds = seconds
        self.callback = callback
        self.due = due
