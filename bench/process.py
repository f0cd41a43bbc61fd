"""A program under measurement: in a namespace and a root of its own, on one core, with what it costs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import ROOT
from ganeti_ext.errors import CommandError

_TICK = os.sysconf("SC_CLK_TCK")


class Where(NamedTuple):
    """The place that a program runs at; without a root it is the host's. No core: any. `nice` as in nice(1)."""

    namespace: str
    core: int | None
    root: Path | None = None
    nice: int = 0


class Process:
    """A running program and its children. `log` gets all that it says."""

    def __init__(self, argv: Sequence[str], where: Where, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        self._name = argv[0]
        pinned = [] if where.core is None else ["taskset", "--cpu-list", str(where.core)]
        place = ["ip", "netns", "exec", where.namespace, *pinned]
        chroot = ["chroot", str(where.root)] if where.root else []
        self.started = time.monotonic()
        with log.open("wb") as file:
            # A session of its own: Ctrl-C is for us, who then stop what we started in order.
            self._child = subprocess.Popen(
                [*place, *chroot, *argv],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                cwd=ROOT,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **(env or {})},
            )
        prefer(self.pid, where.nice)

    @property
    def pid(self) -> int:
        return self._child.pid

    def alive(self) -> bool:
        """True, or CommandError with the program's last words."""
        if self._child.poll() is not None:
            raise CommandError(f"{self._name}: ended with {self._child.returncode}: {self.said()[-500:]}")
        return True

    def said(self) -> str:
        return self.log.read_text(errors="backslashreplace").strip()

    def finish(self, timeout: float, good: Sequence[int] = (0,)) -> str:
        """Wait for the end; the output, or CommandError for an exit code that is none of the good ones."""
        code = self._child.wait(timeout)
        if code not in good:
            raise CommandError(f"{self._name}: exit code {code}: {self.said()[-500:]}")
        return self.said()

    def stop(self) -> None:
        """End it, politely first."""
        for number in (signal.SIGCONT, signal.SIGTERM):
            if self._child.poll() is None:
                self._child.send_signal(number)
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def cpu(self) -> float:
        """Seconds of processor time until now: utime + stime of all threads, to the nanosecond, children too."""
        return sum(map(_cpu, _tree(self.pid)))

    def rss(self) -> float:
        """MB resident."""
        return sum(map(_rss, _tree(self.pid)))

    def switches(self) -> int:
        """How often its threads have given up or lost the processor until now: an idle one is woken so often."""
        statuses = Path(f"/proc/{self.pid}/task").glob("*/status")
        lines = [line for status in statuses for line in status.read_text(encoding="ascii").splitlines()]
        return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)

    def proc(self, path: str) -> str:
        """A file below /proc/PID."""
        return Path(f"/proc/{self.pid}/{path}").read_text(encoding="ascii")

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        self._child.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._child.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def running(argv: Sequence[str], where: Where, log: Path, env: Mapping[str, str] | None = None) -> Iterator[Process]:
    """A program for the length of a `with` block."""
    process = Process(argv, where, log, env)
    try:
        yield process
    finally:
        process.stop()


def prefer(pid: int, nice: int) -> None:
    """Set the priority of a process that leads a session; among sessions, that of its autogroup counts (sched(7))."""
    os.setpriority(os.PRIO_PROCESS, pid, nice)
    with contextlib.suppress(FileNotFoundError):
        Path(f"/proc/{pid}/autogroup").write_text(str(nice), encoding="ascii")


def _tree(pid: int) -> list[int]:
    """A process and all below it."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    children = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    return [pid, *(below for child in children for below in _tree(child))]


def _cpu(pid: int) -> float:
    # The kernel's name for the processor clock of a process (clock_getcpuclockid(3)); /proc/PID/stat has only ticks
    # of it, but also the time of children that have ended.
    ended = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[13:15]
    return time.clock_gettime(~pid << 3 | 2) + sum(map(int, ended)) / _TICK


def _rss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmRSS:"))
