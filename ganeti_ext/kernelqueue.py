"""What the kernel counts about the queues of packets that nfdhcpd answers (/proc/net/netfilter/nfnetlink_queue)."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

from ganeti_ext.metric import Family, Sample

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

PATH = "/proc/net/netfilter/nfnetlink_queue"
FILE = "nfqueue"  # its name among the files that systemd opens for us: it is root's alone
_FIRST = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)


class Queue(NamedTuple):
    """Packets that wait, that came when the queue was full, and that the daemon's socket had no room for."""

    waiting: int
    full: int
    undelivered: int


def queues(text: str) -> dict[int, Queue]:
    """The file's lines, by number: queue, port, waiting, mode, range, dropped, dropped at the socket, last id, 1."""
    found = {}
    for line in text.splitlines():
        number, _, waiting, _, _, full, undelivered, *_ = map(int, line.split())
        found[number] = Queue(waiting, full, undelivered)
    return found


def read(path: str = PATH, env: Mapping[str, str] | None = None) -> dict[int, Queue]:
    """The queues of this network namespace; none when they cannot be seen, as only root can."""
    with contextlib.suppress(OSError):
        opened = _opened(os.environ if env is None else env)
        if opened is not None:
            return queues(os.pread(opened, 1 << 16, 0).decode("ascii"))
        with open(path, encoding="ascii") as file:
            return queues(file.read())
    return {}


def _opened(env: Mapping[str, str]) -> int | None:
    names = env.get("LISTEN_FDNAMES", "").split(":")
    if env.get("LISTEN_PID") != str(os.getpid()) or FILE not in names:
        return None
    return _FIRST + names.index(FILE)


def families(found: Mapping[int, Queue], ours: Collection[int]) -> Iterator[Family]:
    """Metrics of the queues whose numbers are ours."""
    waiting, dropped = [], []
    for number in sorted(set(found) & set(ours)):
        queue, label = found[number], str(number)
        waiting.append(Sample(queue.waiting, {"queue": label}))
        for cause, count in (("full", queue.full), ("undelivered", queue.undelivered)):
            dropped.append(Sample(count, {"queue": label, "cause": cause}))
    yield Family("nfdhcpd_queue_waiting", "gauge", "Packets that wait in the kernel's queue", waiting)
    yield Family("nfdhcpd_queue_dropped_total", "counter", "Packets that the kernel's queue lost", dropped)
